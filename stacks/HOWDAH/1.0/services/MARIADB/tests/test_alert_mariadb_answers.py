"""Tests of the alert of a server that should answer."""

import os
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "package", "alerts"))

import alert_mariadb_answers as alert  # noqa: E402
from mysql_client import MysqlError, ProtocolError  # noqa: E402


def check(outcome=None, env=None, parameters=None, host="host2", took=0.0):
    """What is found when the log-in comes to this, and the address it went to."""
    configurations = {alert.ENV: {"replication_password": "secret", **(env or {})}, alert.HOSTS: ["host1", "host2"]}
    connection = mock.Mock(side_effect=outcome)
    times = mock.Mock(side_effect=[0.0, took])
    with mock.patch("alert_mariadb_answers.Connection", connection), mock.patch("time.monotonic", times):
        state, (text,) = alert.execute(configurations, parameters or {}, host)
    given = connection.call_args
    return state, text, given and (given[1]["host"], given[1]["port"], given[1]["timeout"])


class AnswersTest(unittest.TestCase):
    def test_asks_at_the_port_of_this_host(self):
        self.assertEqual(check(), ("OK", "MariaDB answers at 127.0.0.1:13307", ("127.0.0.1", 13307, 5.0)))
        fleet = {"base_port": "3306", "port_step": "0", "connect_address": ""}
        self.assertEqual(check(env=fleet), ("OK", "MariaDB answers at host2:3306", ("host2", 3306, 5.0)))

    def test_says_why_it_does_not_answer(self):
        for outcome, state, words in [
            (ConnectionRefusedError(111, "Connection refused"), "CRITICAL", "does not answer at 127.0.0.1:13307: Connection refused"),
            (TimeoutError("timed out"), "CRITICAL", "does not answer at 127.0.0.1:13307: timed out"),
            (MysqlError(1040, "Too many connections"), "CRITICAL", "refuses a log-in: Too many connections (error 1040)"),
            (MysqlError(1045, "Access denied"), "WARNING", "refuses the account howdah: restart the component"),
            (ProtocolError("protocol version 72"), "CRITICAL", "is no MariaDB: protocol version 72"),
        ]:
            with self.subTest(words):
                found = check(outcome)
                self.assertEqual(found[0], state)
                self.assertIn(words, found[1])

    def test_is_not_content_with_slowness(self):
        limits = {alert.WARNING_S: 2.0, alert.CRITICAL_S: "3"}
        self.assertEqual(check(took=1.9, parameters=limits)[0], "OK")
        self.assertEqual(check(took=2.5, parameters=limits)[:2], ("WARNING", "MariaDB answers at 127.0.0.1:13307, but a log-in takes 2 s or longer"))
        self.assertEqual(check(took=3.0, parameters=limits)[0], "CRITICAL")
        self.assertEqual(check(took=1.5, parameters={alert.WARNING_S: "x", alert.CRITICAL_S: -1})[0], "WARNING")

    def test_does_not_guess_where_the_configuration_is_wrong(self):
        for wrong, words in [
            (dict(env={"base_port": "http"}), "mariadb-env/base_port is 'http'"),
            (dict(env={"replication_password": ""}), "mariadb-env/replication_password is empty"),
            (dict(host="host9"), "host host9 is not in the cluster's list of hosts"),
        ]:
            with self.subTest(words):
                state, text, given = check(**wrong)
                self.assertEqual((state, given), ("UNKNOWN", None))
                self.assertIn(words, text)


if __name__ == "__main__":
    unittest.main()
