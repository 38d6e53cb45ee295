"""Commands for those who run a room."""

from typing import TYPE_CHECKING

from twisted_chat.chat.acts import Appointed, Invited, KeySet, Locked, Slowed
from twisted_chat.chat.answers import Notice
from twisted_chat.chat.charter import Rank, key_digest
from twisted_chat.chat.commands.command import command
from twisted_chat.chat.events import ChatError, Who
from twisted_chat.chat.limits import KEY_LENGTH, SLOW_SECONDS

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session


@command(
    "op",
    usage="/op NAME",
    help="have someone with an account run the room with you",
    needs=("name",),
    in_room=True,
    rank=Rank.OPERATOR,
)
async def op(session: "Session", name: str) -> None:
    room, whom = session.room, await _account(session, name)
    if room.charter.rank(whom.account) is not Rank.MEMBER:
        raise ChatError(f"{whom.name} runs {room.name.text} already")
    # A room that belongs to nobody is given away by who runs the server.
    is_given = not room.charter.owner and session.rank is Rank.SERVER
    rank = Rank.OWNER if is_given else Rank.OPERATOR
    await session.rooms.backplane.claim(Appointed(session.who, room.id, whom, rank))


@command(
    "deop",
    usage="/deop NAME",
    help="have someone run the room no more; with your own name, give it up",
    needs=("name",),
    in_room=True,
    rank=Rank.OPERATOR,
)
async def deop(session: "Session", name: str) -> None:
    room, whom = session.room, await _account(session, name)
    if room.charter.rank(whom.account) is Rank.MEMBER:
        raise ChatError(f"{whom.name} does not run {room.name.text}")
    await session.rooms.backplane.claim(Appointed(session.who, room.id, whom, Rank.MEMBER))


@command(
    "invite",
    usage="/invite NAME",
    help="let someone in, be the room locked or not; a guest until they go",
    needs=("name",),
    in_room=True,
    rank=Rank.OPERATOR,
)
async def invite(session: "Session", name: str) -> None:
    room = session.room
    whom = await _find_account(session, name) or session.rooms.person(name).who
    await session.rooms.backplane.claim(Invited(session.who, room.id, whom))


@command(
    "lock",
    usage="/lock",
    help="let only those enter who are invited",
    in_room=True,
    rank=Rank.OPERATOR,
)
async def lock(session: "Session") -> None:
    await _set_locked(session, True)


@command("unlock", usage="/unlock", help="let all enter again", in_room=True, rank=Rank.OPERATOR)
async def unlock(session: "Session") -> None:
    await _set_locked(session, False)


async def _set_locked(session: "Session", locked: bool) -> None:
    room = session.room
    if room.charter.locked is locked:
        raise ChatError(f"{room.name.text} is {'' if locked else 'not '}locked")
    await session.rooms.backplane.claim(Locked(session.who, room.id, locked))


@command(
    "key",
    usage="/key [KEY or off]",
    help="let only those enter who know a key: /join ROOM_NAME KEY",
    takes=1,
    in_room=True,
    rank=Rank.OPERATOR,
)
async def key(session: "Session", text: str = "") -> None:
    room = session.room
    if not text:
        there = "has a" if room.charter.key else "has no"
        session.show(Notice(f"{room.name.text} {there} key"))
        return
    if len(text) > KEY_LENGTH or len(text.split()) > 1:
        raise ChatError(f"a key holds at most {KEY_LENGTH} characters, and no blank")
    digest = "" if text.lower() == "off" else key_digest(room.name.fold, text)
    await session.rooms.backplane.claim(KeySet(session.who, room.id, digest))


@command(
    "slow",
    usage="/slow SECONDS",
    help="have members wait from one line to the next; 0 ends it",
    needs=("number of seconds",),
    in_room=True,
    rank=Rank.OPERATOR,
)
async def slow(session: "Session", text: str) -> None:
    if not (text.isascii() and text.isdigit() and len(text) < 5 and int(text) <= SLOW_SECONDS):
        raise ChatError(f"{text} is not 0 to {SLOW_SECONDS} seconds. usage: /slow SECONDS")
    await session.rooms.backplane.claim(Slowed(session.who, session.room.id, int(text)))


async def _account(session: "Session", name: str) -> Who:
    """Find someone with an account, here or not.

    :raises ChatError: nobody who is called so has one.
    """
    if whom := await _find_account(session, name):
        return whom
    person = session.rooms.person(name)
    raise ChatError(f"{person.name.text} has no account. /register keeps a name")


async def _find_account(session: "Session", name: str) -> Who | None:
    """Find someone with an account, here or not.

    First whose name it is: who has taken it while they are away is to be given nothing of theirs.
    """
    rooms = session.rooms
    account = await rooms.accounts.find(name.removeprefix("@"))
    person = rooms.logins.find(account.id) if account else rooms.naming.find(name)
    if person and person.who.account:
        return person.who
    return Who("", account.id, account.name) if account else None
