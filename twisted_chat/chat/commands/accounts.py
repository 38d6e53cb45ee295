"""Commands for names that one keeps."""

from typing import TYPE_CHECKING

from twisted_chat.chat.commands.command import command
from twisted_chat.chat.events import ChatError, LoggedIn, LoggedOut, Notice, Replay
from twisted_chat.chat.limits import PASSWORD_BYTES, PASSWORD_BYTES_LEAST

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session


@command(
    "register",
    usage="/register [PASSWORD]",
    help="keep your name: it is yours wherever you log in",
    takes=1,
    account=False,
    cost=5,
)
async def register(session: "Session", password: str = "") -> None:
    if session.person.number:
        raise ChatError("take a name first. usage: /nick NAME")
    if not password:
        session.ask_password("/register")
        return
    _check(password)
    name = session.who.name
    account = await session.rooms.accounts.register(name, password, session.address)
    await session.rooms.backplane.claim(LoggedIn(session.who, account.id, account.name))
    session.show(Notice(f"{account.name} is yours now. /login {account.name} brings you back"))


@command(
    "login",
    usage="/login NAME [PASSWORD]",
    help="be known by the name that you have registered",
    needs=("name",),
    takes=2,
    account=False,
    cost=5,
)
async def login(session: "Session", name: str, password: str = "") -> None:
    if not password:
        session.ask_password(f"/login {name}")
        return
    account = await session.rooms.accounts.login(name, password, session.address)
    await session.rooms.backplane.claim(LoggedIn(session.who, account.id, account.name))
    room = session.person.room
    where = f", in {room.name.text}" if room else ""
    session.show(Notice(f"welcome back, {account.name}. you are logged in{where}"))
    await _show_letters(session)


async def _show_letters(session: "Session") -> None:
    """Show what was told to someone while they were not here."""
    store = session.rooms.store
    letters = await store.letters(session.account)
    if letters:
        session.show(Replay([one for one in letters if one.who.identity not in session.ignored]))
        store.drop_letters(session.account, letters[-1].id)


@command("logout", usage="/logout", help="be a guest again", account=True)
async def logout(session: "Session") -> None:
    await session.rooms.backplane.claim(LoggedOut(session.who))
    session.show(Notice(f"you are logged out, and called {session.who.name}"))


@command(
    "passwd",
    usage="/passwd [PASSWORD]",
    help="have another password from now on",
    takes=1,
    account=True,
    cost=5,
)
async def passwd(session: "Session", password: str = "") -> None:
    if not password:
        session.ask_password("/passwd")
        return
    _check(password)
    await session.rooms.accounts.change(session.account, password)
    session.show(Notice("your password is changed"))


@command(
    "unregister",
    usage="/unregister",
    help="give up your name, and all that belongs to it",
    account=True,
)
async def unregister(session: "Session") -> None:
    await session.rooms.accounts.remove(session.account)
    await session.rooms.backplane.claim(LoggedOut(session.who))
    session.show(Notice("your account is gone"))


def _check(password: str) -> None:
    if not PASSWORD_BYTES_LEAST <= len(password.encode()) <= PASSWORD_BYTES:
        raise ChatError(f"a password has {PASSWORD_BYTES_LEAST} to {PASSWORD_BYTES} bytes")
