"""A store that forgets everything when the process ends."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import islice

from zope.interface import implementer

from twisted_chat.chat.events import Line
from twisted_chat.interfaces import IStore


@implementer(IStore)
class MemoryStore:
    """Keeps the last lines of each room, and so many of all rooms together."""

    backlog = 0

    def __init__(self, lines_per_room: int = 1000, lines: int = 100_000) -> None:
        """
        :param lines_per_room: how many are kept of one room.
        :param lines: how many are kept in all; the eldest go first.
        """
        self._lines_per_room = lines_per_room
        self._lines = lines
        self._all: OrderedDict[int, Line] = OrderedDict()
        """By id, the eldest first."""
        self._rooms: dict[int, deque[Line]] = {}
        self._last = 0

    def record(self, event: Line) -> None:
        if event.id <= self._last:
            return
        self._last = event.id
        self._all[event.id] = event
        room = self._rooms.setdefault(event.room, deque())
        room.append(event)
        if len(room) > self._lines_per_room:
            self._forget(room[0])
        if len(self._all) > self._lines:
            self._forget(next(iter(self._all.values())))

    async def history(self, room: int, limit: int, since: float = 0.0) -> Sequence[Line]:
        newest = (line for line in reversed(self._rooms.get(room, ())) if line.time >= since)
        return list(islice(newest, limit))[::-1]

    def erase(self, room: int) -> None:
        for line in self._rooms.pop(room, ()):
            del self._all[line.id]

    def _forget(self, eldest: Line) -> None:
        """Drop a line that is the eldest of its room."""
        del self._all[eldest.id]
        room = self._rooms[eldest.room]
        room.popleft()
        if not room:
            del self._rooms[eldest.room]
