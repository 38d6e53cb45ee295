"""Commands that say something."""

from typing import TYPE_CHECKING

from twisted_chat.chat.commands.command import command
from twisted_chat.chat.events import ChatError, Emoted, Said, Told, Who
from twisted_chat.chat.limits import LETTERS

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session


@command(
    "msg",
    usage="/msg MSG",
    help="say something to the room, as a line without a command does",
    needs=("message",),
    in_room=True,
)
def msg(session: "Session", text: str) -> None:
    person = session.person
    assert person.room is not None
    if hooks := session.rooms.hooks:
        text = hooks.on_say(session, text)
    session.rooms.backplane.publish(Said(person.who, person.room.id, text))


@command(
    "me",
    usage="/me TEXT",
    help="tell the room what you do",
    needs=("text",),
    in_room=True,
)
def me(session: "Session", text: str) -> None:
    if hooks := session.rooms.hooks:
        text = hooks.on_say(session, text)
    session.rooms.backplane.publish(Emoted(session.who, session.room.id, text))


@command(
    "tell",
    "pm",
    "w",
    usage="/tell NAME TEXT",
    help="say something to one person alone",
    needs=("name", "text"),
)
async def tell(session: "Session", name: str, text: str) -> None:
    person = session.rooms.naming.find(name)
    account = None if person else await session.rooms.accounts.find(name)
    if account:
        await _tell(session, Who("", account.id, account.name), text)
    elif person:
        await _tell(session, person.who, text)
    else:
        raise ChatError(f"there is nobody called {name}")


@command(
    "reply",
    "r",
    usage="/reply TEXT",
    help="answer whoever last told you something",
    needs=("text",),
)
async def reply(session: "Session", text: str) -> None:
    if session.reply_to is None:
        raise ChatError("nobody has told you anything yet. usage: /tell NAME TEXT")
    to = session.reply_to
    person = session.rooms.private.addressee(to)
    if person:
        await _tell(session, person.who, text)
    elif to.account and await session.rooms.accounts.find(to.account[1:]):
        await _tell(session, to, text)
    else:
        raise ChatError(f"{to.name} has gone")


async def _tell(session: "Session", to: Who, text: str) -> None:
    if to.identity in session.ignored:
        raise ChatError(f"you ignore {to.name}. usage: /unignore NAME")
    person = session.rooms.private.addressee(to)
    if person is None or person.gone:
        await _refuse_too_many_letters(session, to)
    session.rooms.backplane.publish(Told(session.who, to, text))


async def _refuse_too_many_letters(session: "Session", to: Who) -> None:
    if len(await session.rooms.store.letters(to.identity)) >= LETTERS:
        raise ChatError(f"{LETTERS} lines wait for {to.name} already")
