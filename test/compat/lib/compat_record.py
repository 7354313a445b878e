"""What the scripts of the stack COMPAT do: they write down everything that an agent tells a script, and end as the test has said.

A line of JSON for each run goes to ran.jsonl below the agent's prefix. behaviour/ROLE-COMMAND.json there says what else a script does
(of a hook behaviour/HOOK.json), so that a test can tell it without a new package. Lies in a folder of its own, as the libraries of
published stacks do: the agent's python_path leads to it.
"""
import json
import os
import subprocess
import sys
import time


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def run(name=None):
    """Writes down this run and behaves. `name`: of a hook, for its behaviour."""
    argv = sys.argv
    prefix = os.environ["HOWDAH_PREFIX"]
    folder = os.path.join(prefix, "compat")
    os.makedirs(folder, exist_ok=True)
    with open(argv[2]) as file:
        command = json.load(file)
    here = os.path.dirname(os.path.abspath(argv[0]))
    line = json.dumps({
        "script": argv[0],
        "argv": argv[1:],
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "command": command,
        "mode": oct(os.stat(argv[2]).st_mode & 0o777),
        "structured": read(argv[4]),
        "stdin": sys.stdin.read(),
        "session": [os.getpid(), os.getpgid(0), os.getsid(0)],
        "descriptors": sorted(int(each) for each in os.listdir("/proc/self/fd")),
        "interpreter": sys.executable,
        "beside": sorted(os.listdir(here)),
        "version": read(os.path.join(argv[3], "version.txt")),
    })
    file = os.open(os.path.join(folder, "ran.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, (line + "\n").encode())
    os.close(file)
    behave(prefix, name or f"{command['role']}-{argv[1]}", argv)


def run_hook_first(name):
    """Runs another hook of the same package before this one, as the hooks of published stacks run before-ANY."""
    own = os.path.basename(sys.argv[3])
    script, command, file, folder, *rest = sys.argv
    args = [script.replace(own, name), name.split("-")[1], file, folder.replace(own, name), *rest]
    if subprocess.call([sys.executable, *args]) != 0:
        sys.exit(f"hook {name} failed")


def behave(prefix, name, argv):
    """Does what behaviour/NAME.json says; nothing without one."""
    text = read(os.path.join(prefix, "behaviour", name + ".json"))
    how = json.loads(text) if text else {}
    print(how.get("out", f"{name} ran"), flush=True)
    if "error" in how:
        print(how["error"], file=sys.stderr, flush=True)
    if "structured" in how:
        with open(argv[4], "w") as file:
            file.write(how["structured"])
    if "spawn" in how:
        # One that leaves its parents and their session, as a daemon would.
        subprocess.Popen(how["spawn"], start_new_session=True)
    while "wait_for" in how and not os.path.exists(how["wait_for"]):
        time.sleep(0.02)
    if "fail_times" in how:
        counter = os.path.join(prefix, "compat", name + ".count")
        count = int(read(counter) or 0) + 1
        with open(counter, "w") as file:
            file.write(str(count))
        if count <= how["fail_times"]:
            sys.exit(how.get("exit", 1))
        return
    sys.exit(how.get("exit", 0))
