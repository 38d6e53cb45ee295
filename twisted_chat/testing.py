"""Doubles for tests, of this project and of those that build on it."""

from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_chat.accounts.gate import Gate
from twisted_chat.accounts.hashing import Hasher
from twisted_chat.assembly import assemble
from twisted_chat.chat.events import ChatError, Ending, Event
from twisted_chat.chat.limits import Limits
from twisted_chat.chat.rooms import Rooms
from twisted_chat.histogram import Histogram
from twisted_chat.interfaces import IBackplane, IChatPlugin, IClient, IFormat, IStore
from twisted_chat.state.memory import MemoryStore
from twisted_chat.wire.text import PLAIN

__all__ = ["DelayedBackplane", "ManualClock", "ManualWorker", "RecordingClient", "rooms"]

T = TypeVar("T")


class ManualClock(Clock):
    """A clock that is moved by hand, with a reactor's turns: ``turn()`` ends one."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        """
        :param now: UTC seconds.
        """
        super().__init__()
        self.rightNow = now
        self._at_the_end: deque[Callable[[], None]] = deque()

    def end_of_turn(self, function: Callable[[], None]) -> None:
        """Have ``function`` called at the end of the turn."""
        self._at_the_end.append(function)

    def turn(self) -> None:
        """End the turn, and all those that this brings about."""
        self.advance(0)
        while self._at_the_end:
            self.step()

    def step(self) -> None:
        """Do only the next of what the end of the turn brings about."""
        self._at_the_end.popleft()()
        self.advance(0)


@implementer(IClient)
class RecordingClient:
    """A client that keeps what it is sent."""

    def __init__(self, format: IFormat = PLAIN, echo: bool = False) -> None:  # noqa: A002
        self.format = format
        self.echo = echo
        self.received = b""
        self.exposed = False
        self.concealed = False
        self.closed: str | None = None
        """Why it was closed, None while it is open."""
        self.ending: Ending | None = None

    def send(self, data: bytes) -> None:
        if self.closed is None:
            self.received += data

    def conceal(self, hidden: bool) -> None:
        self.concealed = hidden

    def close(self, reason: str, ending: Ending = Ending.OVER) -> None:
        self.closed, self.ending = reason, ending

    def lines(self) -> list[str]:
        """Give the lines received since the last call, without their ends."""
        lines = self.received.decode().split("\r\n")
        self.received = b""
        return lines[:-1]


class ManualWorker:
    """Does things at the end of the turn, in this thread; give it to a store as its ``worker``."""

    def __init__(self, clock: ManualClock, name: str = "") -> None:
        self._clock = clock
        self.name = name
        self._hurried = False
        self._resting: IDelayedCall | None = None

    def do(self, task: Callable[[], T], rest: float = 0.0) -> "Deferred[T]":
        done: Deferred[T] = Deferred()

        def attempt() -> None:
            try:
                answer = partial(done.callback, task())
            except Exception:
                answer = partial(done.errback, Failure())
            self._resting = self._clock.callLater(0 if self._hurried else rest, answer)

        self._clock.end_of_turn(attempt)
        return done

    def hurry(self) -> None:
        self._hurried = True
        if self._resting and self._resting.active():
            self._resting.reset(0)

    def stop(self) -> None:
        """Nothing: there is no thread."""


@implementer(IBackplane)
class DelayedBackplane:
    """Numbers and applies one turn later, on any number of nodes: as a cluster would.

    Each node gets its own copy of an event.
    """

    trouble = ""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._nodes: list[tuple[Callable[[Event], None], Callable[[Event], None]]] = []
        self._underway: deque[tuple[Event, Deferred[Event] | None]] = deque()
        self.last = int(clock.seconds() * 1_000_000)
        self.lag = Histogram()

    def subscribe(self, admit: Callable[[Event], None], apply: Callable[[Event], None]) -> None:
        self._nodes.append((admit, apply))

    def resume(self, after: int) -> None:
        self.last = max(self.last, after)

    def publish(self, event: Event) -> None:
        self._send(event, None)

    def claim(self, event: Event) -> "Deferred[Event]":
        applied: Deferred[Event] = Deferred()
        self._send(event, applied)
        return applied

    def _send(self, event: Event, applied: "Deferred[Event] | None") -> None:
        self._underway.append((event, applied))
        self._clock.end_of_turn(self._deliver)

    def _deliver(self) -> None:
        event, applied = self._underway.popleft()
        self.last += 1
        event.id, event.time = self.last, self._clock.seconds()
        if applied is not None:
            try:
                self._nodes[0][0](event)
            except ChatError as refused:
                applied.errback(refused)
                return
        for _, apply in self._nodes:
            apply(copy(event))
        if applied is not None:
            applied.callback(event)


def rooms(
    clock: ManualClock | None = None,
    backplane: IBackplane | None = None,
    store: IStore | None = None,
    limits: Limits | None = None,
    operators: Sequence[str] = (),
    *,
    plugins: Sequence[IChatPlugin] = (),
) -> Rooms:
    """Make a chat on a manual clock; without flood control, unless ``limits`` say so.

    :param operators: the names of the accounts of those who run the server.
    """
    clock = clock or ManualClock()
    limits = limits or Limits(flood=None)
    store = store or MemoryStore()
    quick = Hasher([ManualWorker(clock)], time_cost=1, memory_cost=8, parallelism=1)
    accounts = Gate(store, quick, clock.seconds)
    return assemble(
        clock,
        limits,
        store=store,
        backplane=backplane,
        turn=clock.end_of_turn,
        accounts=accounts,
        operators=operators,
        plugins=plugins,
    )
