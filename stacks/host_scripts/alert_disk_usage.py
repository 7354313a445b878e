"""An alert of a host: how full the file systems of / and of the agent's folder are."""

import os
import shutil

WARNING_PERCENT = "percent.used.space.warning.threshold"
CRITICAL_PERCENT = "percent.used.space.critical.threshold"
FREE_BYTES = "minimum.free.space"

STATES = ("OK", "WARNING", "CRITICAL")


def get_tokens():
    """The configurations that it looks at: none."""
    return ()


def execute(configurations={}, parameters={}, host_name=None):
    """Gives the worst state of the file systems, and how each is."""
    del configurations, host_name
    warning = number(parameters, WARNING_PERCENT, 50)
    critical = number(parameters, CRITICAL_PERCENT, 80)
    free = number(parameters, FREE_BYTES, 5e9)
    found = []
    for path in file_systems(("/", os.getcwd())):
        try:
            usage = shutil.disk_usage(path)
        except OSError as error:
            return "UNKNOWN", ["%s cannot be looked at: %s" % (path, error.strerror)]
        found.append((judge(usage, warning, critical, free), describe(path, usage)))
    worst = max(state for state, _ in found)
    # What is worst first: a text may be cut.
    found.sort(key=lambda each: -each[0])
    return STATES[worst], ["; ".join(text for _, text in found)]


def number(parameters, name, otherwise):
    """A parameter as a number; the default where it is none."""
    try:
        return float(parameters[name])
    except (KeyError, TypeError, ValueError):
        return otherwise


def file_systems(paths):
    """The paths, of those on one file system only the first."""
    seen = {}
    for path in paths:
        try:
            seen.setdefault(os.stat(path).st_dev, path)
        except OSError:
            # It says so when it is looked at.
            seen.setdefault(path, path)
    return seen.values()


def judge(usage, warning, critical, free):
    """The state of a file system, an index of STATES."""
    percent = used_percent(usage)
    if percent >= critical:
        return 2
    if percent >= warning or usage.free < free:
        return 1
    return 0


def used_percent(usage):
    """How full it is for those who are not root: what is kept for root counts neither as free nor as used."""
    available = usage.used + usage.free
    return 100.0 * usage.used / available if available else 0.0


def describe(path, usage):
    """How a file system is, for people. In round numbers: each text that differs from the last one is told and stored."""
    return "%s is %d %% full: %s of %s are free" % (
        path,
        used_percent(usage),
        spoken(usage.free),
        spoken(usage.used + usage.free),
    )


def spoken(size):
    """A number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            break
        size /= 1000.0
    else:
        unit = "TB"
    return ("%.1f %s" if size < 10 else "%.0f %s") % (size, unit)
