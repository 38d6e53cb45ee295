"""Commands about oneself and others."""

from typing import TYPE_CHECKING

from twisted_chat.chat import names
from twisted_chat.chat.answers import Listing, Notice
from twisted_chat.chat.charter import Rank
from twisted_chat.chat.commands.command import command
from twisted_chat.chat.duration import in_words
from twisted_chat.chat.events import ChatError, Renamed, WentAway
from twisted_chat.chat.limits import AWAY_LENGTH, IGNORED_PEOPLE

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session

_SWITCH = {"on": True, "off": False}


@command(
    "nick",
    usage="/nick NAME",
    help="take a name",
    needs=("nick",),
    cost=3,
)
async def nick(session: "Session", text: str) -> None:
    name = names.nick(text)
    if name.text == session.person.name.text:
        session.show(Notice(f"you are {name.text} already"))
        return
    await session.rooms.backplane.claim(Renamed(session.who, 0, name.text))


@command(
    "whois",
    usage="/whois NAME",
    help="tell where someone is, and since when they are connected",
    needs=("name",),
)
def whois(session: "Session", name: str) -> None:
    person = session.rooms.person(name)
    where = f"in {person.room.name.text}" if person.room else "in no room"
    now = session.rooms.clock()
    connected = in_words(now - person.since)
    away = "" if person.away is None else f", away: {person.away}" if person.away else ", away"
    gone = f", gone for {in_words(now - person.gone.time)}" if person.gone else ""
    known = ", logged in" if person.who.account else ""
    kind = "a bot " if person.origin.is_bot else ""
    told = f"{person.name.text} is {kind}{where}, connected for {connected}{known}{away}{gone}"
    if session.rank is Rank.SERVER and person.origin.address:
        told += f", from {person.origin.address}"
    if session.rank is Rank.SERVER and person.origin.fingerprint:
        told += f", with the key {person.origin.fingerprint}"
    session.show(Notice(told))


@command(
    "away",
    usage="/away [TEXT]",
    help="tell those who write to you that you are away",
    takes=1,
)
async def away(session: "Session", text: str = "") -> None:
    if len(text) > AWAY_LENGTH:
        raise ChatError(f"an away text holds at most {AWAY_LENGTH} characters")
    await session.rooms.backplane.claim(WentAway(session.who, text))


@command("back", usage="/back", help="be no longer away")
async def back(session: "Session") -> None:
    if session.person.away is None:
        raise ChatError("you are not away. usage: /away [TEXT]")
    await session.rooms.backplane.claim(WentAway(session.who, None))


@command(
    "ignore",
    usage="/ignore [NAME]",
    help="hear nothing more from someone, whatever they call themselves; or list who that is",
    takes=1,
)
def ignore(session: "Session", name: str = "") -> None:
    if not name:
        _list_ignored(session)
        return
    person = session.rooms.person(name)
    if person is session.person:
        raise ChatError("you cannot ignore yourself")
    if len(session.ignored) >= IGNORED_PEOPLE and person.who.identity not in session.ignored:
        raise ChatError(f"you ignore {IGNORED_PEOPLE} people already. usage: /unignore NAME")
    session.ignore(person.who)
    session.show(Notice(f"you ignore {person.name.text} now. /unignore NAME ends it"))


def _list_ignored(session: "Session") -> None:
    if session.ignored:
        session.show(Listing("you ignore", sorted(session.ignored.values(), key=names.fold)))
    else:
        session.show(Notice("you ignore nobody"))


@command(
    "unignore",
    usage="/unignore NAME",
    help="hear someone again",
    needs=("name",),
)
def unignore(session: "Session", name: str) -> None:
    identity = _ignored_identity(session, name)
    was_called = session.ignored[identity]
    session.unignore(identity)
    session.show(Notice(f"you no longer ignore {was_called}"))


def _ignored_identity(session: "Session", name: str) -> str:
    """Find whom of those ignored a name means: what they are called now, or were called then."""
    wanted = names.fold(name)
    for identity, was_called in session.ignored.items():
        person = session.rooms.people.get(identity)
        if names.fold(person.name.text if person else was_called) == wanted:
            return identity
    for identity, was_called in session.ignored.items():
        if names.fold(was_called) == wanted:
            return identity
    raise ChatError(f"you do not ignore {name}. /ignore lists whom you do")


@command(
    "quiet",
    usage="/quiet [on or off]",
    help="hide who comes and goes, or show it again",
    takes=1,
)
def quiet(session: "Session", switch: str = "") -> None:
    if switch and switch.lower() not in _SWITCH:
        raise ChatError(f"{switch} is neither on nor off. usage: /quiet [on or off]")
    hidden = _SWITCH[switch.lower()] if switch else not session.quiet
    session.adapt(zone=session.zone, quiet=hidden)
    session.show(Notice(f"joins and leaves are {'hidden' if hidden else 'shown'}"))


@command(
    "time",
    usage="/time [on, off or ZONE]",
    help="stamp lines with the time, in UTC or in a zone such as Europe/Berlin",
    takes=1,
)
def time(session: "Session", wish: str = "") -> None:
    shown = _SWITCH.get(wish.lower(), True) if wish else session.zone is None
    if not shown:
        session.adapt(zone=None, quiet=session.quiet)
        session.show(Notice("times are not shown"))
        return
    zone = "UTC" if wish.lower() in ("", "on", "utc") else wish
    try:
        session.adapt(zone=zone, quiet=session.quiet)
    except ValueError:
        raise ChatError(f"there is no time zone {wish}. one such is Europe/Berlin") from None
    session.show(Notice(f"times are shown in {zone}"))
