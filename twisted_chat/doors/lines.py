"""Lines that come over a stream: they are cut, held back, and given on in order."""

from collections.abc import Mapping
from math import inf
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.protocols.basic import LineReceiver

from twisted_chat.doors.keepalive import is_broken
from twisted_chat.wire.http import OPENING
from twisted_chat.wire.telnet import Found, Scanner, found_from_record, found_record

LINES_A_TURN = 512
"""How many lines of one connection are obeyed before the others get a turn."""
AT_ONCE = 1e-9
"""Seconds until the next turn: no time, but not none."""


class Traffic:
    """What the lines of all connections together have come to."""

    __slots__ = ("bytes", "delay_seconds", "delays", "lines")

    def __init__(self) -> None:
        self.lines = 0
        self.bytes = 0
        """That have come in, as all lines and whatever else was sent."""
        self.delays = 0
        """How often lines were held back."""
        self.delay_seconds = 0.0
        """For how long, in all."""


class HeldLines(LineReceiver):
    """A `LineReceiver` in contract: ``lineReceived``, and ``pauseProducing``, which keeps lines
    and their order.

    Only the cutting into lines is another's: the `Scanner` knows telnet, and cuts a segment of
    short lines a hundred times as fast.
    """

    transport: Any

    def __init__(self, clock: Any, longest: int, traffic: Traffic) -> None:
        """
        :param clock: calls later.
        :param longest: bytes in a line.
        """
        self._clock = clock
        self._traffic = traffic
        self._scanner: Any = Scanner(longest)  # a door may have a `Terminal` in its stead
        self._found: list[Found] = []  # in reverse: the next is the last
        self._clean = False
        """Whether all that was found is printable ASCII."""
        self._opening = b""
        self._spoke = False
        self._pause: IDelayedCall | None = None
        self._is_frozen = False

    # What is the door's

    @property
    def is_listening(self) -> bool:
        """Whether there is anybody for whom lines are."""
        raise NotImplementedError

    def signalReceived(self, signal: Found) -> None:
        """Deal with what is found besides lines."""
        raise NotImplementedError

    def linesFound(self) -> None:
        """Take note that somebody has said something."""
        raise NotImplementedError

    def pauseWanted(self) -> float:
        """Tell for how many seconds no line is wanted; `math.inf` for until `_proceed`."""
        raise NotImplementedError

    # What comes in

    def dataReceived(self, data: bytes) -> None:
        self._traffic.bytes += len(data)
        if not self.is_listening:
            return
        if not self._spoke:
            self._opening += data[: OPENING - len(self._opening)]
        if data or not self._found:
            self._take(self._scanner.feed(data))
        self._serve()

    def _take(self, found: list[Found]) -> None:
        if not found:
            return
        self._traffic.lines += len(found)
        self.linesFound()
        found.reverse()
        self._clean = self._scanner.clean and (self._clean or not self._found)
        self._found = found + self._found

    def _serve(self) -> None:
        """Give what was found, until the rest has to wait."""
        found = self._found
        served = 0
        while found and not self.paused:
            one = found.pop()
            if one.__class__ is bytes:
                self.lineReceived(one)
            else:
                self.signalReceived(one)
            served += 1
            if served == LINES_A_TURN:
                break
        if (found or self._scanner.behind) and not self.paused:
            self._hold(AT_ONCE)

    # Holding back

    def _hold(self, seconds: float) -> None:
        """Give no line for a while, or until `_proceed`."""
        if not seconds or not self.is_listening:
            return
        if not self.paused:
            self.pauseProducing()
        if AT_ONCE < seconds < inf:
            self._traffic.delays += 1
            self._traffic.delay_seconds += seconds
        if seconds != inf:
            self._pause = self._clock.callLater(seconds, self._proceed)

    def _proceed(self) -> None:
        """Give lines again, if nothing stands against it."""
        if not self.paused or self._is_frozen or not self.is_listening:
            return
        if self._pause is not None and self._pause.active():
            return
        if is_broken(self.transport):
            self.transport.abortConnection()
        elif wait := self.pauseWanted():
            self._hold(wait)
        else:
            self.resumeProducing()

    def _forget_lines(self) -> None:
        """Have nothing given any more."""
        self._found.clear()
        if self._pause is not None and self._pause.active():
            self._pause.cancel()

    def freeze(self) -> None:
        """Take nothing in until `thaw`."""
        self._is_frozen = True
        self.pauseProducing()

    def thaw(self) -> None:
        """Go on as if nothing had been."""
        self._is_frozen = False
        if self.is_listening:
            self._proceed()
        else:
            self.resumeProducing()

    # Moving to another process

    def _lines_record(self) -> dict[str, Any]:
        """Give where the lines stand, as plain JSON data."""
        return {
            "scanner": self._scanner.to_record(),
            "found": [found_record(one) for one in self._found],
            "clean": self._clean,
            "opening": self._opening.decode("latin-1"),
            "spoke": self._spoke,
        }

    def _lines_from(self, record: Mapping[str, Any], longest: int) -> None:
        """Have the lines stand where `_lines_record` told."""
        self._scanner = Scanner.from_record(record["scanner"], longest)
        self._found = [found_from_record(one) for one in record["found"]]
        self._clean = record["clean"]
        self._opening = record["opening"].encode("latin-1")
        self._spoke = record["spoke"]
