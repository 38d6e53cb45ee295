"""What a service manager is told of the chat: sd_notify(3) of systemd."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from socket import AF_UNIX, SOCK_DGRAM, socket
from typing import Any

from twisted.internet.task import LoopingCall

STATUS_SECONDS = 5.0
"""Between two looks at how many are there; nothing is told while that stays as it was."""

LEAVING = "letting people go"


def crowd(people: int, rooms: int) -> str:
    """Say how many are there, in the words of ``systemctl status``."""
    return f"{people} {_of(people, 'person', 'people')} in {rooms} {_of(rooms, 'room', 'rooms')}"


class Notifier:
    """Tells a service manager how the chat is, and that it lives; nobody, if none is named.

    What cannot be sent at once is not sent: the chat waits for nobody.  The environment is only
    read, for it is also that of the process to which the chat may be handed over.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        clock: Any,
        status: Callable[[], str],
        *,
        is_heir: bool = False,
        nanoseconds: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """
        :param environment: with ``NOTIFY_SOCKET``, and ``WATCHDOG_USEC`` where signs of life are
            wanted.
        :param clock: the reactor; only as long as it turns there are signs of life.
        :param status: says in one line how the chat is.
        :param is_heir: whether the chat came here from the process that was started, which alone
            ``WATCHDOG_PID`` names.
        :param nanoseconds: of CLOCK_MONOTONIC.
        """
        self._environment = environment
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._status = status
        self._is_heir = is_heir
        self._nanoseconds = nanoseconds
        self._told = ""
        self._is_leaving = False
        self._telling = LoopingCall(self._tell_status)
        self._living = LoopingCall(self._send, "WATCHDOG=1")
        self._telling.clock = self._living.clock = clock

    def ready(self) -> None:
        """Tell that people can come, and from now on how many are there."""
        if not self._address or self._is_leaving or self._telling.running:
            return
        self._told = ""
        self._telling.start(STATUS_SECONDS)
        pulse = _pulse(self._environment, self._is_heir)
        if pulse and not self._living.running:
            self._living.start(pulse)

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Tell that the chat reads its files again, and when it has."""
        self._pause()
        if not self._is_leaving:
            self._send("RELOADING=1", f"MONOTONIC_USEC={self._nanoseconds() // 1000}")
        try:
            yield
        finally:
            self.ready()

    def stopping(self) -> None:
        """Tell that the chat goes; signs of life go on, for that may take a while."""
        self._pause()
        self._is_leaving = True
        self._send("STOPPING=1", f"STATUS={LEAVING}")

    def main_pid(self, pid: int) -> None:
        """Tell which process is the main one from now on."""
        self._send(f"MAINPID={pid}")

    def silence(self) -> None:
        """Tell nothing any more: from now on another process speaks for the chat."""
        self._pause()
        if self._living.running:
            self._living.stop()
        self._address = ""

    def _pause(self) -> None:
        if self._telling.running:
            self._telling.stop()

    def _tell_status(self) -> None:
        status = self._status()
        # To say again that all is ready does no harm, and the first word of it may be lost.
        if status != self._told and self._send("READY=1", f"STATUS={status}"):
            self._told = status

    def _send(self, *lines: str) -> bool:
        """Send what sd_notify(3) calls a state, and tell whether that was possible."""
        if not self._address:
            return False
        try:
            with socket(AF_UNIX, SOCK_DGRAM) as wire:
                wire.setblocking(False)
                wire.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return False
        return True


def _address(name: str) -> str:
    """Give the address of a socket: a path, or what unix(7) calls an abstract name."""
    if name.startswith("@"):
        return f"\0{name[1:]}"
    return name if name.startswith("/") else ""


def _pulse(environment: Mapping[str, str], is_heir: bool) -> float:
    """Give the seconds between two signs of life, as sd_watchdog_enabled(3) has them; 0: none."""
    if not is_heir and environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        microseconds = int(environment.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return 0.0
    return max(0, microseconds) / 1e6 / 2


def _of(number: int, one: str, many: str) -> str:
    return one if number == 1 else many
