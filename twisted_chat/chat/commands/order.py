"""Commands against those who disturb."""

import re
from typing import TYPE_CHECKING, NamedTuple

from twisted_chat.chat import addresses, duration, names, sshkeys
from twisted_chat.chat.account import account_id
from twisted_chat.chat.acts import Kicked, Pardoned, Sanctioned
from twisted_chat.chat.answers import Notice
from twisted_chat.chat.charter import EVERYONE, Rank, Sanction
from twisted_chat.chat.commands.command import command
from twisted_chat.chat.duration import in_words
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.limits import LISTED, REASON_LENGTH
from twisted_chat.chat.rights import ONLY_SERVER

if TYPE_CHECKING:
    from twisted_chat.chat.person import Person
    from twisted_chat.chat.room import Room
    from twisted_chat.chat.session import Session

BANS_USAGE = "/bans [*]"


@command(
    "kick",
    usage="/kick NAME [REASON]",
    help="put someone out of the room; they may come back",
    needs=("name",),
    takes=2,
    in_room=True,
    rank=Rank.OPERATOR,
)
async def kick(session: "Session", name: str, reason: str = "") -> None:
    room, person = session.room, session.rooms.person(name)
    if person.room is not room:
        raise ChatError(f"{person.name.text} is not in {room.name.text}")
    if person is session.person:
        raise ChatError("you cannot do that to yourself. usage: /leave")
    _check_reason(reason)
    await session.rooms.backplane.claim(Kicked(session.who, room.id, person.who, reason))


@command(
    "mute",
    usage="/mute NAME [10m, 2h or 7d] [REASON]",
    help="let someone say nothing in the room, for a time or for ever",
    needs=("name",),
    takes=2,
    in_room=True,
    rank=Rank.OPERATOR,
)
async def mute(session: "Session", name: str, details: str = "") -> None:
    await _sanction(session, session.room, "mute", name, details)


@command(
    "unmute",
    usage="/unmute NAME",
    help="let someone say something in the room again",
    needs=("name",),
    in_room=True,
    rank=Rank.OPERATOR,
)
async def unmute(session: "Session", name: str) -> None:
    await _pardon(session, session.room, "mute", name)


@command(
    "ban",
    usage="/ban NAME or ADDRESS [10m, 2h or 7d] [REASON]",
    help="keep someone out of the room, for a time or for ever; with * before the name, "
    "out of the server",
    needs=("name or address",),
    takes=1,
    rank=Rank.OPERATOR,
)
async def ban(session: "Session", text: str) -> None:
    room, text = _scope(session, "ban", text)
    whom, _, details = text.partition(" ")
    await _sanction(session, room, "ban", whom, details.strip())


@command(
    "unban",
    usage="/unban NAME or ADDRESS",
    help="let someone in again; with * before the name, to the server",
    needs=("name or address",),
    takes=1,
    rank=Rank.OPERATOR,
)
async def unban(session: "Session", text: str) -> None:
    room, whom = _scope(session, "unban", text)
    await _pardon(session, room, "ban", whom)


@command(
    "bans",
    usage=BANS_USAGE,
    help="list the bans and mutes of the room, or with * the bans of the server",
    takes=1,
    rank=Rank.OPERATOR,
)
def bans(session: "Session", text: str = "") -> None:
    if text not in ("", EVERYONE):
        raise ChatError(f"{text} is not *. usage: {BANS_USAGE}")
    room = _everywhere(session) if text else _here(session)
    now = session.rooms.clock()
    found = [one for one in room.charter.sanctions if one.holds(now)]
    for sanction in found[-LISTED:]:
        session.show(Notice(_described(sanction, now, session.rank)))
    if not found:
        session.show(Notice("nobody is banned or muted"))
    elif len(found) > LISTED:
        session.show(Notice(f"… and {len(found) - LISTED:,} before these"))


def _described(sanction: Sanction, now: float, rank: Rank) -> str:
    kind = "banned" if sanction.kind == "ban" else "muted"
    # Where people come from is not for everyone who has made a room.
    is_shown = rank is Rank.SERVER and not sanction.subject.startswith(sanction.name)
    where = f" ({sanction.subject})" if is_shown else ""
    span = "" if sanction.until is None else f", for another {in_words(sanction.until - now)}"
    why = f": {sanction.reason}" if sanction.reason else ""
    is_ = "are" if sanction.subject == EVERYONE else "is"
    return f"{sanction.name}{where} {is_} {kind}{span}, by {sanction.by}{why}"


# Where it is to hold


def _scope(session: "Session", word: str, text: str) -> tuple["Room", str]:
    """Tell whether a room or the server is meant, and give the rest."""
    first, _, rest = text.partition(" ")
    if first != EVERYONE:
        return _here(session), text
    if not rest:
        raise ChatError(f"name or address is required. usage: /{word} * NAME or ADDRESS")
    return _everywhere(session), rest.lstrip()


def _here(session: "Session") -> "Room":
    if session.person.room is None:
        raise ChatError("you are in no room. * before the name means the server")
    return session.person.room


def _everywhere(session: "Session") -> "Room":
    if session.rank is not Rank.SERVER:
        raise ChatError(ONLY_SERVER)
    return session.rooms.rights.everywhere


# Whom it is against


class _Subject(NamedTuple):
    """Whom a sanction is against."""

    id: str
    """As `Sanction` has it."""
    name: str


async def _subject(session: "Session", text: str) -> _Subject:
    """Find whom a text means: an address, an SSH key, ``@`` and an account, or someone's name.

    :raises ChatError: nobody.
    """
    if sshkeys.is_fingerprint(text):
        if session.rank is not Rank.SERVER:  # nobody else knows who has which
            raise ChatError("only operators of the server ban keys. usage: /ban NAME")
        return _Subject(text, text)
    if network := addresses.network(text):
        if session.rank is not Rank.SERVER:  # by halves one could find out where someone is
            raise ChatError("only operators of the server ban addresses. usage: /ban NAME")
        return _Subject(network, network.removesuffix("/32").removesuffix("/128"))
    if not text.startswith("@") and (person := session.rooms.naming.find(text)):
        return _Subject(_subject_id(person), person.name.text)
    account = await session.rooms.accounts.find(text.removeprefix("@"))
    if account is None:
        raise ChatError(f"there is nobody called {text}")
    return _Subject(account.id, account.name)


def _subject_id(person: "Person") -> str:
    who = person.who
    return who.account or addresses.place_network(person.origin.address) or who.person


async def _sanction(session: "Session", room: "Room", kind: str, name: str, details: str) -> None:
    seconds, reason = _span_and_reason(details)
    subject = await _subject(session, name)
    now = session.rooms.clock()
    until = None if seconds is None else now + seconds
    # Not by a name that they have taken for the while.
    sanction = Sanction(kind, *subject, session.account[1:], reason, now, until)
    await session.rooms.backplane.claim(Sanctioned(session.who, room.id, sanction))


async def _pardon(session: "Session", room: "Room", kind: str, text: str) -> None:
    sanction = _find(room, kind, text, session.rooms.clock())
    await session.rooms.backplane.claim(Pardoned(session.who, room.id, sanction))


def _find(room: "Room", kind: str, text: str, now: float) -> Sanction:
    """Find a sanction in force by whom it is against, or what they were called."""
    wanted = {addresses.network(text), account_id(text.removeprefix("@"))}
    folded = names.fold(text)
    for sanction in filter(lambda one: one.holds(now), room.charter.sanctions):
        is_meant = sanction.subject in wanted or names.fold(sanction.name) == folded
        if sanction.kind == kind and is_meant and sanction.subject != EVERYONE:
            return sanction
    done = "banned" if kind == "ban" else "muted"
    raise ChatError(f"{text} is not {done}. usage: {BANS_USAGE}")


def _span_and_reason(text: str) -> tuple[int | None, str]:
    """Read for how long, and why; None is for ever."""
    first, _, rest = text.partition(" ")
    try:
        seconds, reason = duration.parse(first), rest.strip()
    except ValueError:
        if re.fullmatch("[0-9]+[a-z]*", first.lower()):  # for ever is not what was meant
            raise ChatError(f"{first} is no span of time such as 10m, 2h or 7d") from None
        seconds, reason = None, text
    _check_reason(reason)
    return seconds, reason


def _check_reason(reason: str) -> None:
    if len(reason) > REASON_LENGTH:
        raise ChatError(f"a reason holds at most {REASON_LENGTH} characters")
