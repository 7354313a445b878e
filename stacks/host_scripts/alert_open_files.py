"""An alert of a host: how many files what the agent starts may have open."""

import resource

WARNING_FILES = "ulimit.warning.threshold"
CRITICAL_FILES = "ulimit.critical.threshold"


def get_tokens():
    """The configurations that it looks at: none."""
    return ()


def execute(configurations={}, parameters={}, host_name=None):
    """Gives the state, and the limit."""
    del configurations, host_name
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = limit == resource.RLIM_INFINITY
    text = ["The limit of open files is %s" % ("none" if unlimited else limit)]
    if unlimited or limit >= number(parameters, CRITICAL_FILES, 800000):
        return "CRITICAL", text
    if limit >= number(parameters, WARNING_FILES, 200000):
        return "WARNING", text
    return "OK", text


def number(parameters, name, otherwise):
    """A parameter as a number; the default where it is none."""
    try:
        return float(parameters[name])
    except (KeyError, TypeError, ValueError):
        return otherwise
