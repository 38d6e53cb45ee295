"""What the first process becomes when the chat has moved on to another.

Whoever started the chat knows it by the number of its first process: a shell, a container, a
service manager, a pid file.  So that process stays, as this script, for as long as there is a chat.
It passes signals on, and ends as the chat ends.  It is run by its path and by itself, so that it
holds next to nothing.  Usage: ``watch.py [PIDFILE]``.

Each chat that starts the next one is gone soon after; what it has started then becomes a child of
this process, which is a *subreaper* (prctl(2)).
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress

PR_SET_CHILD_SUBREAPER = 36
SI_KERNEL = 0x80
"""The ``si_code`` of a signal that a terminal sends: it sends it to the chat as well."""
LEAVING = signal.SIGUSR1
"""With this a child says that it is about to end, and is told that this is known."""
PASSED_ON = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2))
WATCHED = PASSED_ON | {signal.SIGCHLD, LEAVING}


def prepare() -> None:
    """Make this process ready to become the watch: nothing is lost from now on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def watch() -> int:
    """Pass signals on until no child is left; give the status of the last one."""
    status = 0
    leaving: set[int] = set()
    waiting: list[int] = []
    while True:
        status, some_are_left = _bury(status)
        if not some_are_left:
            return status
        if heirs := [child for child in _children() if child not in leaving]:
            for number in waiting:
                _pass_on(number, heirs)
            waiting.clear()
        received = signal.sigwaitinfo(WATCHED)
        if received.si_signo == LEAVING and received.si_pid in _children():
            leaving.add(received.si_pid)
            _pass_on(LEAVING, [received.si_pid])
        elif received.si_signo in PASSED_ON and received.si_code != SI_KERNEL:
            waiting.append(received.si_signo)


def take_leave() -> None:
    """Have the watch, whose child this process is, pass nothing more on to it.

    Signals must be blocked; what has come until now is pending.
    """
    os.kill(os.getppid(), LEAVING)
    signal.sigtimedwait([LEAVING], 1.0)


def _pass_on(number: int, children: Iterable[int]) -> None:
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, number)


def _bury(status: int) -> tuple[int, bool]:
    """Take note of the children that have ended; tell whether any are left."""
    while True:
        try:
            child, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status, False
        if not child:
            return status, True
        status = ended


def _children() -> Iterable[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as children:
        return [int(child) for child in children.read().split()]


def _end(status: int) -> None:
    """End in the way in which the chat has ended."""
    if os.WIFSIGNALED(status):
        with suppress(OSError):  # some have no other way
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def main() -> None:
    """Be the watch."""
    prepare()
    status = watch()
    for pid_file in sys.argv[1:]:
        with suppress(OSError):
            os.unlink(pid_file)
    _end(status)


if __name__ == "__main__":
    main()
