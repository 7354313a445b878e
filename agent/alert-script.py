"""Runs one script of an alert for the agent: reads what it needs as JSON from stdin, writes what it found as one line of JSON to
descriptor 3, and ends. Python 3.6 or later, its standard library only."""
import importlib.util
import json
import os
import re
import sys
import traceback
import types

STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN", "SKIPPED")
LONGEST_TEXT = 10000


def look_up(root, path):
    """What {{path}} names; None when there is no such thing."""
    if path.startswith("/"):
        names = path[1:].split("/")
    else:
        names = ["configurations"] + path.split("/", 1)
    value = root
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def resolve(root, token):
    """A token's value: a token that is one placeholder has the value itself, be it a dict; any other a text."""
    whole = re.match(r"^\{\{([^{}]+)\}\}$", token)
    if whole:
        return look_up(root, whole.group(1))
    names = re.findall(r"\{\{([^{}]+)\}\}", token)
    text = token
    for name in names:
        value = look_up(root, name)
        if value is None:
            return None
        text = text.replace("{{" + name + "}}", str(value))
    return text


def configurations_of(root, tokens):
    found = {}
    for token in tokens or ():
        value = resolve(root, str(token))
        if value is not None:
            found[token] = value
    return found


def parameters_of(source):
    """Each parameter's value by its name; numbers as numbers, however they are written."""
    found = {}
    listed = source.get("parameters")
    for parameter in listed if isinstance(listed, list) else ():
        if not isinstance(parameter, dict) or "name" not in parameter or "value" not in parameter:
            continue
        value = parameter["value"]
        if parameter.get("type") in ("NUMERIC", "PERCENT") and isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                pass
        found[parameter["name"]] = value
    found.setdefault("kerberos.kinit.timer", 14400000)
    return found


class AmbariConfig:
    """What scripts ask of the settings of Ambari's agent, where they import it and it is not there: how to speak TLS."""

    @staticmethod
    def get_resolved_config(*_):
        return AmbariConfig()

    def get_force_https_protocol_name(self):
        return "PROTOCOL_TLSv1_2"

    def get_force_https_protocol_value(self):
        import ssl  # it takes its time to load
        return ssl.PROTOCOL_TLSv1_2

    def get_ca_cert_file_path(self):
        return ""

    def get(self, section, name, default=None):
        return default


def stand_in_for_agent():
    if importlib.util.find_spec("ambari_agent") is not None:
        return
    package = types.ModuleType("ambari_agent")
    package.__path__ = []
    module = types.ModuleType("ambari_agent.AmbariConfig")
    module.AmbariConfig = AmbariConfig
    package.AmbariConfig = module
    sys.modules.update({package.__name__: package, module.__name__: module})


def load(path):
    # Its neighbours can be imported, but cannot take the place of anything else.
    sys.path.append(os.path.dirname(path))
    stand_in_for_agent()
    spec = importlib.util.spec_from_file_location("howdah_alert_script", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def stack_environment(request):
    """What Ambari's library wants around its resources; where a script has not imported it, nothing."""
    if "resource_management" not in sys.modules:
        return None
    try:
        from resource_management.core.environment import Environment
    except ImportError:
        return None
    return Environment(request["baseDir"], tmp_dir=request["tmpDir"])


def execute(module, request, configurations, parameters):
    environment = stack_environment(request)
    if environment is None:
        return module.execute(configurations, parameters, request["hostName"])
    with environment:
        return module.execute(configurations, parameters, request["hostName"])


def check(request):
    module = load(request["path"])
    tokens = module.get_tokens() if hasattr(module, "get_tokens") else ()
    configurations = configurations_of(request["root"], tokens)
    parameters = parameters_of(json.loads(request["source"]))
    found = execute(module, request, configurations, parameters)
    if not isinstance(found, (tuple, list)) or len(found) == 0 or found[0] not in STATES:
        raise TypeError("it returned %.200r instead of (state, [text])" % (found,))
    text = found[1] if len(found) > 1 else ""
    if isinstance(text, (tuple, list)):
        text = text[0] if len(text) > 0 else ""
    return {"state": found[0], "text": str(text)[:LONGEST_TEXT]}


def main():
    os.set_inheritable(3, False)
    request = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        answer = check(request)
    except BaseException as error:  # SystemExit too
        traceback.print_exc()
        answer = {"error": ("%s: %s" % (type(error).__name__, error))[:LONGEST_TEXT]}
    os.write(3, json.dumps(answer).encode("ascii") + b"\n")
    sys.stderr.flush()
    # Whatever the script has left running in this process is over too.
    os._exit(0)


main()
