"""The server's process on this host: finding it, starting it detached, asking it to stop."""

import os
import signal
import time

from command import Failure


def running_pid(instance):
    """The pid of this instance's mariadbd, or None. Found by its command line, so that a stale pid file fools nobody."""
    try:
        with open(instance.pid_file, encoding="ascii") as file:
            pid = int(file.read())
        if _runs(pid, instance):
            return pid
    except (FileNotFoundError, ValueError):
        pass
    # A server that has not written its pid file yet, or whose file was removed.
    for name in os.listdir("/proc"):
        if name.isdigit() and _runs(int(name), instance):
            return int(name)
    return None


def _runs(pid, instance):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            arguments = file.read().split(b"\0")
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read().rpartition(b")")[2].split()[0]
    except OSError:
        return False  # it has ended
    return _defaults_option(instance) in arguments and state != b"Z"


def _defaults_option(instance):
    return os.fsencode(f"--defaults-file={instance.defaults_file}")


def start_detached(mariadbd, instance):
    """Starts mariadbd in a session of its own, with none of this command's environment. The pid."""
    log = os.open(instance.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    owner = instance.owner()
    if owner:
        os.chown(instance.log_file, owner.pw_uid, owner.pw_gid)
    nothing = os.open(os.devnull, os.O_RDONLY)
    # The agent ends a command's whole tree and knows it by a mark in the environment: the server must outlive
    # the command, so it keeps neither the mark nor, thanks to the second fork, the parent.
    environment = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "TZ", "HOME") if key in os.environ}
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            grandchild = os.fork()
            if grandchild:
                os.write(writer, str(grandchild).encode("ascii"))
                os._exit(0)
            os.dup2(nothing, 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            # All but the pipe, which the exec itself closes: so the parent goes on when this is mariadbd, by whose
            # command line it is known, and not a moment before.
            os.closerange(3, writer)
            os.closerange(writer + 1, 4096)
            os.chdir("/")
            os.umask(0o027)
            os.execve(mariadbd, [mariadbd, f"--defaults-file={instance.defaults_file}"], environment)
        except OSError as error:
            os.write(2, f"cannot run {mariadbd}: {error}\n".encode())
        finally:
            os._exit(127)
    os.close(writer)
    os.close(log)
    os.close(nothing)
    with os.fdopen(reader, "rb") as pipe:
        pid = pipe.read()
    os.waitpid(child, 0)
    return int(pid)


def stop(pid, instance, timeout_s):
    """Asks the server to shut down and waits until it has."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise Failure(f"mariadbd (pid {pid}) belongs to another user, and the agent may not stop it: run the agent as the same user as before") from None
    deadline = time.monotonic() + timeout_s
    while _runs(pid, instance):
        if time.monotonic() > deadline:
            raise Failure(
                f"mariadbd (pid {pid}) is still shutting down after {timeout_s} s. It was not killed; see {instance.log_file}, "
                "wait and run STOP again, or raise mariadb-env/stop_timeout_s"
            )
        time.sleep(0.05)


def last_lines(path, count=15):
    """The end of a log, for an error's text."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16384))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        lines = []
    if not lines:
        return "  (nothing)"
    return "\n".join("  " + line for line in lines[-count:])
