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
    if person := session.rooms.naming.find(name):
        to = person.who
    elif account := await session.rooms.accounts.find(name):
        to = Who("", account.id, account.name)
    else:
        raise ChatError(f"there is nobody called {name}")
    await _tell(session, to, text)


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
    if person := session.rooms.private.addressee(to):
        to = person.who
    elif not to.account or not await session.rooms.accounts.find(to.account[1:]):
        raise ChatError(f"{to.name} has gone")
    await _tell(session, to, text)


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
