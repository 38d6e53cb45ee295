"""Two nodes of a town with a real Redis server between them, on the town's own clock."""

import atexit
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

from redis_server import RedisServer
from twisted.internet.defer import ensureDeferred
from twisted.internet.selectreactor import SelectReactor

from twisted_chat.chat.kept import Kept
from twisted_chat.chat.rooms import Rooms
from twisted_chat.cluster.redis import RedisBackplane
from twisted_chat.cluster.stream import Entry, Stream
from twisted_chat.link import Link, Target
from twisted_chat.testing import ManualClock

SECONDS = 3.0
"""That anything may take, of real time."""
LEASE = 1e6
"""Seconds: whatever the town's clock does, nobody is reaped."""


class TownStream(Stream):
    """A stream in which it is as late as in the town."""

    def __init__(self, link: Link, reading: Link, clock: ManualClock) -> None:
        super().__init__(link, reading)
        self._clock = clock

    async def read(self, after: int) -> list[tuple[int, Entry | None]]:
        now = self._clock.seconds
        return [(id_, one and one._replace(time=now())) for id_, one in await super().read(after)]


class Wires:
    """A server, and the links to it of one town at a time; what waits for them is real."""

    def __init__(self) -> None:
        directory = Path(tempfile.mkdtemp())
        self.server = RedisServer(directory / "redis")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        atexit.register(self.server.end)
        self.reactor = SelectReactor()
        self.backplanes: list[RedisBackplane] = []
        self._links: list[Link] = []

    def clear(self) -> None:
        """Have the town before this one be over."""
        for backplane in self.backplanes:
            backplane._halt()
        stopped: list[object] = []
        for link in self._links:
            ensureDeferred(link.stop()).addCallback(stopped.append)
        self.wait(lambda: len(stopped) == len(self._links))
        self.backplanes, self._links = [], []
        self.server.flushall()

    def add(self, clock: ManualClock, number: int) -> RedisBackplane:
        """Give the backplane of one more node."""
        # by a name, it would be looked up in a thread, and those need a reactor that runs
        link, reading = (Link(self.reactor, Target(path=self.server.socket)) for _ in range(2))
        self._links += [link, reading]
        backplane = RedisBackplane(
            clock,
            TownStream(link, reading, clock),
            link,
            "node",
            token=lambda: str(number),
            turn=clock.end_of_turn,
            lease=LEASE,
        )
        self.backplanes.append(backplane)
        return backplane

    def start(self, backplane: RedisBackplane, rooms: Rooms, clock: "RedisClock") -> None:
        """Have a node take part."""

        async def nothing() -> Kept:
            return Kept()

        backplane.start(rooms, nothing, lambda _version: None)
        begin = 2 * self.backplanes.index(backplane)
        links = self._links[begin : begin + 2]
        for link in links:
            link.start()
        self.wait(lambda: all(link.is_up for link in links))

        def is_inside() -> bool:
            clock.advance(0.001)
            return backplane.is_inside

        self.wait(is_inside)
        clock.turn()

    def wait(self, condition: Callable[[], Any]) -> None:
        end = monotonic() + SECONDS
        while not condition():
            assert monotonic() < end, "Redis does not answer"
            self.reactor.iterate(0.001)


@cache
def wires() -> Wires:
    """Give the one server that all towns use, one after the other."""
    return Wires()


class RedisClock(ManualClock):
    """A clock whose turns end when all nodes have heard of everything."""

    def turn(self) -> None:
        super().turn()
        lines = wires()
        while not _have_settled(lines.backplanes):
            lines.wait(lambda: self._has_moved(lines.backplanes))
            super().turn()

    def _has_moved(self, backplanes: Sequence[RedisBackplane]) -> bool:
        super().turn()
        return _have_settled(backplanes)


def _have_settled(backplanes: Sequence[RedisBackplane]) -> bool:
    inside = [backplane for backplane in backplanes if backplane.is_inside]
    together = len({backplane.last for backplane in inside}) <= 1
    return together and not any(backplane.has_more for backplane in inside)
