"""Before every INSTALL: is there room on the disk of the agent's folder? Full disks are found before, not in, an installation."""

import json
import os
import shutil
import sys


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        command = json.load(file)
    setting = command.get("configurations", {}).get("cluster-env", {}).get("minimum_free_mb", "512")
    if not str(setting).isdigit():
        sys.exit(f"Error: cluster-env/minimum_free_mb is {setting!r}: it must be a whole number of MiB")
    folder = os.environ.get("HOWDAH_PREFIX", "/")
    free_mb = shutil.disk_usage(folder).free // (1 << 20)
    if free_mb < int(setting):
        sys.exit(
            f"Error: {folder} has {free_mb} MiB free, and {command.get('role')} needs {setting} MiB: "
            "free some space, or lower cluster-env/minimum_free_mb"
        )
    print(f"{folder} has {free_mb} MiB free ({setting} are needed).")


if __name__ == "__main__":
    main()
