"""What outlives the process: rooms as they are kept, and those that are empty but not over."""

from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from twisted_chat.chat.limits import DORMANT_ROOMS, DORMANT_SECONDS, ERASED_AT_ONCE
from twisted_chat.chat.names import fold

if TYPE_CHECKING:
    from twisted_chat.chat.room import Room
    from twisted_chat.interfaces import IStore


class StateError(Exception):
    """Why what was kept cannot be used, in words for who runs the server."""


class KeptRoom(NamedTuple):
    """A room as it is kept."""

    id: int
    name: str
    topic: str
    empty_since: float | None
    """UTC seconds; None while someone is in it."""


class Kept(NamedTuple):
    """What a store has of earlier times."""

    last_id: int = 0
    """The last id of all that is kept."""
    rooms: tuple[KeptRoom, ...] = ()


class KeptRooms:
    """The rooms that the store knows of: those in use, and those that are *dormant*.

    A room is kept from the moment there is something to keep, a line or a topic.  It is dormant
    while nobody is in it; for a day people may come back, and it is the same room.
    """

    def __init__(self, store: "IStore") -> None:
        self._store = store
        self._dormant: OrderedDict[str, KeptRoom] = OrderedDict()
        """By the fold of the name, the one that has been empty for longest first."""

    def restore(self, rooms: Iterable[KeptRoom], now: float) -> None:
        """Go on with the rooms of an earlier process; nobody is in them yet."""
        for room in sorted(rooms, key=lambda room: room.empty_since or now):
            if room.empty_since is None:  # that process did not end in order
                room = room._replace(empty_since=now)
                self._store.keep(room)
            if elder := self._dormant.pop(fold(room.name), None):
                self._store.erase(elder.id)
            self._dormant[fold(room.name)] = room

    def keep(self, room: "Room") -> None:
        """Keep a room as it is now."""
        room.kept = True
        self._store.keep(KeptRoom(room.id, room.name.text, room.topic, None))

    def sleep(self, room: "Room", now: float) -> None:
        """Take note that a room is empty, from ``now`` on."""
        if room.kept:
            dormant = KeptRoom(room.id, room.name.text, room.topic, now)
            self._dormant[room.name.fold] = dormant
            self._store.keep(dormant)
        self.erase_expired(now)

    def wake(self, name: str, now: float) -> KeptRoom | None:
        """Take out the room that was called so, if one may still come back to it."""
        room = self._dormant.pop(fold(name), None)
        if room and _is_over(room, now):
            self._store.erase(room.id)
            return None
        return room

    def erase_expired(self, now: float) -> None:
        """Erase rooms to which nobody can come back any more, and those too many.

        No more than a thousand at a time: the others are to notice nothing.
        """
        too_many = len(self._dormant) - DORMANT_ROOMS
        over: list[str] = []
        for name, room in islice(self._dormant.items(), ERASED_AT_ONCE):
            if len(over) >= too_many and not _is_over(room, now):
                break
            over.append(name)
        for name in over:
            self._store.erase(self._dormant.pop(name).id)


def _is_over(room: KeptRoom, now: float) -> bool:
    return room.empty_since is not None and now - room.empty_since > DORMANT_SECONDS
