"""Which nodes take part, and how one comes in: it is given a snapshot by another."""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from twisted.internet.task import deferLater
from twisted.logger import Logger

from twisted_chat.chat import snapshot
from twisted_chat.chat.kept import Kept
from twisted_chat.chat.rooms import Rooms
from twisted_chat.cluster.stream import Entry, Registered, Stream
from twisted_chat.link import LinkError, RedisError

LEASE_SECONDS = 15.0
GIVEN_SECONDS = 5.0
"""For so long a node waits for a snapshot."""
POLL_SECONDS = 0.02
HELPERS = 3
"""Nodes that make a snapshot for one that comes in: any of them may go meanwhile."""


class Entrance(NamedTuple):
    """How a node has come in."""

    id: int
    """Of the event by which it takes part."""
    is_first: bool
    """Whether it found nobody there."""
    load: Callable[[], None]
    """Has the rules know the chat as of then."""


class Membership:
    """A node among the others, as an *incarnation*: another one whenever it begins anew."""

    log = Logger()

    def __init__(
        self, reactor: Any, stream: Stream, name: str, token: Callable[[], str], lease: float
    ) -> None:
        """
        :param name: of the node.
        :param token: makes what no other node has made.
        :param lease: seconds after which a node counts as gone that says nothing.
        """
        self._reactor = reactor
        self._stream = stream
        self._name, self._token = name, token
        self.lease = lease
        self.incarnation = ""
        self.epoch = b""
        """Another one once Redis has lost everything."""
        self.nodes: list[str] = []
        """The incarnations that take part, as of the last event."""
        self._before = ""
        """The incarnation that this node was before; empty if it was none."""
        self._rooms: Rooms
        self._found: Callable[[], Awaitable[Kept]]

    def begin(self, rooms: Rooms, found: Callable[[], Awaitable[Kept]]) -> None:
        """Be a first incarnation, still outside.

        :param found: gives what is kept of earlier times, for the first of the nodes.
        """
        self._rooms, self._found = rooms, found
        self._become_another()

    def go_on(self, rooms: Rooms, left: Mapping[str, Any]) -> None:
        """Be what this node was in the process before this one.

        :param left: what `to_record` gave.
        """
        self._rooms = rooms
        self.incarnation, self.nodes = left["incarnation"], left["nodes"]
        self.epoch = left["epoch"].encode()
        rooms.incarnation, rooms.arrivals = self.incarnation, left["arrivals"]

    def to_record(self) -> dict[str, Any]:
        """Give what another process needs to be the same, as plain JSON data."""
        return {
            "incarnation": self.incarnation,
            "epoch": self.epoch.decode(),
            "nodes": self.nodes,
            "arrivals": self._rooms.arrivals,
        }

    def drop_out(self) -> None:
        """Be another incarnation, outside."""
        self._before = self.incarnation
        self._become_another()

    def _become_another(self) -> None:
        self.incarnation = f"{self._name}-{self._token()}"
        self._rooms.incarnation, self._rooms.arrivals = self.incarnation, 0

    async def come_in(self, seen: int) -> Entrance:
        """Register, and find out what the chat is.

        :param seen: the last id that this node has seen.
        :raises LinkError, RedisError: that cannot be done now.
        """
        if self._before:  # or the others would see each of us twice
            await self.reap(seen, self._before)
        new = await self._stream.register(self._token(), self.incarnation, self.lease, seen)
        if new.others:
            load = self._joining(json.loads(await self._snapshot(new)))
            if not await self._stream.enter(new.epoch, self.incarnation, self.lease):
                raise LinkError("Redis was emptied meanwhile", sent=True)
        else:
            kept = snapshot.remembered(self._rooms) if self._before else await self._found()
            load = self._founding(kept)
        self.epoch = new.epoch
        self.log.info(
            "{node} takes part, beside {others}",
            node=self.incarnation,
            others=", ".join(new.others) or "no other node",
        )
        return Entrance(new.id, not new.others, load)

    def _joining(self, given: Mapping[str, Any]) -> Callable[[], None]:
        def load() -> None:
            self.nodes = list(given["nodes"])
            snapshot.load(self._rooms, given["rooms"])

        return load

    def _founding(self, kept: Kept) -> Callable[[], None]:
        def load() -> None:
            self.nodes = [self.incarnation]
            self._rooms.restore(kept)

        return load

    async def _snapshot(self, new: Registered) -> bytes:
        """Wait for what the chat was at an event.

        :raises LinkError: nobody gives it.
        """
        end = self._reactor.seconds() + GIVEN_SECONDS
        while self._reactor.seconds() < end:
            if found := await self._stream.given(new.id):
                return found
            if not await self._stream.is_one_there(new.others):
                break
            await deferLater(self._reactor, POLL_SECONDS)
        raise LinkError("no other node gives a snapshot", sent=False)

    # The others

    def greet(self, entry: Entry) -> None:
        """Take note of a node that comes in, and give it a snapshot."""
        others = [one for one in self.nodes if one != entry.node]
        self.nodes = [*others, entry.node]
        if self.incarnation in others[:HELPERS]:
            given = {"nodes": self.nodes, "rooms": snapshot.take(self._rooms)}
            data = json.dumps(given).encode()
            later = others.index(self.incarnation) * GIVEN_SECONDS / (HELPERS + 1)
            self._reactor.callLater(later, self._rooms.start, self._give(entry.id, data))

    async def _give(self, id_: int, data: bytes) -> None:
        with suppress(LinkError, RedisError):
            await self._stream.give(id_, data)

    async def reap(self, seen: int, node: str = "") -> None:
        """Have nodes take part no more whose leases are over, or one that is named."""
        await self._stream.reap(seen, self._rooms.limits.grace, node)

    def part(self, entry: Entry) -> bool:
        """Take note that a node is no more; tell whether it took part."""
        is_known = entry.node in self.nodes
        self.nodes = [one for one in self.nodes if one != entry.node]
        return is_known
