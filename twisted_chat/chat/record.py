"""All that a chat knows of who is here and where, as plain data: to go on in another process.

What is kept goes its own way, through the store; what belongs to one connection alone is in the
record of its session.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted_chat.chat import names
from twisted_chat.chat.charter import Charter, Sanction
from twisted_chat.chat.events import Origin, Who
from twisted_chat.chat.kept import Kept
from twisted_chat.chat.person import Person
from twisted_chat.chat.place import Gone
from twisted_chat.chat.room import Room

if TYPE_CHECKING:
    from twisted_chat.chat.rooms import Rooms

VERSION = 4


def to_record(rooms: "Rooms") -> dict[str, Any]:
    """Give what another process needs to go on, as plain JSON data."""
    return {
        "version": VERSION,
        "last_id": rooms.backplane.last,
        "started": rooms.started,
        "incarnation": rooms.incarnation,
        "arrivals": rooms.arrivals,
        "people": [_person_record(person) for person in rooms.people.values()],
        "rooms": [_room_record(room) for room in rooms.rooms.values()],
    }


def from_record(rooms: "Rooms", record: Mapping[str, Any], kept: Kept) -> None:
    """Go on where `to_record` left off; nobody is connected yet.

    :param rooms: in which nothing has happened yet.
    :param kept: what is left of earlier times, as the store has it.
    :raises ValueError: the record is of another version.
    """
    if record["version"] != VERSION:
        raise ValueError(f"a record of version {record['version']}, not {VERSION}")
    in_use = {room["id"] for room in record["rooms"]}
    for person in map(_person, record["people"]):
        rooms.return_(person)
    asleep = tuple(one for one in kept.rooms if one.id not in in_use)
    rooms.restore(kept._replace(rooms=asleep, places=()))
    rooms.backplane.resume(record["last_id"])
    rooms.started = record["started"]
    rooms.incarnation, rooms.arrivals = record["incarnation"], record["arrivals"]
    for one in record["rooms"]:
        rooms.reopen(_room(one), [rooms.people[id_] for id_ in one["members"]])


def _person_record(person: Person) -> dict[str, Any]:
    return {
        "who": list(person.who),
        "since": person.since,
        "origin": list(person.origin),
        "away": person.away,
        "number": person.number,
        "barred": person.barred and list(person.barred),
        "connection": person.connection,
        "settings": person.settings,
        "gone": person.gone and list(person.gone),
    }


def _person(record: Mapping[str, Any]) -> Person:
    person = Person(Who(*record["who"]), record["since"], None, Origin(*record["origin"]))
    person.away, person.number = record["away"], record["number"]
    person.barred = record["barred"] and Sanction(*record["barred"])
    person.connection, person.settings = record["connection"], record["settings"]
    person.gone = record["gone"] and Gone(*record["gone"])
    return person


def _room_record(room: Room) -> dict[str, Any]:
    return {
        "id": room.id,
        "name": room.name.text,
        "topic": room.topic,
        "kept": room.kept,
        "charter": room.charter.to_record(),
        "spoke": room.spoke,
        "members": list(room.members),
    }


def _room(record: Mapping[str, Any]) -> Room:
    room = Room(record["id"], names.room_name(record["name"]))
    room.topic, room.kept, room.spoke = record["topic"], record["kept"], dict(record["spoke"])
    room.obey(Charter.from_record(record["charter"]))
    return room
