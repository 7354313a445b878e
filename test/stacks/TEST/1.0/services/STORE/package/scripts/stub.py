"""Writes down that it ran, before anything else, then does what the test told it to.

$HOWDAH_PREFIX/ran.log gets a line `COMMAND ROLE TASK` for each run, by one O_APPEND write.
$HOWDAH_PREFIX/behaviour/ROLE-COMMAND.json, if there, says what to do:
  {"wait_for": PATH}     wait until the file is there
  {"exit": N}            exit with that code
  {"run": [ARGV]}        become that program
"""

import json
import os
import sys
import time

command, command_file, structured_file = sys.argv[1], sys.argv[2], sys.argv[4]
with open(command_file) as file:
    spec = json.load(file)
role, task, prefix = spec["role"], spec["taskId"], os.environ["HOWDAH_PREFIX"]

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

if "wait_for" in behaviour:
    deadline = time.monotonic() + 100
    while not os.path.exists(behaviour["wait_for"]):
        if time.monotonic() > deadline:
            sys.exit("waited too long")
        time.sleep(0.02)
with open(structured_file, "w") as file:
    json.dump({"role": role, "hosts": spec.get("clusterHostInfo", {}).get("all_hosts", [])}, file)
if "run" in behaviour:
    os.execvp(behaviour["run"][0], behaviour["run"])
code = behaviour.get("exit", 0)
if code:
    print(f"{role} cannot {command}: told to exit with {code}", file=sys.stderr)
sys.exit(code)
