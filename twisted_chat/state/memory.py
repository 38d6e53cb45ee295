"""A store that forgets everything when the process ends."""

from collections import deque
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
        self._rooms: dict[int, deque[Line]] = {}
        self._eldest: deque[Line] = deque()
        """All lines in order; those dropped from their rooms are still here for a while."""
        self._kept = 0
        self._last = 0

    def record(self, event: Line) -> None:
        if event.id <= self._last:
            return
        self._last = event.id
        room = self._rooms.setdefault(event.room, deque())
        room.append(event)
        self._eldest.append(event)
        self._kept += 1
        if len(room) > self._lines_per_room:
            room.popleft()
            self._kept -= 1
        while self._kept > self._lines or len(self._eldest) > 2 * self._lines:
            self._drop_eldest()

    async def history(self, room: int, limit: int, since: float = 0.0) -> Sequence[Line]:
        newest = islice(reversed(self._rooms.get(room, ())), limit)
        return [line for line in newest if line.time >= since][::-1]

    def erase(self, room: int) -> None:
        self._kept -= len(self._rooms.pop(room, ()))

    def _drop_eldest(self) -> None:
        line = self._eldest.popleft()
        room = self._rooms.get(line.room)
        if room and room[0] is line:
            room.popleft()
            self._kept -= 1
