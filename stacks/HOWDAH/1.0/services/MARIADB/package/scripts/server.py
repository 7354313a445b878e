"""The steps that primary and replica have in common."""

import os
import pwd
import secrets
import shutil
import subprocess
import time

from command import Failure
from instance import SERVER_ID_FILE, Instance
from mysql_client import Connection, MysqlError, quote
from process import last_lines, running_pid, start_detached, stop
from program import find_mariadbd, system_tables, version_of

CHECK_DATABASE = "howdah_check"


def install(command):
    """Makes the folders, the configuration and, unless there is one, an empty database."""
    instance = Instance(command)
    mariadbd = find_mariadbd()
    version = version_of(mariadbd)
    print(f"MariaDB {version} is {mariadbd}.")
    port = instance.port  # before anything is made: it may be wrong
    instance.make_folders()
    if os.path.isdir(os.path.join(instance.data, "mysql")):
        print(f"The database in {instance.data} was left as it is.")
    else:
        _make_database(mariadbd, instance)
    instance.write_configuration(instance.configuration())
    print(f"Wrote {instance.defaults_file}: port {port}.")
    command.report(mariadb={"version": version, "port": port, "data": instance.data})


def configure(command):
    """Writes the configuration; a running server takes it up at its next start."""
    instance = Instance(command)
    text = instance.configuration()
    instance.make_folders()
    changed = instance.write_configuration(text)
    print(f"{instance.defaults_file} is {'new' if changed else 'as it was'}.")
    if changed and running_pid(instance):
        print("The server runs with its former configuration until it is restarted.")


def start(command):
    """Starts the server, or finds it running, and waits until it answers. The instance, and a connection to it."""
    instance = Instance(command)
    mariadbd = find_mariadbd()
    text = instance.configuration()  # before anything is made: it may be wrong
    instance.make_folders()
    pid = running_pid(instance)
    changed = instance.write_configuration(text)
    if pid:
        print(f"mariadbd runs already (pid {pid}).")
        if changed:
            print("Its configuration has changed: restart it to take that up.")
    else:
        pid = start_detached(mariadbd, instance)
        print(f"Started mariadbd (pid {pid}).")
    connection = _wait_until_it_answers(instance, pid)
    print(f"It answers on {instance.settings.bind_address}:{instance.port}.")
    command.report(mariadb={"pid": pid, "port": instance.port})
    return instance, connection


def stop_server(command):
    instance = Instance(command)
    pid = running_pid(instance)
    if pid is None:
        print("mariadbd does not run.")
        return
    began = time.monotonic()
    stop(pid, instance, instance.settings.stop_timeout_s)
    print(f"mariadbd (pid {pid}) shut down in {time.monotonic() - began:.1f} s.")


def status(command):
    """Passes when the server's process lives, as Ambari's status commands do."""
    instance = Instance(command)
    pid = running_pid(instance)
    if pid is None:
        # The name by which Ambari's agents tell "is down" from "cannot tell".
        raise Failure(f"ComponentIsNotRunning: no mariadbd runs on {instance.folder}")
    print(f"mariadbd runs (pid {pid}).")


def uninstall(command):
    """Takes away the configuration; data are never deleted by a command."""
    instance = Instance(command)
    if running_pid(instance):
        raise Failure("mariadbd still runs: stop it first")
    if os.path.exists(instance.defaults_file):
        os.remove(instance.defaults_file)
    print(f"Removed the configuration. The data are kept in {instance.data}; remove that folder by hand when nobody needs them.")


def ensure_account(instance, connection):
    """Makes the account of replication and service check what the configuration says; on every instance, in no binary log."""
    account = f"{quote(instance.settings.replication_user)}@'%'"
    proof = f"IDENTIFIED BY {quote(instance.settings.replication_password)}"
    connection.query("SET SESSION sql_log_bin = 0")
    connection.query(f"CREATE USER IF NOT EXISTS {account} {proof}")
    connection.query(f"ALTER USER {account} {proof}")
    connection.query(f"GRANT REPLICATION SLAVE, SLAVE MONITOR ON *.* TO {account}")
    connection.query(f"GRANT ALL ON {CHECK_DATABASE}.* TO {account}")
    connection.query("SET SESSION sql_log_bin = 1")


def connect(instance, timeout=10.0):
    """Connects over the instance's own socket as the agent's system user: no password exists to be lost."""
    return Connection(user=_administrator(), unix_socket=instance.socket, timeout=timeout)


def _administrator():
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise Failure(f"the agent's user id {os.geteuid()} has no name on this host: give it one, MariaDB knows its administrator by it") from None


def _make_database(mariadbd, instance):
    """Makes the database beside its place and renames it, so that a kill in the middle leaves no half of one."""
    began = time.monotonic()
    half = instance.data + ".new"
    shutil.rmtree(half, ignore_errors=True)
    os.makedirs(half, mode=0o700)
    owner = instance.owner()
    if owner:
        os.chown(half, owner.pw_uid, owner.pw_gid)
    sql = ["CREATE DATABASE mysql;\nUSE mysql;\n", f"SET @auth_root_socket = {quote(_administrator())};\n"]
    for path in system_tables(mariadbd):
        with open(path, encoding="utf-8") as file:
            # Accounts for a host's present name would only be more doors.
            sql += [line for line in file if "@current_hostname" not in line]
    user = instance.run_as_option()
    site = instance.settings.site
    options = [f"--innodb-log-file-size={site['innodb_log_file_size']}"] if "innodb_log_file_size" in site else []
    result = subprocess.run(
        [mariadbd, "--no-defaults", "--bootstrap", f"--datadir={half}", f"--tmpdir={instance.tmp}"]
        + ["--log-warnings=0", "--max-allowed-packet=8M", *options]
        + ([f"--user={user}"] if user else []),
        input="".join(sql), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )
    if result.returncode != 0:
        tail = "\n".join("  " + line for line in result.stdout.splitlines()[-15:])
        raise Failure(f"mariadbd could not make a database in {half} (exit code {result.returncode}):\n{tail}")
    # Random, so that a database made anew is not taken for the one it replaces.
    with open(os.path.join(half, SERVER_ID_FILE), "w", encoding="ascii") as file:
        file.write(str(secrets.randbelow(2**32 - 1) + 1))
    if os.path.isdir(instance.data):
        _remove_empty(instance.data)
    os.rename(half, instance.data)
    print(f"Made an empty database in {time.monotonic() - began:.1f} s.")


def _remove_empty(folder):
    try:
        os.rmdir(folder)
    except OSError:
        raise Failure(f"{folder} has files but no MariaDB database: move them away, or set mariadb-env/data_dir to another folder") from None


def _wait_until_it_answers(instance, pid):
    timeout_s = instance.settings.start_timeout_s
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection = connect(instance)
            # A former server's socket, or another's: never take one instance for another.
            found = connection.query("SELECT @@datadir AS folder")[0]["folder"]
            if os.path.normpath(found) != instance.data:
                raise Failure(f"the server that answers on {instance.socket} works on {found}, not on {instance.data}")
            return connection
        except MysqlError as error:
            raise Failure(f"mariadbd refuses its administrator {_administrator()}: {error}. The agent ran as another user when it was installed?") from None
        except OSError:
            pass  # not yet
        if running_pid(instance) is None:
            raise Failure(f"mariadbd (pid {pid}) ended while it started. Its log, {instance.log_file}, ends with:\n{last_lines(instance.log_file)}")
        if time.monotonic() > deadline:
            raise Failure(
                f"mariadbd (pid {pid}) does not answer after {timeout_s} s; it may be recovering and was left running. "
                f"Run START again, or raise mariadb-env/start_timeout_s. Its log, {instance.log_file}, ends with:\n{last_lines(instance.log_file)}"
            )
        time.sleep(0.05)
