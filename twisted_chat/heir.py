"""The process that goes on with the chat: how it is started, and how the one before it goes.

Only the first process ever stays, as the watch (``watch.py``): it is the one that people know.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fcntl import F_GETFL, F_SETFL, fcntl
from pathlib import Path
from typing import Any, NoReturn

from twisted.python.reflect import qual

from twisted_chat import watch
from twisted_chat.handover import Channel

VARIABLE = "TCPCHAT_HEIR"
"""Tells a process that it is one, and through which descriptor it is given the chat."""


class Heir:
    """A process that was started to go on with the chat."""

    def __init__(self, command: Sequence[str], directory: Path) -> None:
        """
        :param directory: in which the command has its meaning.
        :raises OSError: it cannot be started.
        """
        ours, theirs = socket.socketpair()
        with theirs, _signals_wait():  # also in the heir, until it can take them
            number = theirs.fileno()
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=directory,
                    env={**os.environ, VARIABLE: str(number)},
                    pass_fds=[number],
                )
            except OSError:
                ours.close()
                raise
        self.channel = Channel(ours)

    def take_signals(self) -> None:
        """Pass on to it the signals that wait here."""
        for number in signal.sigpending() & watch.PASSED_ON:
            self.send_signal(number)

    def send_signal(self, number: int) -> None:
        """Pass a signal on to it."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it, and return once it is gone: it must not go on as well."""
        self._process.kill()
        self._process.wait()
        self.channel.close()


def command(twistd: Mapping[str, Any], arguments: Sequence[str], directory: Path) -> list[str]:
    """Give the command that starts the chat anew, as it was started, in the foreground.

    :param twistd: the options of twistd itself.
    :param arguments: those of ``tcpchat``.
    :param directory: in which it was started.
    """
    given = ["-n", "--pidfile=", f"--rundir={Path.cwd()}"]
    for option in ("reactor", "prefix"):
        if twistd.get(option):
            given.append(f"--{option}={twistd[option]}")
    if logger := twistd.get("logger"):  # by now it is what its name has stood for
        given.append(f"--logger={qual(logger)}")
    if twistd.get("syslog"):
        given.append("--syslog")
    elif log := log_file(twistd, directory):
        given.append(f"--logfile={log}")
    # -P: what lies about in the directory is no part of the program
    run = "from twisted.scripts.twistd import run; run()"
    return [sys.executable, "-P", "-c", run, *given, "tcpchat", *arguments]


def channel() -> Channel | None:
    """Give the channel to the process before this one, if this one was started to go on."""
    number = os.environ.pop(VARIABLE, None)
    return Channel(socket.socket(fileno=int(number))) if number else None


def log_file(twistd: Mapping[str, Any], directory: Path) -> Path | None:
    """Give the file that twistd logs to, if it is one.

    :param twistd: its options.
    :param directory: in which it was started: it opens the file before it goes elsewhere.
    """
    default = "-" if twistd.get("nodaemon", True) else "twistd.log"
    name = twistd.get("logfile") or default
    return None if twistd.get("syslog") or name == "-" else directory / name


def share_log(path: Path) -> None:
    """Have what this process logs to a file added at its end, whoever else writes there."""
    if not path.exists():  # a --logger of one's own may have no use for it
        return
    here = path.stat()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one that lists them is closed by now
            if os.path.samestat(os.fstat(int(name)), here):
                flags = fcntl(int(name), F_GETFL)
                fcntl(int(name), F_SETFL, flags | os.O_APPEND)


def let_signals_in() -> None:
    """Take signals, also those that have come before they could be taken."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, watch.WATCHED)


@contextmanager
def _signals_wait() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watch.WATCHED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def go(new: Heir, is_first: bool, pid_file: str) -> NoReturn:
    """Leave the chat to the heir: stay as the watch, or end.

    Everything else would shut down the sockets, which the heir has as well.

    :param is_first: whether this is the process that people know.
    :param pid_file: to be removed in the end; empty if there is none.
    """
    watch.prepare()
    if not is_first:
        watch.take_leave()
        new.take_signals()
        os._exit(0)
    files = [os.path.abspath(pid_file)] if pid_file else []
    os.execv(sys.executable, [sys.executable, "-I", "-S", watch.__file__, *files])
