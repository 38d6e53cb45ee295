"""Commands for rooms: entering them, looking around in them."""

import re
from typing import TYPE_CHECKING

from twisted_chat.chat import names
from twisted_chat.chat.commands.command import command
from twisted_chat.chat.events import (
    ChatError,
    Joined,
    Left,
    Listing,
    Notice,
    Replay,
    Shown,
    TopicSet,
)
from twisted_chat.chat.limits import LISTED, REPLAYED_AT_MOST, REPLAYED_ON_JOINING, TOPIC_LENGTH

if TYPE_CHECKING:
    from twisted_chat.chat.room import Room
    from twisted_chat.chat.session import Session

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@command(
    "join",
    "j",
    usage="/join ROOM_NAME",
    help="enter a room, which is made if there is none",
    needs=("room name",),
    takes=2,
    cost=3,
)
async def join(session: "Session", room_name: str, _key: str = "") -> None:
    name = names.room_name(room_name)
    here = session.person.room
    if here and names.fold(here.name.text) == names.fold(name.text):
        session.show(Notice(f"you are in {here.name.text} already"))
        return
    rooms = session.rooms
    joined = await rooms.backplane.claim(Joined(session.who, 0, name.text))
    room = session.person.room
    if room is None:  # gone again before it was known
        return
    welcome = [Notice(f"welcome to {room.name.text}")]
    if room.topic:
        welcome.append(Notice(f"topic: {room.topic}"))
    # What is said from now on is held back until the past has been shown.
    past = await _past(session, room.id, joined.id)
    rooms.delivery.release(session.person, *welcome, past, _members(room, "here"))


async def _past(session: "Session", room: int, before: int) -> Shown:
    try:
        lines = await session.rooms.store.history(room, REPLAYED_ON_JOINING)
    except Exception as error:
        session.rooms.trouble(error)
        return Notice("what was said before cannot be read now")
    return Replay(session.heeded(line for line in lines if line.id < before))


@command("leave", "part", usage="/leave", help="leave the room", in_room=True)
async def leave(session: "Session") -> None:
    room = session.room
    await session.rooms.backplane.claim(Left(session.who, room.id))
    session.show(Notice(f"you have left {room.name.text}"))


@command(
    "rooms",
    "list",
    usage="/rooms [PREFIX]",
    help="list the rooms, or those that begin so",
    takes=1,
)
def rooms(session: "Session", prefix: str = "") -> None:
    found, more = session.rooms.roster.first(LISTED, names.fold(prefix))
    if found:
        listed = [room.name.text for room in found]
        session.show(Listing("available rooms", listed, more, hint="/rooms PREFIX"))
    else:
        session.show(Notice("available rooms: none. /join NAME makes one"))


@command(
    "who",
    "names",
    usage="/who [ROOM_NAME]",
    help="list who is in the room, or in another one",
    takes=1,
)
def who(session: "Session", room_name: str = "") -> None:
    if room_name:
        room = session.rooms.room(room_name)
        session.show(_members(room, f"in {room.name.text}"))
        return
    if session.person.room is None:
        raise ChatError("you are in no room. usage: /who ROOM_NAME")
    session.show(_members(session.person.room, "here"))


def _members(room: "Room", title: str) -> Shown:
    found, more = room.roster.first(LISTED)
    return Listing(title, [person.marked_name for person in found], more)


@command(
    "topic",
    usage="/topic [TEXT]",
    help="show what the room is about, or set it",
    takes=1,
    in_room=True,
)
async def topic(session: "Session", text: str = "") -> None:
    room = session.room
    if not text:
        session.show(Notice(f"topic: {room.topic}" if room.topic else "no topic is set"))
        return
    if len(text) > TOPIC_LENGTH:
        raise ChatError(f"a topic holds at most {TOPIC_LENGTH} characters")
    await session.rooms.backplane.claim(TopicSet(session.who, room.id, text))


@command(
    "history",
    usage="/history [N or 10m]",
    help="show the last lines of the room: how many, or since when",
    takes=1,
    in_room=True,
)
async def history(session: "Session", span: str = "") -> None:
    room = session.room
    limit, since = _span(span, session.rooms.clock())
    lines = session.heeded(await session.rooms.store.history(room.id, limit, since))
    session.show(Replay(lines) if lines else Notice("nothing was said then"))


def _span(span: str, now: float) -> tuple[int, float]:
    """Read how much history is wanted: how many lines, and since when."""
    if not span:
        return REPLAYED_ON_JOINING, 0.0
    found = re.fullmatch(r"([0-9]{1,6})([smhd]?)", span.lower())
    if not found or not int(found[1]):
        raise ChatError(f"{span} is no number and no time. usage: /history [N or 10m]")
    if found[2]:
        return REPLAYED_AT_MOST, now - int(found[1]) * _UNITS[found[2]]
    return min(int(found[1]), REPLAYED_AT_MOST), 0.0
