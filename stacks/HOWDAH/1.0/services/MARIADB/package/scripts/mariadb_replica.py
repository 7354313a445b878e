"""MARIADB_REPLICA: a read-only server that follows the primary by GTID."""

import time

import server
from command import Failure, run
from mysql_client import quote

# Codes of the replication thread that waiting does not mend.
_ACCESS_DENIED = "1045"
_MASTER_FATAL = "1236"


def start(command):
    instance, connection = server.start(command)
    with connection:
        server.ensure_account(instance, connection)
        address, port = instance.settings.address_of(instance.settings.primary_host)
        state = _state(connection)
        if _follows(state, address, port) and _runs(state):
            print(f"Replication from {address}:{port} runs already.")
        else:
            _follow(connection, instance, address, port)
            print(f"Following {instance.settings.primary_host} at {address}:{port}.")
            state = _wait_until_it_runs(connection, instance)
    print(f"Replication runs at GTID {state['Gtid_IO_Pos'] or '(nothing yet)'}, {state['Seconds_Behind_Master'] or 0} s behind.")
    command.report(replication={"primary": f"{address}:{port}", "gtid_io_pos": state["Gtid_IO_Pos"]})


def restart(command):
    server.stop_server(command)
    start(command)


def _state(connection):
    """SHOW SLAVE STATUS, or None when it follows nobody."""
    rows = connection.query("SHOW SLAVE STATUS")
    return rows[0] if rows else None


def _follows(state, address, port):
    return state is not None and (state["Master_Host"], state["Master_Port"], state["Using_Gtid"]) == (address, str(port), "Slave_Pos")


def _runs(state):
    # The thread counts as running before the primary has said whether it can serve this replica; the name of its
    # binary log is its first word when it can.
    running = state["Slave_IO_Running"] == "Yes" and state["Slave_SQL_Running"] == "Yes"
    return running and state["Master_Log_File"] != ""


def _follow(connection, instance, address, port):
    # slave_pos: what this replica has applied, kept by the server itself in the same transactions. A new
    # replica's is empty, so it replays the primary's binary logs from their first event.
    connection.query("STOP SLAVE")
    connection.query(
        f"CHANGE MASTER TO MASTER_HOST = {quote(address)}, MASTER_PORT = {port}, "
        f"MASTER_USER = {quote(instance.settings.replication_user)}, MASTER_PASSWORD = {quote(instance.settings.replication_password)}, "
        "MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 2, MASTER_HEARTBEAT_PERIOD = 10"
    )
    connection.query("START SLAVE")


def _wait_until_it_runs(connection, instance):
    timeout_s = instance.settings.start_timeout_s
    deadline = time.monotonic() + timeout_s
    while True:
        state = _state(connection)
        if _runs(state):
            return state
        if state["Last_SQL_Errno"] != "0":
            raise Failure(
                f"replication stopped on a statement it cannot apply: {state['Last_SQL_Error']} (error {state['Last_SQL_Errno']}). "
                "Mend the data on the replica, or install it anew from an empty data folder"
            )
        if state["Last_IO_Errno"] == _MASTER_FATAL:
            raise Failure(
                f"the primary cannot continue this replica: {state['Last_IO_Error']}. Either it no longer has the binary logs this replica "
                "needs, or its database is another one than before: move this replica's data folder away and INSTALL it again, "
                "or seed it from a backup of the primary"
            )
        if state["Last_IO_Errno"] == _ACCESS_DENIED:
            raise Failure(f"the primary refuses the replication account: {state['Last_IO_Error']}. START the primary, so that it takes up mariadb-env/replication_password")
        if time.monotonic() > deadline:
            why = state["Last_IO_Error"] or f"the connection is {state['Slave_IO_Running']}: {state['Slave_IO_State']}"
            raise Failure(f"replication does not run after {timeout_s} s: {why}")
        time.sleep(0.1)


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
