"""Finds MariaDB's server program and what it needs to make a new database."""

import os
import re
import shutil
import subprocess

from command import Failure

_FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/mysql/bin", "/usr/local/mariadb/bin"]

# In this order: later ones use what earlier ones made. Releases from 11 on name them mariadb_….
_SYSTEM_TABLES = [
    "system_tables.sql",
    "performance_tables.sql",
    "system_tables_data.sql",
]


def find_mariadbd():
    """The path of `mariadbd`."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_FOLDERS])
    found = shutil.which("mariadbd", path=path)
    if found is None:
        raise Failure(
            "MariaDB's server program, mariadbd, is not on this host: install the package mariadb-server-core "
            "(Debian, Ubuntu: apt-get install mariadb-server-core) or mariadb-server (RHEL, SUSE), version 10.6 or newer, and run this again"
        )
    return found


def version_of(mariadbd):
    """The release, such as "10.11.19"."""
    answer = subprocess.run([mariadbd, "--no-defaults", "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, check=False)
    found = re.search(r"Ver (\d+\.\d+\.\d+)", answer.stdout)
    if found is None:
        raise Failure(f"{mariadbd} --version says {answer.stdout.strip()!r}: is it MariaDB?")
    return found.group(1)


def system_tables(mariadbd):
    """The SQL files that make the system tables, in their order."""
    base = os.path.dirname(os.path.dirname(os.path.realpath(mariadbd)))
    folders = [os.path.join(base, "share", name) for name in ("mysql", "mariadb", "")]
    for folder in folders + ["/usr/share/mysql", "/usr/share/mariadb"]:
        for start in ("mysql_", "mariadb_"):
            files = [os.path.join(folder, start + name) for name in _SYSTEM_TABLES]
            if all(os.path.isfile(file) for file in files):
                return files
    raise Failure(
        f"the SQL files that make a new database are not beside {mariadbd} (looked in {', '.join(folders)}): "
        "install the whole server package, such as mariadb-server-core"
    )
