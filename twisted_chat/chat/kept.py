"""What outlives the process: rooms as they are kept, and those that are empty but not over."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Container, Iterable
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from twisted_chat.chat.charter import NO_CHARTER, Charter
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.limits import (
    DORMANT_ROOMS,
    DORMANT_SECONDS,
    ERASED_AT_ONCE,
    OWNED_SECONDS,
)
from twisted_chat.chat.names import Name, fold, keys
from twisted_chat.chat.place import Place

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
    charter: Charter = NO_CHARTER


class Kept(NamedTuple):
    """What a store has of earlier times."""

    last_id: int = 0
    """The last id of all that is kept."""
    rooms: tuple[KeptRoom, ...] = ()
    places: tuple[Place, ...] = ()
    """Of those who were here, or gone for a while, when the process ended."""


class KeptRooms:
    """The rooms that the store knows of: those in use, and those that are *dormant*.

    A room is kept from the moment there is something to keep: an owner, a line, a topic.  It is
    dormant while nobody is in it; for a time people may come back, and it is the same room.
    """

    def __init__(self, store: "IStore") -> None:
        self._store = store
        self._dormant: OrderedDict[str, KeptRoom] = OrderedDict()
        """Those of nobody, by the fold of the name, who has been empty for longest first."""
        self._owned: OrderedDict[str, KeptRoom] = OrderedDict()
        """The same of those that belong to somebody."""
        self._keys: dict[str, str] = {}
        """The names of those, by each of their keys."""
        self._named: defaultdict[str, dict[str, None]] = defaultdict(dict)
        """In which of them, by the folds of their names, somebody is somebody."""
        self._owners: dict[int, str] = {}
        """Whose a room is, of all that are kept."""
        self._owns: Counter[str] = Counter()

    def restore(self, rooms: Iterable[KeptRoom], now: float, here: Container[str] = ()) -> None:
        """Go on with the rooms of an earlier process; nobody is in them yet.

        :param here: the ids of the persons who are here.
        """
        for room in sorted(rooms, key=lambda room: room.empty_since or now):
            if room.empty_since is None:  # that process did not end in order
                room = room._replace(empty_since=now)
                self._store.keep(room)
            if elder := self._take(fold(room.name)):
                self._erase(elder)
            self._put(room._replace(charter=room.charter.lasting(now, here)))

    def keep(self, room: "Room") -> None:
        """Keep a room as it is now."""
        room.kept = True
        self._note_owner(room.id, room.charter.owner)
        self._store.keep(KeptRoom(room.id, room.name.text, room.topic, None, room.charter))

    def adopt(self, room: "Room") -> None:
        """Take note of a room that is in use, and kept as it is."""
        self._note_owner(room.id, room.charter.owner)

    def sleep(self, room: "Room", now: float) -> None:
        """Take note that a room is empty, from ``now`` on."""
        if room.kept:
            dormant = KeptRoom(room.id, room.name.text, room.topic, now, room.charter)
            self._put(dormant)
            self._store.keep(dormant)
        self.erase_expired(now)

    def find(self, name: str, now: float) -> KeptRoom | None:
        """Find the room that was called so, if one may still come back to it."""
        room = self._owned.get(fold(name)) or self._dormant.get(fold(name))
        return None if room is None or _is_over(room, now) else room

    def wake(self, name: str, now: float) -> KeptRoom | None:
        """Take out the room that was called so, if one may still come back to it."""
        room = self._take(fold(name))
        if room and _is_over(room, now):
            self._erase(room)
            return None
        return room

    def refuse_alike(self, name: Name) -> None:
        """Check that a name cannot be taken for that of a room which belongs to somebody.

        :raises ChatError: it can.
        """
        for key in name.keys:
            taken = self._keys.get(key)
            if taken and fold(taken) != name.fold:
                raise ChatError(f'"{name.text}" looks like "{taken}", which is taken')

    def asleep(self) -> tuple[KeptRoom, ...]:
        """Give those that are dormant."""
        return (*self._dormant.values(), *self._owned.values())

    def owned_by(self, account: str) -> int:
        """Tell how many rooms belong to an account."""
        return self._owns[account]

    def named_in(self, account: str) -> list[KeptRoom]:
        """Find the dormant rooms in which an account is somebody."""
        rooms = self._named.get(account, ())
        return [self._owned.get(name) or self._dormant[name] for name in rooms]

    def lay_down(self, room: KeptRoom, charter: Charter) -> None:
        """Give a dormant room another charter."""
        self._take(fold(room.name))
        room = room._replace(charter=charter)
        self._put(room)
        self._store.keep(room)

    def is_one_over(self, now: float) -> bool:
        """Tell whether nobody can come back any more to one of those that are dormant."""
        eldest = (next(iter(rooms.values()), None) for rooms in (self._dormant, self._owned))
        return any(room is not None and _is_over(room, now) for room in eldest)

    def erase_expired(self, now: float) -> None:
        """Erase rooms to which nobody can come back any more, and those too many.

        No more than a thousand at a time: the others are to notice nothing.
        """
        for rooms in (self._dormant, self._owned):
            too_many = len(rooms) - DORMANT_ROOMS
            over: list[str] = []
            for name, dormant in islice(rooms.items(), ERASED_AT_ONCE):
                if len(over) >= too_many and not _is_over(dormant, now):
                    break
                over.append(name)
            for name in over:
                if room := self._take(name):
                    self._erase(room)

    def _put(self, room: KeptRoom) -> None:
        self._note_owner(room.id, room.charter.owner)
        name = fold(room.name)
        for identity in room.charter.identities():
            self._named[identity][name] = None
        if not room.charter.owner:
            self._dormant[name] = room
            return
        self._owned[name] = room
        self._keys.update(dict.fromkeys(keys(room.name), room.name))

    def _take(self, name: str) -> KeptRoom | None:
        room = self._owned.pop(name, None)
        if room:
            for key in keys(room.name):
                del self._keys[key]
        else:
            room = self._dormant.pop(name, None)
        for identity in room.charter.identities() if room else ():
            del self._named[identity][name]
            if not self._named[identity]:
                del self._named[identity]
        return room

    def _erase(self, room: KeptRoom) -> None:
        self._note_owner(room.id, "")
        self._store.erase(room.id)

    def _note_owner(self, room: int, owner: str) -> None:
        before = self._owners.pop(room, "")
        if owner:
            self._owners[room] = owner
            self._owns[owner] += 1
        if before:
            self._owns[before] -= 1
            if not self._owns[before]:
                del self._owns[before]


def _is_over(room: KeptRoom, now: float) -> bool:
    if room.empty_since is None:
        return False
    return now - room.empty_since > (OWNED_SECONDS if room.charter.owner else DORMANT_SECONDS)
