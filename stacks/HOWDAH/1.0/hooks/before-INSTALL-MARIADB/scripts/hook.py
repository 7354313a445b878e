"""Before an INSTALL of MARIADB: is the server's package on this host, and new enough?"""

import json
import os
import re
import shutil
import subprocess
import sys

# GTID replication, unix_socket log-in and the privileges the service grants have all settled by then.
OLDEST = (10, 6)
FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/mysql/bin", "/usr/local/mariadb/bin"]


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        role = json.load(file).get("role")
    if role == "MARIADB_CLIENT":
        return  # a client is a configuration file; it needs no server
    mariadbd = shutil.which("mariadbd", path=os.pathsep.join([os.environ.get("PATH", ""), *FOLDERS]))
    if mariadbd is None:
        sys.exit(
            "Error: MariaDB's server program, mariadbd, is not on this host: install the package mariadb-server-core "
            "(Debian, Ubuntu: apt-get install mariadb-server-core) or mariadb-server (RHEL, SUSE), then run this again"
        )
    answer = subprocess.run([mariadbd, "--no-defaults", "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, check=False).stdout
    found = re.search(r"Ver (\d+)\.(\d+)\.\d+-MariaDB", answer)
    if found is None or (int(found.group(1)), int(found.group(2))) < OLDEST:
        sys.exit(f"Error: {mariadbd} is {answer.strip()!r}: MariaDB {OLDEST[0]}.{OLDEST[1]} or newer is needed")
    print(f"{mariadbd} is MariaDB {found.group(1)}.{found.group(2)}.")


if __name__ == "__main__":
    main()
