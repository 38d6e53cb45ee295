"""The end of a reactor turn."""

import os
from collections.abc import Callable

from twisted.internet.interfaces import IReactorFDSet, IReactorFromThreads, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IReadDescriptor)
class EndOfTurn:
    """Calls functions once the reactor has dealt with everything that is here now.

    ``callLater(0)`` would do, but it follows the wall clock: set back by an hour, it would hold
    all output for an hour.  An event counter that becomes readable is as cheap, and has no clock.
    """

    log = Logger()

    def __init__(self, reactor: IReactorFDSet) -> None:
        self._reactor = reactor
        self._waiting: list[Callable[[], None]] = []
        self._counter: int | None = None

    def __call__(self, function: Callable[[], None]) -> None:
        """Have ``function`` called at the end of the turn."""
        self._waiting.append(function)
        if len(self._waiting) > 1:
            return
        if self._counter is None:  # not before a daemon has forked
            self._counter = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._reactor.addReader(self)
        os.eventfd_write(self._counter, 1)

    def close(self) -> None:
        """Give the event counter back; what waits is not called."""
        self._waiting.clear()
        if self._counter is None:
            return
        self._reactor.removeReader(self)
        os.close(self._counter)
        self._counter = None

    # IReadDescriptor

    def fileno(self) -> int:
        return -1 if self._counter is None else self._counter

    def doRead(self) -> None:
        os.eventfd_read(self.fileno())
        waiting, self._waiting = self._waiting, []
        for function in waiting:
            try:
                function()
            except Exception:  # or the reactor would close this, and the others would wait for ever
                self.log.failure("something went wrong at the end of a turn")

    def connectionLost(self, reason: Failure) -> None:  # the reactor ends
        self.close()

    def logPrefix(self) -> str:
        return "EndOfTurn"


class NextTurn:
    """Does the same where there are no event counters, at three times the cost."""

    def __init__(self, reactor: object) -> None:
        self._reactor = IReactorFromThreads(reactor)

    def __call__(self, function: Callable[[], None]) -> None:
        """Have ``function`` called in the next turn."""
        self._reactor.callFromThread(function)

    def close(self) -> None:
        """Nothing: it holds nothing."""


def end_of_turn(reactor: object) -> EndOfTurn | NextTurn:
    """Give the cheapest way that ``reactor`` and this system have to call at a turn's end."""
    if hasattr(os, "eventfd") and IReactorFDSet.providedBy(reactor):
        return EndOfTurn(reactor)
    return NextTurn(reactor)
