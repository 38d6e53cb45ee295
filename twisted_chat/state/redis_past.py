"""What was said and done before, as it is read from Redis."""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from twisted_chat.chat.charter import Charter
from twisted_chat.chat.events import Deed, Line
from twisted_chat.chat.kept import Kept, KeptRoom
from twisted_chat.chat.place import Place
from twisted_chat.link import Link
from twisted_chat.state import record
from twisted_chat.state.redis_pending import Position, text_of, to_deed

CHUNK = 500
"""Lines that are read at a time."""
SEARCHED_LINES = 20_000
"""Of a room, the newest, in which a search looks."""


class Past:
    """Reads, newest first."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def lines(
        self,
        room: int,
        until: int | None,
        is_wanted: Callable[[Line], bool],
        limit: int,
        at_once: int = CHUNK,
    ) -> list[Line]:
        """Give the newest lines of a room that are wanted, newest first.

        :param until: the id of the newest that may be among them; None for any.
        :param at_once: how many are read at first.
        """
        found: list[Line] = []
        below, looked_at, chunk = "+inf" if until is None else f"{until}", 0, min(at_once, CHUNK)
        forgotten = await self._forgotten()
        while len(found) < limit and looked_at < SEARCHED_LINES:
            read = await self._link.call(
                *("ZREVRANGEBYSCORE", f"tcpchat:lines:{room}", below, "-inf", "LIMIT", 0, chunk)
            )
            lines = [record.to_line(json.loads(one)) for one in read]
            found += [line for line in without(lines, forgotten) if is_wanted(line)]
            if len(lines) < chunk:
                break
            below, looked_at, chunk = f"({lines[-1].id}", looked_at + chunk, CHUNK
        return found[:limit]

    async def deeds(self, limit: int) -> list[Deed]:
        """Give the newest deeds, newest first."""
        found = await self._link.call("ZREVRANGE", "tcpchat:audit", 0, max(0, limit - 1))
        return [to_deed(json.loads(one)) for one in found]

    async def written(self) -> Position:
        """Give how far all is written; far below everything if nothing is."""
        found = await self._link.call("GET", "tcpchat:scribed")
        version, number = (found or b"0 0").split()
        return Position(int(version), int(number))

    async def kept(self) -> Kept:
        """Give what is there to begin with."""
        last = (await self.written()).version
        rooms = [to_room(room) async for _, room in self._all("tcpchat:rooms")]
        places = [
            Place.from_record([account.decode(), *place])
            async for account, place in self._all("tcpchat:places")
        ]
        return Kept(last, tuple(rooms), tuple(places))

    async def _forgotten(self) -> dict[str, int]:
        found = await self._link.call("HGETALL", "tcpchat:forgotten")
        return {
            identity.decode(): int(until)
            for identity, until in zip(found[::2], found[1::2], strict=True)
        }

    async def _all(self, key: str) -> AsyncIterator[tuple[bytes, Any]]:
        """Give all of a hash, a part at a time; some may come twice."""
        cursor, seen = b"", set()
        while cursor != b"0":
            cursor, part = await self._link.call("HSCAN", key, cursor or 0, "COUNT", CHUNK)
            for field, value in zip(part[::2], part[1::2], strict=True):
                if field not in seen:
                    seen.add(field)
                    yield field, json.loads(value)


def without(lines: Iterable[Line], forgotten: dict[str, int]) -> list[Line]:
    """Leave out what was said by those who are forgotten."""
    return [line for line in lines if line.id > forgotten.get(line.who.identity, -1)]


def of_room(room: KeptRoom) -> str:
    """Give a room as it is kept."""
    return text_of([*room[:-1], room.charter.to_record()])


def to_room(data: Any) -> KeptRoom:
    """Give the room that was kept so."""
    *room, charter = data
    return KeptRoom._make((*room, Charter.from_record(charter)))
