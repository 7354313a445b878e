"""Checks a host before something is installed on it: the custom action check_host.

Called as python3 check_host.py ACTIONEXECUTE COMMAND_FILE BASE_FOLDER STRUCTURED_OUT ...

commandParams.check_execute_list names what to check, with commas between; the result of each is in the structured output under its name.
A check that finds something wrong says so there (exit_code 1); only db_connection_check fails the task.
"""
import configparser
import datetime
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys

# What stacks of Hadoop's world call their users, folders, packages and alternatives.
STACK_NAMES = frozenset(
    "accumulo ambari-qa ams atlas druid falcon flink flume hadoop hadoop-hdfs hadoop-mapreduce hadoop-yarn hbase hcat hdfs hive"
    " hive-hcatalog hue infra-solr kafka knox kudu livy mahout mapred nifi oozie ozone phoenix pig ranger slider solr spark spark2"
    " spark3 sqoop storm superset tez yarn yarn-ats zeppelin zookeeper".split()
)
STACK_FOLDERS = ("/etc", "/opt", "/usr/lib", "/var/lib", "/var/log", "/var/run", "/var/tmp", "/tmp")
BEFORE_CLEANUP = ("last_agent_env_check", "installed_packages", "existing_repos", "transparentHugePage")
COMMAND_SECONDS = 60


def text_of(path):
    """The text of a small file; empty when it cannot be read."""
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def output_of(*args):
    """What a program writes; None when it is not there or does not end well in time."""
    if shutil.which(args[0]) is None:
        return None
    try:
        done = subprocess.run(
            args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=COMMAND_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def check_java_home(params):
    java_home = params.get("java_home") or ""
    if not java_home:
        return {"exit_code": 1, "message": "java_home is not given"}
    java = os.path.join(java_home, "bin", "java")
    if os.path.isfile(java) and os.access(java, os.X_OK):
        return {"exit_code": 0, "message": "Java home exists!"}
    return {"exit_code": 1, "message": "Java home doesn't exist!"}


DEFAULT_PORTS = {"mysql": 3306, "mariadb": 3306, "postgresql": 5432, "postgres": 5432, "oracle": 1521, "sqlserver": 1433}


def database_address(url):
    """Host and port of a JDBC URL such as jdbc:mysql://db.example.com:3306/hive; None when it has none."""
    found = re.match(r"^(?:jdbc:)?(\w+):(?:\w+:)?@?/{0,2}(\[[^\]]+\]|[^:/;?@]+)(?::(\d+))?", url)
    if found is None:
        return None
    port = int(found.group(3)) if found.group(3) else DEFAULT_PORTS.get(found.group(1).lower())
    return None if port is None else (found.group(2).strip("[]"), port)


def check_db_connection(params):
    url = params.get("db_connection_url") or ""
    address = database_address(url)
    if address is None:
        return {"exit_code": 1, "message": "db_connection_url %r names no host and port" % url}
    host, port = address
    try:
        socket.create_connection(address, timeout=10).close()
    except OSError as error:
        return {"exit_code": 1, "message": "the database at %s port %d cannot be reached: %s" % (host, port, error)}
    return {
        "exit_code": 0,
        "message": "the database at %s port %d takes connections; whether it lets the user in was not tried, since that needs Java"
        " and a JDBC driver" % (host, port),
    }


def check_host_resolution(params):
    hosts = [host.strip() for host in (params.get("hosts") or "").split(",") if host.strip()]
    failures = []
    for host in hosts:
        try:
            socket.getaddrinfo(host, None)
        except (OSError, UnicodeError) as error:
            failures.append({"host": host, "type": "FORWARD_LOOKUP", "cause": [str(error)]})
    message = "All hosts resolved to an IP address."
    if failures:
        message = "There were %d host(s) that could not resolve to an IP address." % len(failures)
    return {
        "exit_code": 0,
        "message": message,
        "failed_count": len(failures),
        "success_count": len(hosts) - len(failures),
        "failures": failures,
        "hosts_with_failures": [failure["host"] for failure in failures],
    }


def huge_pages():
    found = re.search(r"\[(\w+)\]", text_of("/sys/kernel/mm/transparent_hugepage/enabled"))
    return found.group(1) if found else ""


def check_huge_pages(_params):
    return {"exit_code": 0, "message": huge_pages()}


def process_names():
    return {text_of(path).strip() for path in glob.glob("/proc/[0-9]*/comm")}


def java_processes():
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        words = text_of(path).split("\0")
        if os.path.basename(words[0]) != "java":
            continue
        folder = os.path.dirname(path)
        stack = any(name in word for word in words for name in STACK_NAMES)
        uid = re.search(r"^Uid:\s+(\d+)", text_of(os.path.join(folder, "status")), re.M)
        process = {"pid": int(os.path.basename(folder)), "hadoop": stack, "command": " ".join(words).strip()[:1000]}
        process["user"] = uid.group(1) if uid else ""
        found.append(process)
    return found


def existing_users():
    rows = (line.split(":") for line in text_of("/etc/passwd").splitlines())
    return [
        {
            "name": row[0],
            "homeDir": row[5],
            "status": "Available" if os.path.exists(row[5]) else "Invalid home directory",
        }
        for row in rows
        if len(row) > 5 and row[0] in STACK_NAMES
    ]


def stack_folders():
    paths = (os.path.join(place, name) for place in STACK_FOLDERS for name in sorted(STACK_NAMES))
    return [
        {"name": path, "type": "directory" if os.path.isdir(path) else "file"} for path in paths if os.path.lexists(path)
    ]


def alternatives():
    found = []
    for path in sorted(glob.glob("/etc/alternatives/*")):
        name = os.path.basename(path)
        if re.sub(r"-(?:conf|client|server)$", "", name) in STACK_NAMES and os.path.islink(path):
            found.append({"name": name, "target": os.readlink(path)})
    return found


def check_agent_env(_params):
    running = process_names()
    clock = next((name for name in ("chronyd", "ntpd", "systemd-timesyn", "openntpd", "ptp4l") if name in running), None)
    umask = re.search(r"^Umask:\s*([0-7]+)", text_of("/proc/self/status"), re.M)
    ufw = re.search(r"^ENABLED=yes", text_of("/etc/ufw/ufw.conf"), re.M) is not None
    try:
        name = socket.getfqdn()
        reverse = socket.gethostbyaddr(socket.gethostbyname(name))[0] == name
    except OSError:
        reverse = False
    return {
        "exit_code": 0,
        "message": "",
        "hostHealth": {
            "activeJavaProcs": java_processes(),
            "agentTimeStampAtReporting": int(datetime.datetime.now().timestamp() * 1000),
            "liveServices": [
                {"name": clock or "ntpd or chronyd", "status": "Healthy" if clock else "Unhealthy", "desc": ""}
            ],
        },
        "umask": str(int(umask.group(1), 8)) if umask else "",
        "transparentHugePage": huge_pages(),
        "firewallRunning": ufw or "firewalld" in running,
        "firewallName": "ufw" if ufw else "firewalld",
        "reverseLookup": reverse,
        "hasUnlimitedJcePolicy": None,
        "alternatives": alternatives(),
        "existingUsers": existing_users(),
        "stackFoldersAndFiles": stack_folders(),
    }


def check_packages(_params):
    listed = output_of("dpkg-query", "-W", "-f", "${Package}\\t${Version}\\n")
    if listed is None:
        listed = output_of("rpm", "-qa", "--queryformat", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n")
    rows = (line.split("\t") for line in (listed or "").splitlines())
    return [
        {"name": row[0], "version": row[1], "repoName": ""}
        for row in rows
        if len(row) == 2 and re.split(r"[-_]", row[0])[0] in STACK_NAMES
    ]


def check_repositories(_params):
    found = []
    for path in sorted(glob.glob("/etc/yum.repos.d/*.repo") + glob.glob("/etc/zypp/repos.d/*.repo")):
        found += re.findall(r"^\[([^\]]+)\]", text_of(path), re.M)
    for path in ["/etc/apt/sources.list"] + sorted(glob.glob("/etc/apt/sources.list.d/*.list")):
        found += re.findall(r"^deb\s+(?:\[[^\]]*\]\s+)?(.+?)\s*$", text_of(path), re.M)
    for path in sorted(glob.glob("/etc/apt/sources.list.d/*.sources")):
        found += re.findall(r"^URIs:\s*(.+?)\s*$", text_of(path), re.M)
    return found


CHECKS = {
    "java_home_check": check_java_home,
    "db_connection_check": check_db_connection,
    "host_resolution_check": check_host_resolution,
    "last_agent_env_check": check_agent_env,
    "installed_packages": check_packages,
    "existing_repos": check_repositories,
    "transparentHugePage": check_huge_pages,
}


def write_result(path, sections):
    """An ini file for who cleans the host up, as Ambari's HostCleanup reads it."""
    config = configparser.RawConfigParser()
    config["metadata"] = {"created": str(datetime.datetime.now())}
    for section, lists in sections.items():
        config[section] = {key: ",".join(values) for key, values in lists.items()}
    with open(path + ".new", "w") as file:
        config.write(file)
    os.replace(path + ".new", path)


def names_of(entries):
    return [entry["name"] for entry in entries]


def write_results(folder, results):
    if "last_agent_env_check" in results:
        env = results["last_agent_env_check"]
        links = env.get("alternatives", [])
        sections = {
            "users": {"usr_list": names_of(env.get("existingUsers", []))},
            "alternatives": {"symlink_list": names_of(links), "target_list": [link["target"] for link in links]},
            "directories": {"dir_list": names_of(env.get("stackFoldersAndFiles", []))},
            "processes": {
                "proc_list": [
                    str(one["pid"]) for one in env.get("hostHealth", {}).get("activeJavaProcs", []) if one["hadoop"]
                ]
            },
        }
        write_result(os.path.join(folder, "hostcheck.result"), sections)
    if "installed_packages" in results or "existing_repos" in results:
        packages = results.get("installed_packages", [])
        repositories = results.get("existing_repos", [])
        sections = {
            "packages": {"pkg_list": names_of(packages) if isinstance(packages, list) else []},
            "repositories": {"repo_list": repositories if isinstance(repositories, list) else []},
        }
        write_result(os.path.join(folder, "hostcheck_custom_actions.result"), sections)


def run_checks(params):
    asked = [name.strip() for name in str(params.get("check_execute_list") or "").split(",")]
    names = []
    for name in filter(None, asked):
        names += BEFORE_CLEANUP if name == "*BEFORE_CLEANUP_HOST_CHECKS*" else [name]
    results = {}
    for name in names:
        if name not in CHECKS:
            results[name] = {"exit_code": 1, "message": "there is no such check; there are " + ", ".join(CHECKS)}
            continue
        try:
            results[name] = CHECKS[name](params)
        except Exception as error:  # what one check meets must not hide the others' results
            results[name] = {"exit_code": 1, "message": "%s: %s" % (type(error).__name__, error)}
    return results


def main(argv):
    command_file, structured_out = argv[2], argv[4]
    with open(command_file) as file:
        params = json.load(file).get("commandParams") or {}
    results = run_checks(params)
    with open(structured_out, "w") as file:
        json.dump(results, file)
    if not results:
        print("commandParams.check_execute_list names no check; there are " + ", ".join(CHECKS), file=sys.stderr)
        return 1
    for name, result in results.items():
        told = result.get("message") or "done" if isinstance(result, dict) else "%d found" % len(result)
        print("%s: %s" % (name, told))
    try:
        write_results(os.path.dirname(os.path.abspath(command_file)), results)
    except OSError as error:
        print("the results for cleaning up could not be written: %s" % error, file=sys.stderr)
    database = results.get("db_connection_check")
    if database is not None and database["exit_code"] != 0:
        print(database["message"], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
