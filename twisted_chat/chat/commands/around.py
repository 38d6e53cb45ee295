"""Commands for rooms: entering them, looking around in them."""

from heapq import nsmallest
from typing import TYPE_CHECKING

from twisted_chat.chat import names
from twisted_chat.chat.answers import Listing, Notice, Replay, Shown
from twisted_chat.chat.charter import Rank, key_digest
from twisted_chat.chat.commands.command import command
from twisted_chat.chat.events import ChatError, Joined, Left, TopicSet
from twisted_chat.chat.limits import LISTED, REPLAYED_AT_MOST, TOPIC_LENGTH

if TYPE_CHECKING:
    from twisted_chat.chat.person import Person
    from twisted_chat.chat.room import Room
    from twisted_chat.chat.session import Session

_MARKS = {Rank.OPERATOR: "op", Rank.OWNER: "owner", Rank.SERVER: "server op"}


@command(
    "join",
    "j",
    usage="/join ROOM_NAME",
    help="enter a room, which is made if there is none; its key, if it has one, follows the name",
    needs=("room name",),
    takes=2,
    cost=3,
)
async def join(session: "Session", room_name: str, key: str = "") -> None:
    name = names.room_name(room_name)
    if hooks := session.rooms.hooks:
        name = names.room_name(hooks.on_join(session, name.text))
    here = session.person.room
    if here and names.fold(here.name.text) == names.fold(name.text):
        session.show(Notice(f"you are in {here.name.text} already"))
        return
    rooms, after = session.rooms, session.take_after()
    joined = await rooms.backplane.claim(
        Joined(session.who, 0, name.text, key_digest(name.fold, key))
    )
    room = session.person.room
    if room is None:  # gone again before it was known
        return
    welcome = [Notice(f"welcome to {room.name.text}")]
    if room.topic:
        welcome.append(Notice(f"topic: {room.topic}"))
    # What is said from now on is held back until the past has been shown.
    past = await _past(session, room.id, joined.id, after)
    rooms.delivery.release(session.person, *welcome, past, _members(session, room, "here"))


async def _past(session: "Session", room: int, before: int, after: int | None) -> Shown:
    """Give what was said before someone came.

    :param after: the id of the last event that they know of, if they say so.
    """
    most = REPLAYED_AT_MOST
    if after is None:
        most = 0 if session.person.origin.is_bot else session.rooms.limits.replay
    try:
        lines = await session.rooms.store.history(room, most + (after is not None))
    except ChatError as refused:
        return Notice(str(refused))
    except Exception as error:  # or the room would never be shown
        session.rooms.trouble(error, session.client)
        return Notice("what was said before cannot be read now")
    missed = [line for line in lines if (after or 0) < line.id < before]
    return Replay(session.heeded(missed[-most:] if most else []), len(missed) > most)


@command("leave", "part", usage="/leave", help="leave the room", in_room=True)
async def leave(session: "Session") -> None:
    room, hooks = session.room, session.rooms.hooks
    reason = hooks.on_leave(session, "") if hooks else ""
    await session.rooms.backplane.claim(Left(session.who, room.id, reason))
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
        counts = [len(room.members) for room in found]
        session.show(Listing("available rooms", listed, more, "/rooms PREFIX", counts))
    else:
        session.show(Notice("available rooms: none. /join NAME makes one"))


@command(
    "who",
    "names",
    usage="/who [ROOM_NAME]",
    help="list who is in the room, or in another one; from outside of rooms, who is on the server",
    takes=1,
)
def who(session: "Session", room_name: str = "") -> None:
    if room_name:
        room = session.rooms.room(room_name)
        session.show(_members(session, room, f"in {room.name.text}"))
        return
    if session.person.room:
        session.show(_members(session, session.person.room, "here"))
    else:
        session.show(_everybody(session))


def _everybody(session: "Session") -> Shown:
    people = session.rooms.people.values()
    found = nsmallest(LISTED, people, key=lambda one: (one.name.fold, one.name.text))
    now = session.rooms.clock()
    ranks = session.rooms.rights
    return Listing(
        "on the server",
        [_marked(one, ranks.rank(one.who.account, None), now) for one in found],
        len(people) - len(found),
    )


def _members(session: "Session", room: "Room", title: str) -> Shown:
    found, more = room.roster.first(LISTED)
    ranks, now = session.rooms.rights, session.rooms.clock()
    return Listing(
        title,
        [_marked(person, ranks.rank(person.who.account, room), now) for person in found],
        more,
    )


def _marked(person: "Person", rank: Rank, now: float) -> str:
    """Give a name as lists show it."""
    marks = [_MARKS[rank]] if rank else []
    if person.origin.is_bot:
        marks.append("bot")
    if person.away is not None:
        marks.append("away")
    if person.gone:
        marks.append(f"gone {max(0, now - person.gone.time):.0f} s")
    return f"{person.name.text} ({', '.join(marks)})" if marks else person.name.text


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
