"""Writes down that it ran, before anything else, then does what the test told it to.

$HOWDAH_PREFIX/ran.log gets a line `COMMAND ROLE TASK` for each run, by one O_APPEND write.
With HOWDAH_SCRIPT_LOG the file of that name gets, before even that, `start TASK STEP UPTIME PID`, and at the end
`end TASK STEP UPTIME EXIT LINES`; see test/src/chaos/command.sh.
$HOWDAH_PREFIX/behaviour/ROLE-COMMAND.json, if there, says what to do:
  {"wait_for": PATH}     wait until the file is there
  {"lines": N}           print so many lines, `NUMBER TASK` each
  {"seconds": N}         sleep for so long
  {"exit": N}            exit with that code
  {"run": [ARGV]}        become that program

STATUS, which is no task and runs by itself, does none of that: it looks for $HOWDAH_PREFIX/up/ROLE, which START makes and
STOP takes away.
"""

import json
import os
import sys
import time


def note(kind, *rest):
    path, task = os.environ.get("HOWDAH_SCRIPT_LOG"), os.environ.get("HOWDAH_TASK")
    if not path or not task:
        return
    with open("/proc/uptime") as file:
        uptime = file.read().split()[0]
    words = [kind, task, os.environ.get("HOWDAH_STEP", "?"), uptime, *rest]
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(log, (" ".join(map(str, words)) + "\n").encode())
    os.close(log)


def done():
    """Makes what STATUS looks for, or takes it away."""
    if command in ("START", "RESTART"):
        os.makedirs(os.path.dirname(up), exist_ok=True)
        open(up, "w").close()
    elif command in ("STOP", "UNINSTALL") and os.path.exists(up):
        os.remove(up)


command, command_file, structured_file = sys.argv[1], sys.argv[2], sys.argv[4]
if command != "STATUS":
    note("start", os.getpid())
with open(command_file) as file:
    spec = json.load(file)
role, prefix = spec["role"], os.environ["HOWDAH_PREFIX"]
up = os.path.join(prefix, "up", role)
if command == "STATUS":
    sys.exit(0 if os.path.exists(up) else "ComponentIsNotRunning")
task = spec["taskId"]

log = os.open(os.path.join(prefix, "ran.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
os.write(log, f"{command} {role} {task}\n".encode())
os.close(log)

greeting = spec.get("configurations", {}).get("store-env", {}).get("greeting", "no greeting")
print(f"{greeting} from {role} on {spec['agentLevelParams']['hostname']}: {command}", flush=True)

behaviour = {}
try:
    with open(os.path.join(prefix, "behaviour", f"{role}-{command}.json")) as file:
        behaviour = json.load(file)
except FileNotFoundError:
    pass

lines = behaviour.get("lines", 0)
for number in range(1, lines + 1):
    print(f"{number:08} {os.environ['HOWDAH_TASK']}")
sys.stdout.flush()
time.sleep(behaviour.get("seconds", 0))
if "wait_for" in behaviour:
    deadline = time.monotonic() + 100
    while not os.path.exists(behaviour["wait_for"]):
        if time.monotonic() > deadline:
            sys.exit("waited too long")
        time.sleep(0.02)
with open(structured_file, "w") as file:
    json.dump({"role": role, "hosts": spec.get("clusterHostInfo", {}).get("all_hosts", [])}, file)
if "run" in behaviour:
    done()
    os.execvp(behaviour["run"][0], behaviour["run"])
code = behaviour.get("exit", 0)
if code == 0:
    done()
else:
    print(f"{role} cannot {command}: told to exit with {code}", file=sys.stderr)
note("end", code, lines)
sys.exit(code)
