"""After every INSTALL: notes in the agent's folder what was installed, by which task and when, for people and inventories."""

import fcntl
import json
import os
import sys
from datetime import datetime, timezone


def add(path, command):
    try:
        with open(path, encoding="utf-8") as file:
            installed = json.load(file)
    except (FileNotFoundError, ValueError):
        installed = {}
    cluster = command.get("clusterLevelParams", {})
    installed[command["role"]] = {
        "service": command.get("serviceName"),
        "stack": f"{cluster.get('stack_name', 'unknown')}-{cluster.get('stack_version', 'unknown')}",
        "taskId": command.get("taskId"),
        "installedAt": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(installed, file, indent=2, sort_keys=True)
    os.replace(path + ".new", path)


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        command = json.load(file)
    path = os.path.join(os.environ["HOWDAH_PREFIX"], "installed.json")
    # Several tasks of a host may end at once: one at a time reads, adds and writes.
    with open(path + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        add(path, command)
    print(f"Noted {command['role']} in {path}.")


if __name__ == "__main__":
    main()
