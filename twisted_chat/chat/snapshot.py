"""All that decides what becomes of an event, as plain data: for a node that comes in."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted_chat.chat import record
from twisted_chat.chat.charter import Charter
from twisted_chat.chat.kept import Kept, KeptRoom

if TYPE_CHECKING:
    from twisted_chat.chat.rooms import Rooms


def take(rooms: "Rooms") -> dict[str, Any]:
    """Give what another node needs to know the same, as plain JSON data."""
    return {
        "chat": record.to_record(rooms),
        "asleep": [_room_record(room) for room in rooms.kept.asleep()],
        "everywhere": rooms.rights.everywhere.charter.to_record(),
        "abandoned": rooms.rights.abandoned,
        "operators": rooms.operators.to_record(),
    }


def load(rooms: "Rooms", snapshot: Mapping[str, Any]) -> None:
    """Know what `take` gave; nobody is connected yet.

    :param rooms: in which nothing has happened yet.
    :raises ValueError: it is of another version.
    """
    everywhere = Charter.from_record(snapshot["everywhere"])
    asleep = [_room(one) for one in snapshot["asleep"]]
    kept = Kept(0, (KeptRoom(0, "*", "", None, everywhere), *asleep))
    own = rooms.started, rooms.incarnation, rooms.arrivals
    record.from_record(rooms, snapshot["chat"], kept)
    rooms.started, rooms.incarnation, rooms.arrivals = own
    rooms.operators.share(snapshot["operators"])
    rooms.rights.abandoned = dict(snapshot["abandoned"])


def remembered(rooms: "Rooms") -> Kept:
    """Give what a store would have kept of the rooms, of what is known here."""
    now = rooms.clock()
    here = [room for room in rooms.rooms.values() if room.kept]
    used = [KeptRoom(room.id, room.name.text, room.topic, now, room.charter) for room in here]
    everywhere = KeptRoom(0, "*", "", None, rooms.rights.everywhere.charter)
    return Kept(rooms.backplane.last, (everywhere, *rooms.kept.asleep(), *used))


def _room_record(room: KeptRoom) -> list[Any]:
    return [*room[:-1], room.charter.to_record()]


def _room(of: list[Any]) -> KeptRoom:
    *room, charter = of
    return KeptRoom._make((*room, Charter.from_record(charter)))
