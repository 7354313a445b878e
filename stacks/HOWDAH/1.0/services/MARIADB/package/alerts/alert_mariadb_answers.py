"""An alert of MARIADB_PRIMARY and MARIADB_REPLICA: whether this host's server takes a log-in.

A PORT alert would not do: the port depends on the host's place in the list of hosts, and the server counts connections without a log-in
as failed ones.
"""

import os
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scripts"))

from command import Command, Failure  # noqa: E402
from instance import Settings  # noqa: E402
from mysql_client import Connection, MysqlError, ProtocolError  # noqa: E402

ENV = "{{mariadb-env}}"
HOSTS = "{{/clusterHostInfo/all_hosts}}"
WARNING_S = "answer.warning.threshold"
CRITICAL_S = "answer.critical.threshold"

# The server's "access denied".
DENIED = 1045


def get_tokens():
    """What decides where the server listens, and the account."""
    return (ENV, HOSTS)


def execute(configurations={}, parameters={}, host_name=None):
    """OK, WARNING or CRITICAL; UNKNOWN where the configuration says no address."""
    document = {
        "configurations": {"mariadb-env": configurations.get(ENV, {})},
        "clusterHostInfo": {"all_hosts": configurations.get(HOSTS, [])},
    }
    settings = Settings(Command("", document, ""))
    warning_s = number(parameters, WARNING_S, 1.5)
    critical_s = number(parameters, CRITICAL_S, 5.0)
    try:
        address, port = settings.address_of(host_name)
        user, password = settings.replication_user, settings.replication_password
    except Failure as failure:
        return "UNKNOWN", [str(failure)]
    where = "%s:%d" % (address, port)
    began = time.monotonic()
    try:
        Connection(host=address, port=port, user=user, password=password, timeout=critical_s).close()
    except MysqlError as error:
        if error.errno == DENIED:
            return "WARNING", ["MariaDB at %s refuses the account %s: restart the component, so that it takes up the password" % (where, user)]
        return "CRITICAL", ["MariaDB at %s refuses a log-in: %s" % (where, error)]
    except ProtocolError as error:
        return "CRITICAL", ["what answers at %s is no MariaDB: %s" % (where, error)]
    except OSError as error:
        return "CRITICAL", ["MariaDB does not answer at %s: %s" % (where, error.strerror or error)]
    # No times in the texts: each text that differs from the last one is told and stored.
    took_s = time.monotonic() - began
    if took_s >= critical_s:
        return "CRITICAL", ["MariaDB answers at %s, but a log-in takes %g s or longer" % (where, critical_s)]
    if took_s >= warning_s:
        return "WARNING", ["MariaDB answers at %s, but a log-in takes %g s or longer" % (where, warning_s)]
    return "OK", ["MariaDB answers at %s" % where]


def number(parameters, name, otherwise):
    """A parameter as a number of seconds above 0; the default where it is none."""
    try:
        value = float(parameters[name])
    except (KeyError, TypeError, ValueError):
        return otherwise
    return value if 0 < value < 1e6 else otherwise
