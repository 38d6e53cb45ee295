"""The stream that all nodes read: its entries, and what can be asked of Redis about it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from twisted_chat.link import Link, Script

EVENTS = "tcpchat:events"
NODES = "tcpchat:nodes"
SNAPSHOT = "tcpchat:snapshot:"
ENTRIES = 200_000
"""That stay in the stream, about: a node that falls behind further has to begin anew."""
READ_AT_ONCE = 200
BLOCK_SECONDS = 1.0
SNAPSHOT_SECONDS = 30

HELLO, GONE, CLAIMED, PUBLISHED = "hello", "gone", "c", "p"
_LAST = (1 << 64) - 1


class Entry(NamedTuple):
    """An entry of the stream."""

    id: int
    before: int
    """The id of the entry before it."""
    time: float
    node: str
    """The incarnation that it is of."""
    number: int
    kind: str
    data: bytes

    @classmethod
    def of(cls, id_: int, pairs: Sequence[bytes]) -> "Entry | None":
        """Make one of what Redis gives; None for what none of our scripts has written."""
        fields = dict(zip(pairs[::2], pairs[1::2], strict=False))
        try:
            return cls(
                id_,
                int(fields[b"p"]),
                int(fields[b"t"]) / 1_000_000,
                fields[b"i"].decode(),
                int(fields[b"s"]),
                fields[b"k"].decode(),
                fields[b"e"],
            )
        except (LookupError, ValueError):
            return None


class Registered(NamedTuple):
    """What a node is told that comes in."""

    epoch: bytes
    """Another one once Redis has lost everything."""
    id: int
    """Of the entry that tells the others."""
    others: Sequence[str]
    """The incarnations that are there."""


class Stream:
    """The stream, through two links: a blocked read would hold up everything else."""

    def __init__(self, link: Link, reading: Link) -> None:
        self._link, self._reading = link, reading
        self._append, self._register, self._enter, self._reap = (
            Script.load("twisted_chat.cluster", f"scripts/{name}.lua")
            for name in ("append", "register", "enter", "reap")
        )

    @property
    def is_up(self) -> bool:
        """Whether it can be both written and read."""
        return self._link.is_up and self._reading.is_up

    async def append(
        self, epoch: bytes, node: str, lease: float, seen: int, events: Sequence[Any]
    ) -> tuple[str, int, int]:
        """Append events, each once, and renew the lease; both links raise what `Link.run` does.

        :returns: ``ok``, the number of the last that was accepted, and the id of the newest
            entry; or ``fenced`` or ``emptied``, and nothing.
        """
        words: list[Any] = [epoch, node, round(lease * 1000), seen, ENTRIES]
        for one in events:
            words += [one.number, CLAIMED if one.claim else PUBLISHED, one.data]
        word, *rest = await self._link.run(self._append, (), words)
        accepted, newest = map(int, rest or (0, 0))
        return word.decode(), accepted, newest

    async def register(self, epoch: str, node: str, lease: float, seen: int) -> Registered:
        """Tell the others of a node that comes in.

        :param epoch: for the case that there is none.
        """
        words = (epoch, node, round(lease * 1000), seen, ENTRIES)
        found, id_, *others = await self._link.run(self._register, (), words)
        return Registered(found, int(id_), [one.decode() for one in others])

    async def enter(self, epoch: bytes, node: str, lease: float) -> bool:
        """Have a node take part that knows what the others know; tell whether it does."""
        return bool(await self._link.run(self._enter, (), (epoch, node, round(lease * 1000))))

    async def is_one_there(self, nodes: Sequence[str]) -> bool:
        """Tell whether any of some nodes still takes part."""
        return any(await self._link.call("HMGET", NODES, *nodes))

    async def reap(self, seen: int, grace: float, node: str = "") -> None:
        """Have nodes take part no more whose leases are over, or one that is named.

        :param grace: seconds for which places of their people are kept.
        """
        await self._link.run(self._reap, (), (seen, ENTRIES, grace, *([node] if node else [])))

    async def read(self, after: int) -> list[tuple[int, Entry | None]]:
        """Wait a little for entries after an id, and give them by their ids."""
        reply = await self._reading.call(
            *("XREAD", "COUNT", READ_AT_ONCE, "BLOCK", round(BLOCK_SECONDS * 1000)),
            *("STREAMS", EVENTS, f"{after}-{_LAST}"),
            seconds=BLOCK_SECONDS + 2,
        )
        if not reply:
            return []
        return [_numbered(id_, pairs) for id_, pairs in reply[0][1]]

    async def give(self, id_: int, snapshot: bytes) -> None:
        """Leave a snapshot for a node that has come in, if nobody else has."""
        key = f"{SNAPSHOT}{id_}"
        await self._link.call("SET", key, snapshot, "NX", "EX", SNAPSHOT_SECONDS)

    async def given(self, id_: int) -> bytes | None:
        """Take a snapshot, if one has been left."""
        found: bytes | None = await self._link.call("GET", f"{SNAPSHOT}{id_}")
        return found


def _numbered(id_: bytes, pairs: Sequence[bytes]) -> tuple[int, Entry | None]:
    number, _, rest = id_.partition(b"-")
    return int(number), Entry.of(int(number), pairs) if rest == b"0" else None
