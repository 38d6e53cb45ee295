"""The rooms in use: opened by who enters first, closed behind the last."""

from twisted_chat.chat import names
from twisted_chat.chat.kept import KeptRoom, KeptRooms
from twisted_chat.chat.names import Name
from twisted_chat.chat.nametable import NameTable
from twisted_chat.chat.room import Room
from twisted_chat.chat.roster import Roster
from twisted_chat.interfaces import IStore


class RoomTable:
    """All rooms that somebody is in, and behind them those that are kept."""

    def __init__(self, store: IStore) -> None:
        self.by_id: dict[int, Room] = {}
        self.roster: Roster[Room] = Roster()
        self.kept = KeptRooms(store)
        self._names: NameTable[Room] = NameTable()

    def find(self, name: str) -> Room | None:
        """Find the room in use that is called so, in any letter case."""
        return self._names.find(name)

    def behind(self, name: Name, now: float) -> Room | KeptRoom | None:
        """Find the room that whoever gives this name enters; None for a new one.

        :raises ChatError: the name could be taken for that of another room.
        """
        room = self._names.find(name.text)
        self._names.refuse_taken(name, room)
        self.kept.refuse_alike(name)
        return room or self.kept.find(name.text, now)

    def open(self, name: str, id_: int, now: float) -> Room:
        """Have the room of that name in use; it is made if there is none.

        :param id_: that of a new one.
        """
        kept = self.kept.wake(name, now)
        room = Room(kept.id if kept else id_, names.room_name(name))
        if kept:
            room.topic, room.kept = kept.topic, True
            room.obey(kept.charter)
        self._add(room)
        return room

    def reopen(self, room: Room) -> None:
        """Have a room in use that was in use in an earlier process."""
        if room.id not in self.by_id:
            self.kept.adopt(room)
            self._add(room)

    def close(self, room: Room, now: float) -> None:
        """Have a room in use no more."""
        del self.by_id[room.id]
        self._names.remove(room)
        self.roster.remove(room)
        self.kept.sleep(room, now)

    def _add(self, room: Room) -> None:
        self.by_id[room.id] = room
        self._names.add(room)
        self.roster.add(room)
