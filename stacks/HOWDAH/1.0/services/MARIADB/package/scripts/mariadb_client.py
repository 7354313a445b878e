"""MARIADB_CLIENT: a my.cnf with which MariaDB's client programs find the primary."""

import os

from command import Failure, run
from instance import Settings


def _path(command):
    return os.path.join(command.prefix, "mariadb-client", "my.cnf")


def configure(command):
    settings = Settings(command)
    address, port = settings.address_of(settings.primary_host)
    path = _path(command)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    replacement = path + ".new"
    with open(replacement, "w", encoding="utf-8") as file:
        # protocol: the name localhost would otherwise mean a socket. No account: whose it is, its user knows.
        file.write(f"# Written by Howdah: the primary is on {settings.primary_host}.\n[client]\nprotocol = tcp\nhost = {address}\nport = {port}\n")
    os.replace(replacement, path)
    print(f"Wrote {path}: {address}:{port}. Use it as `mariadb --defaults-file={path} -u USER -p`.")
    command.report(client={"defaults_file": path, "host": address, "port": port})


def status(_command):
    raise Failure("ClientComponentHasNoStatus: a client has nothing that runs")


def uninstall(command):
    if os.path.exists(_path(command)):
        os.remove(_path(command))
    print(f"Removed {_path(command)}.")


if __name__ == "__main__":
    run(
        {
            "INSTALL": configure,
            "CONFIGURE": configure,
            # Restarting services takes in their clients: they then go by the configurations of now.
            "RESTART": configure,
            "STATUS": status,
            "UNINSTALL": uninstall,
        }
    )
