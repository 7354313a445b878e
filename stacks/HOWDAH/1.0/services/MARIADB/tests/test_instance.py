"""Tests of settings, paths and configuration: data in, text out."""

import os
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "package", "scripts"))

from command import Command, Failure  # noqa: E402
from instance import Instance, Settings  # noqa: E402


def command(role="MARIADB_PRIMARY", host="host2", env=None, site=None, prefix="/agent", **hosts):
    document = {
        "role": role,
        "agentLevelParams": {"hostname": host},
        "clusterHostInfo": {"all_hosts": ["host1", "host2", "host3"], "mariadb_primary_hosts": ["host2"], **hosts},
        "configurations": {"mariadb-env": env or {}, "mariadb-site": site or {}},
    }
    return Command("START", document, "/nowhere", {"HOWDAH_PREFIX": prefix} if prefix else {})


class InstanceTest(unittest.TestCase):
    def setUp(self):
        # It is read from the database, which there is none of.
        patch = mock.patch.object(Instance, "server_id", lambda _: 7)
        patch.start()
        self.addCleanup(patch.stop)

    def test_gives_each_host_of_one_machine_a_port_of_its_own(self):
        settings = Settings(command())
        self.assertEqual([settings.address_of(f"host{n}") for n in (1, 2, 3)], [("127.0.0.1", 13306 + n) for n in range(3)])

    def test_gives_a_fleet_one_port_and_the_hosts_names(self):
        settings = Settings(command(env={"base_port": "3306", "port_step": "0", "connect_address": ""}))
        self.assertEqual(settings.address_of("host3"), ("host3", 3306))

    def test_lives_below_the_agents_folder_by_default(self):
        self.assertEqual(Instance(command()).data, "/agent/mariadb/data")
        self.assertEqual(Instance(command(env={"data_dir": "/srv/{host}/db/"}, prefix=None)).data, "/srv/host2/db/data")

    def test_keeps_the_socket_in_a_short_path(self):
        deep = Instance(command(prefix="/" + "d" * 150))
        self.assertLess(len(deep.socket), 108)
        self.assertNotEqual(deep.socket, Instance(command(prefix="/" + "e" * 150)).socket)

    def test_writes_what_the_role_needs(self):
        self.assertIn("\nread_only = OFF\n", Instance(command()).configuration())
        replica = Instance(command(role="MARIADB_REPLICA", host="host3")).configuration()
        self.assertIn("\nread_only = ON\n", replica)
        self.assertIn("\nport = 13308\n", replica)

    def test_takes_any_server_variable_of_mariadb_site(self):
        text = Instance(command(site={"max-connections": "7"})).configuration()
        self.assertIn("\nmax_connections = 7\n", text)

    def test_says_what_is_wrong_and_where(self):
        for wrong, message in [
            (dict(env={"base_port": "http"}), "mariadb-env/base_port is 'http'"),
            (dict(env={"base_port": "65535"}), "host2 would listen on port 65536"),
            (dict(env={"data_dir": "mariadb"}), "must be an absolute path"),
            (dict(env={"bind_address": "::\nuser = x"}), "mariadb-env/bind_address is"),
            (dict(site={"port": "1"}), "mariadb-site/port is decided by Howdah"),
            (dict(site={"sql_mode": "a\n[client]"}), "mariadb-site/sql_mode is not"),
            (dict(host="elsewhere"), "elsewhere is not in the cluster's list of hosts"),
            (dict(mariadb_replica_hosts=["host2"]), "has both MARIADB_PRIMARY and MARIADB_REPLICA"),
            (dict(prefix=None), "HOWDAH_PREFIX is not set"),
        ]:
            with self.subTest(message), self.assertRaises(Failure) as caught:
                Instance(command(**wrong)).configuration()
            self.assertIn(message, str(caught.exception))

    def test_wants_one_primary_and_a_password(self):
        with self.assertRaisesRegex(Failure, r"2 hosts with MARIADB_PRIMARY \(host1, host2\)"):
            Settings(command(mariadb_primary_hosts=["host1", "host2"])).primary_host
        for password, message in [("", "is empty"), ("two words", "without spaces"), ("x" * 33, "1 to 32")]:
            with self.assertRaisesRegex(Failure, message) as caught:
                Settings(command(env={"replication_password": password})).replication_password
            self.assertFalse(password and password in str(caught.exception), "a password is never printed")


if __name__ == "__main__":
    unittest.main()
