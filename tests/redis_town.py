"""Nodes of a town with a real Redis server between them, in step with the town's own clock.

What goes to the server and comes from it is real; but it is waited for in each turn, and read by
one node after the other.  So the same happens whenever the same is done.
"""

import atexit
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

from redis_server import RedisServer
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.selectreactor import SelectReactor

from twisted_chat.chat.kept import Kept
from twisted_chat.chat.rooms import Rooms
from twisted_chat.cluster.membership import POLL_SECONDS
from twisted_chat.cluster.redis import RedisBackplane
from twisted_chat.cluster.stream import EVENTS, Entry, Stream
from twisted_chat.link import Link, Target
from twisted_chat.link.link import CALL_SECONDS
from twisted_chat.testing import ManualClock

SECONDS = 10.0
"""That anything may take, of real time."""
NODES = 2
SKEW = 0.3
"""Seconds by which the clock of a node may be ahead: what counts is the time of an event."""
LEASE = 1e9
"""Seconds: whatever the town's clock does, nobody is reaped."""


class Wire(Link):
    """A link that stays up while towns come and go, and knows what is under way on it."""

    asked = 0
    """How often it was called."""
    waiting = 0
    """How many calls have no answer yet."""

    def watch(self, up: Callable[[], None], down: Callable[[str], None]) -> None:
        """Nothing: backplanes would be kept that are no more."""

    async def call(self, *command: Any, seconds: float = CALL_SECONDS) -> Any:
        self.asked += 1
        self.waiting += 1
        try:
            return await super().call(*command, seconds=seconds)
        finally:
            self.waiting -= 1


class Wires:
    """A server, and two links to it for each node of a town; one town uses them at a time."""

    def __init__(self) -> None:
        directory = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        self.server = RedisServer(directory / "redis")
        atexit.register(self.server.end)
        self._reactor = SelectReactor()
        # by a name, it would be looked up in a thread, and those need a reactor that runs
        target = Target(path=self.server.socket)
        self.pairs = [
            (Wire(self._reactor, target), Wire(self._reactor, target)) for _ in range(NODES)
        ]
        self._all = [wire for pair in self.pairs for wire in pair]
        for wire in self._all:
            wire.start()

    @property
    def asked(self) -> int:
        return sum(wire.asked for wire in self._all)

    def clear(self) -> None:
        """Have the server know nothing of the town before."""
        self.rest()
        self.ask("FLUSHALL")

    def rest(self) -> None:
        """Wait until all is answered that was asked."""
        end = monotonic() + SECONDS
        while not all(wire.is_up and not wire.waiting for wire in self._all):
            assert monotonic() < end, "Redis does not answer"
            self._reactor.iterate(0.01)

    def ask(self, *command: Any) -> Any:
        """Ask the server something, and wait for the answer."""
        answers: list[Any] = []
        ensureDeferred(self._all[0].call(*command)).addBoth(answers.append)
        self.rest()
        return answers[0]

    @property
    def top(self) -> int:
        """The id of the newest entry of the stream."""
        newest = self.ask("XREVRANGE", EVENTS, "+", "-", "COUNT", 1)
        return int(newest[0][0].partition(b"-")[0]) if newest else 0


class Gate:
    """Where something waits until it may go on."""

    def __init__(self) -> None:
        self._waiting: list[Deferred[None]] = []

    def passed(self) -> "Deferred[None]":
        """Give what is called once this may go on."""
        self._waiting.append(Deferred())
        return self._waiting[-1]

    def opens(self) -> bool:
        """Let what came first go on; tell whether there was anything."""
        if not self._waiting:
            return False
        self._waiting.pop(0).callback(None)
        return True


@cache
def wires() -> Wires:
    """Give the one server that all towns use, one after the other."""
    return Wires()


class TownStream(Stream):
    """A stream in which it is as late as in the town, and which goes on when the town says so."""

    def __init__(self, link: Link, reading: Link, clock: ManualClock, writing: Gate) -> None:
        """
        :param writing: passed by all nodes, one after the other.
        """
        super().__init__(link, reading)
        self._clock = clock
        self._writing, self.answering, self.reading = writing, Gate(), Gate()
        self._appended = 0

    async def append(
        self, epoch: bytes, node: str, lease: float, seen: int, events: Sequence[Any]
    ) -> tuple[str, int, int]:
        """Append events; every other answer comes only after the events themselves."""
        await self._writing.passed()
        answer = await super().append(epoch, node, lease, seen, events)
        self._appended += bool(events)
        if events and self._appended % 2:
            await self.answering.passed()
        return answer

    async def read(self, after: int) -> list[tuple[int, Entry | None]]:
        await self.reading.passed()
        now = self._clock.seconds()
        return [(id_, one and one._replace(time=now)) for id_, one in await super().read(after)]


class RedisClock(ManualClock):
    """A clock whose turns end when every node has heard of everything."""

    def __init__(self) -> None:
        super().__init__()
        self._wires = wires()
        self._wires.clear()
        self._seen = self._wires.asked
        self._nodes: deque[tuple[RedisBackplane, TownStream]] = deque()
        self._token = count(1)
        self._writing = Gate()

    def backplane(self) -> RedisBackplane:
        """Make the backplane of one more node."""
        link, reading = self._wires.pairs[len(self._nodes)]
        stream = TownStream(link, reading, self, self._writing)
        backplane = RedisBackplane(
            self,
            stream,
            link,
            "node",
            token=lambda: str(next(self._token)),
            turn=self.end_of_turn,
            lease=LEASE,
        )
        self._nodes.append((backplane, stream))
        return backplane

    def have_take_part(self, rooms: Rooms, kept: Kept) -> None:
        """Have a node take part, and begin with what is kept if it is the first."""

        async def found() -> Kept:
            return kept

        backplane = rooms.backplane
        assert isinstance(backplane, RedisBackplane)
        backplane.start(rooms, found, lambda _version, _is_first: None)
        self.turn()
        end = self.seconds() + SECONDS
        while not backplane.is_inside:
            assert self.seconds() < end, "a node does not come in"
            self.advance(POLL_SECONDS)
            self.turn()

    def turn(self) -> None:
        self._end_turn()
        while self._goes_on():
            self._end_turn()
        assert not any(backplane.has_more for backplane, _ in self._nodes)

    def _end_turn(self) -> None:
        self.advance(0)
        while self._at_the_end:
            super().step()

    def step(self) -> None:
        """Do only the next, and all that comes of it between here and the server."""
        super().step()
        while self._goes_on():
            pass

    def _goes_on(self) -> bool:
        """Let something be done that the server was asked for, and tell whether that was so.

        One node hears of what is new, and may react to it, before the next one does.
        """
        while self._writing.opens():
            self._wires.rest()
        if self._wires.asked == self._seen:
            return False
        self._wires.rest()
        top = self._wires.top
        self._nodes.rotate()
        for backplane, stream in self._nodes:
            if backplane.is_inside and (before := backplane.last) < top:
                stream.reading.opens()
                self._wires.rest()
                assert backplane.last > before, "a node does not hear of what is new"
                return True
        for _, stream in self._nodes:
            stream.answering.opens()
        self._seen = self._wires.asked
        return True
