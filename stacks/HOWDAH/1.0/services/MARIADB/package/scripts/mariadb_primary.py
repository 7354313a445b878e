"""MARIADB_PRIMARY: the server that is written to."""

import server
from command import run
from instance import REPLICA
from mysql_client import quote


def start(command):
    instance, connection = server.start(command)
    with connection:
        if command.hosts_of(REPLICA) or instance.settings.text("replication_password", ""):
            server.ensure_account(instance, connection)
            print(f"The account {instance.settings.replication_user} is ready for replicas and the service check.")
        # So that the binary log is never empty: only then does it turn away replicas of another database.
        if not connection.query(f"SHOW DATABASES LIKE {quote(server.CHECK_DATABASE)}"):
            connection.query(f"CREATE DATABASE {server.CHECK_DATABASE}")
        position = connection.query("SELECT @@gtid_binlog_pos AS position")[0]["position"]
    command.report(replication={"gtid_binlog_pos": position})


def restart(command):
    server.stop_server(command)
    start(command)


if __name__ == "__main__":
    run({
        "INSTALL": server.install,
        "CONFIGURE": server.configure,
        "START": start,
        "STOP": server.stop_server,
        "RESTART": restart,
        "STATUS": server.status,
        "UNINSTALL": server.uninstall,
    })
