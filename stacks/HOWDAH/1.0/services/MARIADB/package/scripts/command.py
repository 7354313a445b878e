"""What a command script is given, and how it answers.

Every script is run as
`python3 SCRIPT COMMAND command-N.json BASEDIR structured-out-N.json LOGLEVEL TMPDIR PROTOCOL CA_CERT`
and ends with 0 when the command is done, 1 when not.
"""

import json
import os
import sys
import traceback


class Failure(Exception):
    """Raised when a command cannot be done; its text tells the operator why and what to do."""


class Command:
    """One command for this host: the parts of command-N.json the scripts use."""

    def __init__(self, name, document, structured_out_path, environment=os.environ):
        self.name = name
        self._document = document
        self._structured_out_path = structured_out_path
        self._environment = environment

    @property
    def role(self):
        return self._document.get("role", "")

    @property
    def host(self):
        """This host's name in the cluster, as the lists of hosts spell it."""
        name = self._document.get("agentLevelParams", {}).get("hostname")
        if not name:
            raise Failure("the command has no agentLevelParams.hostname, so this host does not know its own name")
        return name

    @property
    def all_hosts(self):
        return self._document.get("clusterHostInfo", {}).get("all_hosts", [])

    def hosts_of(self, component):
        """The hosts of a component, such as "MARIADB_PRIMARY"; empty when it has none."""
        return self._document.get("clusterHostInfo", {}).get(component.lower() + "_hosts", [])

    def configuration(self, config_type):
        return self._document.get("configurations", {}).get(config_type, {})

    @property
    def prefix(self):
        """The agent's own folder, below which an instance lives by default."""
        prefix = self._environment.get("HOWDAH_PREFIX")
        if not prefix:
            raise Failure("HOWDAH_PREFIX is not set: it must name the agent's folder, such as /var/lib/howdah-agent")
        return prefix

    def report(self, **values):
        """Adds to the command's structured output, which hooks and script share."""
        try:
            with open(self._structured_out_path, encoding="utf-8") as file:
                known = json.load(file)
        except (FileNotFoundError, ValueError):
            known = {}
        known.update(values)
        replacement = self._structured_out_path + ".new"
        with open(replacement, "w", encoding="utf-8") as file:
            json.dump(known, file, indent=2)
        os.replace(replacement, self._structured_out_path)


def read_command(argv):
    if len(argv) < 5:
        raise Failure(f"usage: {argv[0]} COMMAND command-N.json BASEDIR structured-out-N.json [LOGLEVEL TMPDIR PROTOCOL CA_CERT]")
    with open(argv[2], encoding="utf-8") as file:
        return Command(argv[1].upper(), json.load(file), argv[4])


def run(handlers, argv=None):
    """Runs the handler of the command that argv names, and exits."""
    sys.stdout.reconfigure(line_buffering=True)
    try:
        command = read_command(argv or sys.argv)
        handler = handlers.get(command.name)
        if handler is None:
            raise Failure(f"{command.role} has no command {command.name}; it has {', '.join(sorted(handlers))}")
        handler(command)
    except Failure as failure:
        print(f"Error: {failure}", file=sys.stderr)
        sys.exit(1)
    except Exception:  # a defect: the trace is what its mender needs
        traceback.print_exc()
        sys.exit(1)
