"""Where this host's MariaDB lives, where it listens, and how it is configured: settings in, paths and text out."""

import hashlib
import os
import pwd
import re

from command import Failure

PRIMARY = "MARIADB_PRIMARY"
REPLICA = "MARIADB_REPLICA"

# In the folder of the data.
SERVER_ID_FILE = "howdah-server-id"

# What a socket's address may hold on Linux, its closing zero included.
_SOCKET_PATH_LIMIT = 108

# Howdah decides these; two answers to one question would be one too many.
_OURS = {
    "bind_address", "datadir", "log_bin", "log_error", "log_slave_updates", "pid_file", "port", "read_only", "relay_log",
    "server_id", "skip_name_resolve", "skip_slave_start", "socket", "tmpdir", "user",
}


class Settings:
    """The configuration types mariadb-env and mariadb-site, checked."""

    def __init__(self, command):
        self._command = command
        self._env = command.configuration("mariadb-env")
        self.site = command.configuration("mariadb-site")

    def text(self, key, default):
        value = self._env.get(key)
        return default if value is None else str(value).strip()

    def number(self, key, default, low, high):
        value = self.text(key, str(default))
        if not re.fullmatch(r"\d{1,9}", value) or not low <= int(value) <= high:
            raise Failure(f"mariadb-env/{key} is {value!r}: it must be a whole number from {low} to {high}")
        return int(value)

    @property
    def start_timeout_s(self):
        return self.number("start_timeout_s", 120, 1, 3600)

    @property
    def stop_timeout_s(self):
        return self.number("stop_timeout_s", 120, 1, 3600)

    @property
    def check_timeout_s(self):
        return self.number("check_timeout_s", 30, 1, 3600)

    @property
    def bind_address(self):
        address = self.text("bind_address", "") or "127.0.0.1"
        if not re.fullmatch(r"[A-Za-z0-9.:*_-]+", address):
            raise Failure(f"mariadb-env/bind_address is {address!r}: use an address, such as 127.0.0.1, 0.0.0.0 or ::")
        return address

    @property
    def replication_user(self):
        user = self.text("replication_user", "howdah")
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", user):
            raise Failure(f"mariadb-env/replication_user is {user!r}: use 1 to 80 letters, digits, '_', '.' or '-'")
        return user

    @property
    def replication_password(self):
        password = self.text("replication_password", "")
        if not password:
            raise Failure("mariadb-env/replication_password is empty: set it to a long random password")
        if not re.fullmatch(r"[!-~]{1,32}", password):
            raise Failure("mariadb-env/replication_password must be 1 to 32 printable ASCII characters without spaces")
        return password

    def address_of(self, host):
        """(address, port) at which other hosts reach a host's instance."""
        hosts = self._command.all_hosts
        if host not in hosts:
            raise Failure(f"host {host} is not in the cluster's list of hosts (clusterHostInfo.all_hosts: {', '.join(hosts)})")
        base = self.number("base_port", 13306, 1, 65535)
        port = base + self.number("port_step", 1, 0, 100) * hosts.index(host)
        if port > 65535:
            raise Failure(f"host {host} would listen on port {port}: lower mariadb-env/base_port ({base}) or set port_step to 0")
        return self.text("connect_address", "127.0.0.1") or host, port

    @property
    def primary_host(self):
        hosts = self._command.hosts_of(PRIMARY)
        if len(hosts) != 1:
            raise Failure(f"the cluster has {len(hosts)} hosts with {PRIMARY} ({', '.join(hosts) or 'none'}): it must be one")
        return hosts[0]


class Instance:
    """This host's instance: its paths, its port, its configuration file."""

    def __init__(self, command):
        self.settings = Settings(command)
        self.host = command.host
        self.is_replica = command.role == REPLICA
        if self.host in command.hosts_of(PRIMARY) and self.host in command.hosts_of(REPLICA):
            raise Failure(f"host {self.host} has both {PRIMARY} and {REPLICA}: a host can have one instance, remove one of them")
        template = self.settings.text("data_dir", "{prefix}/mariadb")
        # Only where it is asked for: a fixed folder needs no prefix.
        prefix = command.prefix if "{prefix}" in template else ""
        self.folder = template.replace("{prefix}", prefix).replace("{host}", self.host)
        if not os.path.isabs(self.folder):
            raise Failure(f"mariadb-env/data_dir is {template!r}, which gives {self.folder!r}: it must be an absolute path")
        self.folder = os.path.normpath(self.folder)
        self.data = os.path.join(self.folder, "data")
        self.defaults_file = os.path.join(self.folder, "conf", "my.cnf")
        self.pid_file = os.path.join(self.folder, "run", "mariadbd.pid")
        self.log_file = os.path.join(self.folder, "log", "mariadbd.log")
        # Its own: a server that starts removes the temporary tables it finds, another server's too.
        self.tmp = os.path.join(self.folder, "tmp")
        self.socket_folder = self._socket_folder()
        self.socket = os.path.join(self.socket_folder, "mariadbd.sock")

    @property
    def port(self):
        return self.settings.address_of(self.host)[1]

    def _socket_folder(self):
        folder = os.path.join(self.folder, "run")
        if len(os.fsencode(folder)) + len("/mariadbd.sock") + 1 <= _SOCKET_PATH_LIMIT:
            return folder
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return f"/tmp/howdah-mariadb-{digest}"

    def owner(self):
        """The account the server runs as, when that is another than the agent's own; else None."""
        user = self.settings.text("run_as", "")
        if not user or os.geteuid() != 0 or user == "root":
            return None
        try:
            return pwd.getpwnam(user)
        except KeyError:
            raise Failure(f"mariadb-env/run_as names the system user {user!r}, which this host does not have") from None

    def make_folders(self):
        """Makes the folders that are missing, none readable by other users."""
        owner = self.owner()
        parts = [self.folder] + [os.path.join(self.folder, name) for name in ("conf", "run", "log", "tmp")]
        try:
            for folder in [*parts, self.socket_folder]:
                os.makedirs(folder, mode=0o700, exist_ok=True)
                found = os.lstat(folder)
                # A folder below /tmp could be somebody else's trap.
                if found.st_uid not in {os.geteuid(), owner.pw_uid if owner else os.geteuid()}:
                    raise Failure(f"{folder} belongs to user {found.st_uid}: remove it, or set mariadb-env/data_dir to another folder")
                if owner:
                    os.chown(folder, owner.pw_uid, owner.pw_gid)
        except OSError as error:
            raise Failure(f"cannot make {error.filename}: {error.strerror}; give the agent's user the right, or set mariadb-env/data_dir") from None

    def configuration(self):
        """The text of my.cnf."""
        lines = {
            "datadir": self.data,
            "socket": self.socket,
            "pid_file": self.pid_file,
            "tmpdir": self.tmp,
            "port": self.port,
            "bind_address": self.settings.bind_address,
            "skip_name_resolve": "ON",
            "server_id": self.server_id(),
            "log_bin": "binlog",
            "relay_log": "relay",
            "log_slave_updates": "ON",
            "read_only": "ON" if self.is_replica else "OFF",
            # START has replication begin, once it has said whom to follow.
            "skip_slave_start": "ON",
        }
        user = self.run_as_option()
        if user:
            lines["user"] = user
        for key, value in sorted(self.settings.site.items()):
            name = key.replace("-", "_")
            if name in _OURS:
                raise Failure(f"mariadb-site/{key} is decided by Howdah: remove it (see mariadb-env for port, address and folder)")
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or re.search(r"[\r\n]", str(value)):
                raise Failure(f"mariadb-site/{key} is not the name of a server variable with a value on one line")
            lines[name] = value
        body = "".join(f"{key} = {value}\n" for key, value in lines.items())
        return "# Written by Howdah from the configurations mariadb-env and mariadb-site: change them there.\n[mariadbd]\n" + body

    def server_id(self):
        """The number of this database in GTIDs, made with it: a database made anew must never pass for the old one."""
        try:
            with open(os.path.join(self.data, SERVER_ID_FILE), encoding="ascii") as file:
                return int(file.read())
        except FileNotFoundError:
            raise Failure(f"there is no database in {self.data}: run INSTALL on {self.host} first") from None

    def run_as_option(self):
        """The value of mariadbd's --user, or None; mariadbd refuses to run as root unless told so."""
        owner = self.owner()
        if owner:
            return owner.pw_name
        return "root" if os.geteuid() == 0 else None

    def write_configuration(self, text):
        """Writes my.cnf. True when that changed it."""
        try:
            with open(self.defaults_file, encoding="utf-8") as file:
                if file.read() == text:
                    return False
        except FileNotFoundError:
            pass
        replacement = self.defaults_file + ".new"
        with open(replacement, "w", encoding="utf-8") as file:
            file.write(text)
        owner = self.owner()
        if owner:
            os.chown(replacement, owner.pw_uid, owner.pw_gid)
        os.replace(replacement, self.defaults_file)
        return True
