"""MARIADB_SERVICE_CHECK: writes a row on the primary and reads it on every replica."""

import time
import uuid

from command import Failure, run
from instance import REPLICA, Settings
from mysql_client import Connection, MysqlError, quote
from server import CHECK_DATABASE

_TABLE = f"{CHECK_DATABASE}.probe"


def check(command):
    settings = Settings(command)
    primary = settings.primary_host
    probe = uuid.uuid4().hex
    with _connect(settings, primary) as connection:
        connection.query(f"CREATE TABLE IF NOT EXISTS {_TABLE} (id CHAR(32) PRIMARY KEY, host VARCHAR(255) NOT NULL)")
        connection.query(f"INSERT INTO {_TABLE} VALUES ({quote(probe)}, {quote(command.host)})")
        written = time.monotonic()
        print(f"Wrote row {probe} on the primary {primary}.")
        try:
            seen = [_read(settings, host, probe, written) for host in command.hosts_of(REPLICA)]
        finally:
            connection.query(f"DELETE FROM {_TABLE} WHERE id = {quote(probe)}")
    command.report(service_check={"primary": primary, "replicas": seen})
    print(f"MariaDB works: the primary takes writes, and {len(seen)} replica{'' if len(seen) == 1 else 's'} had the row.")


def _read(settings, host, probe, written):
    timeout_s = settings.check_timeout_s
    with _connect(settings, host) as connection:
        while not _has(connection, probe):
            if time.monotonic() - written > timeout_s:
                raise Failure(f"replica {host} does not have the row after {timeout_s} s: {_why(connection)}")
            time.sleep(0.02)
    lag_ms = round((time.monotonic() - written) * 1000)
    print(f"Read it on replica {host} after {lag_ms} ms.")
    return {"host": host, "lag_ms": lag_ms}


def _has(connection, probe):
    try:
        return len(connection.query(f"SELECT id FROM {_TABLE} WHERE id = {quote(probe)}")) > 0
    except MysqlError as error:
        if error.errno in (1049, 1146):  # the database or the table has not come over yet
            return False
        raise


def _why(connection):
    rows = connection.query("SHOW SLAVE STATUS")
    if not rows:
        return "it follows no primary; run START on it"
    state = rows[0]
    error = state["Last_IO_Error"] or state["Last_SQL_Error"] or f"{state['Seconds_Behind_Master'] or 'unknown'} s behind"
    return f"receiving {state['Slave_IO_Running']}, applying {state['Slave_SQL_Running']}; {error}"


def _connect(settings, host):
    address, port = settings.address_of(host)
    try:
        return Connection(host=address, port=port, user=settings.replication_user, password=settings.replication_password)
    except MysqlError as error:
        raise Failure(f"{host} at {address}:{port} refuses the account {settings.replication_user}: {error}. START that host's component, so that it takes up the password") from None
    except OSError as error:
        raise Failure(f"nothing answers for {host} at {address}:{port}: {error}. Is its component started?") from None


if __name__ == "__main__":
    run({"SERVICE_CHECK": check})
