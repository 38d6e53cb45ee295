"""A node of a cluster: all that it has to do with Redis, begun and ended in order."""

from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any

from twisted_chat.chat import snapshot
from twisted_chat.chat.limits import ACCOUNTS_A_DAY, DAY_SECONDS
from twisted_chat.chat.rooms import Rooms
from twisted_chat.cluster.membership import LEASE_SECONDS
from twisted_chat.cluster.redis import RedisBackplane
from twisted_chat.cluster.sending import PATIENCE_SECONDS
from twisted_chat.cluster.stream import Stream
from twisted_chat.link import Link, Target
from twisted_chat.state.redis import KEEP_LINES, KEEP_SECONDS, RedisStore
from twisted_chat.state.redis_quota import RedisQuota
from twisted_chat.wire.turn import end_of_turn


def _new_token() -> str:
    return token_hex(4)


class Node:
    """One of many chats that are one: give it to a `ChatService`."""

    def __init__(
        self,
        reactor: Any,
        target: Target,
        name: str = "node",
        *,
        keep_seconds: float = KEEP_SECONDS,
        keep_lines: int = KEEP_LINES,
        lease: float = LEASE_SECONDS,
        patience: float = PATIENCE_SECONDS,
        token: Callable[[], str] = _new_token,
    ) -> None:
        """
        :param target: where Redis is.
        :param name: tells this node from the others, in logs; letters, digits, dashes.
        :param keep_seconds: for how long lines are kept.
        :param keep_lines: how many lines of a room are kept.
        :param lease: seconds after which the others take it for gone if it says nothing.
        :param patience: seconds for which lines wait while Redis is away; then they are refused.
        :param token: makes what nobody else makes.
        """
        link, reading = self._links = Link(reactor, target), Link(reactor, target)
        self._turn = end_of_turn(reactor)
        self.backplane = RedisBackplane(
            reactor,
            Stream(link, reading),
            link,
            name,
            token=token,
            turn=self._turn,
            lease=lease,
            patience=patience,
        )
        self.store = RedisStore(
            reactor,
            link,
            name,
            keep_seconds=keep_seconds,
            keep_lines=keep_lines,
            version=lambda: self.backplane.last,
        )
        self.quota = RedisQuota(link, ACCOUNTS_A_DAY, DAY_SECONDS)

    def start(
        self, rooms: Rooms, left: Mapping[str, Any] | None, ready: Callable[[], None]
    ) -> None:
        """Take part, as soon as Redis is there.

        :param left: what `freeze` gave in the process before this one, if there was one.
        :param ready: called once accounts can be asked for.
        """
        self._ready = ready
        self._links[0].watch(self._be_ready, lambda _why: None)
        self.store.emptied = lambda: _keep_anew(rooms)
        if left is not None:
            snapshot.load(rooms, left["rooms"])
        for link in self._links:
            link.start()
        self.backplane.start(rooms, self.store.kept, self.store.begin, left and left["backplane"])
        if left is not None:
            rooms.empower()  # as it was told by now

    def _be_ready(self) -> None:
        ready, self._ready = self._ready, lambda: None
        ready()

    async def freeze(self, rooms: Rooms) -> dict[str, Any]:
        """Stop where it is, and give what another process needs to go on, as plain JSON data.

        :raises OSError: Redis has not taken everything in time.
        """
        return {"backplane": await self.backplane.freeze(), "rooms": snapshot.take(rooms)}

    def thaw(self) -> None:
        """Go on where `freeze` has stopped."""
        self.backplane.thaw()

    async def stop(self) -> None:
        """Let out what waits, and go."""
        await self.backplane.leave()
        await self.store.close()
        for link in self._links:
            await link.stop()
        self._turn.close()


def _keep_anew(rooms: Rooms) -> None:
    """Have everything kept that is known of the rooms: Redis has lost it."""
    for room in snapshot.remembered(rooms).rooms:
        used = rooms.rooms.get(room.id)
        rooms.store.keep(room._replace(empty_since=None) if used else room)
