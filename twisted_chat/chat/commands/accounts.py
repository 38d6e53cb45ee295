"""Commands for names that one keeps."""

from typing import TYPE_CHECKING

from twisted_chat.chat.account import Account
from twisted_chat.chat.acts import PasswordGiven
from twisted_chat.chat.addresses import place
from twisted_chat.chat.answers import Notice
from twisted_chat.chat.charter import Rank
from twisted_chat.chat.comeback import be_logged_in, greet_operator, log_in
from twisted_chat.chat.commands.command import LOGIN_USAGE, command
from twisted_chat.chat.events import ChatError, LoggedOut
from twisted_chat.chat.limits import PASSWORD_BYTES, PASSWORD_BYTES_LEAST

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session

PROVEN = "\0"
"""What stands for a password that was right; nobody can type it."""


@command(
    "register",
    usage="/register [PASSWORD]",
    help="keep your name: it is yours wherever you log in",
    takes=1,
    account=False,
    cost=5,
)
async def register(session: "Session", password: str = "", *asked_for: str) -> None:
    if session.person.number:
        raise ChatError("take a name first. usage: /nick NAME")
    if session.rooms.operators.needs_code(session.who.name):
        await _register_operator(session, password, *asked_for)
    elif not password:
        session.ask("the password", "register")
    else:
        await _register(session, password)


async def _register(session: "Session", password: str) -> None:
    _check(password)
    from_ = place(session.person.origin.address)
    account = await session.rooms.accounts.register(session.who.name, password, from_)
    await be_logged_in(session, account)
    session.show(Notice(f"{account.name} is yours now. /login {account.name} brings you back"))


async def _register_operator(
    session: "Session", given: str, code: str = "", password: str = ""
) -> None:
    """Register the name of an operator: the code first, for no password is to wait for it."""
    name, operators = session.who.name, session.rooms.operators
    if given:
        raise ChatError(f"{name} runs the server, and needs a code. usage: /register")
    if not code:
        session.ask("the code that the log of the server shows", "register", "")
        return
    operators.check_code(name, code)
    if not password:
        session.ask("the password", "register", "", code)
        return
    await _register(session, password)
    operators.registered(name)
    greet_operator(session)


@command(
    "login",
    usage=LOGIN_USAGE,
    help="be known by the name that you have registered",
    needs=("name",),
    takes=2,
    account=False,
    barred=True,
    cost=5,
)
async def login(session: "Session", name: str, password: str = "") -> None:
    if not password:
        session.ask("the password", "login", name)
        return
    await log_in(session, await prove(session, name, password))


async def prove(session: "Session", name: str, password: str) -> Account:
    """Check a password, within the limits for who tries from where they are."""
    return await session.rooms.accounts.login(name, password, place(session.person.origin.address))


@command("logout", usage="/logout", help="be a guest again", account=True)
async def logout(session: "Session") -> None:
    await session.rooms.backplane.claim(LoggedOut(session.who))
    session.show(Notice(f"you are logged out, and called {session.who.name}"))


@command(
    "passwd",
    usage="/passwd",
    help="have another password from now on; operators of the server give one by /passwd NAME",
    takes=1,
    account=True,
    cost=5,
)
async def passwd(session: "Session", name: str = "", *typed: str) -> None:
    if name:
        await _give_password(session, name, *typed)
        return
    account = await own_account(session)
    if not typed:
        session.ask("the password that you have now", "passwd", "")
    elif typed[0] != PROVEN:
        await prove(session, account.name, typed[0])
        session.ask("the new password", "passwd", "", PROVEN)
    else:
        _check(typed[-1])
        await session.rooms.accounts.change(account.id, typed[-1])
        session.show(Notice("your password is changed"))


async def own_account(session: "Session") -> Account:
    """Give the account that someone wants to change.

    :raises ChatError: it is not kept here.
    """
    account = await session.rooms.accounts.find(session.account[1:])
    if account is None:
        raise ChatError("your account is not kept here")
    return account


async def _give_password(session: "Session", name: str, password: str = "") -> None:
    """Give someone another password, who has lost theirs."""
    rooms = session.rooms
    if session.rank is not Rank.SERVER:
        raise ChatError("/passwd takes nothing more: it asks. usage: /passwd")
    account = await rooms.accounts.find(name)
    if account is None:
        raise ChatError(f"there is no account called {name}")
    if account.id in rooms.operators:
        raise ChatError(f"{account.name} is an operator of the server")
    if not password:
        session.ask(f"the new password of {account.name}", "passwd", name)
        return
    _check(password)
    # First of all it is noted: they may be gone before the password is hashed.
    await rooms.backplane.claim(PasswordGiven(session.who, 0, account.name))
    await rooms.accounts.change(account.id, password)


@command(
    "unregister",
    usage="/unregister",
    help="give up your name, and all that belongs to it; your rooms go to who runs them with you",
    account=True,
    cost=5,
)
async def unregister(session: "Session", password: str = "") -> None:
    account = await own_account(session)
    if not password:
        session.ask("the password, to give up your account", "unregister")
        return
    await prove(session, account.name, password)
    await session.rooms.accounts.remove(account.id)
    # Not claimed, for they may have gone: nobody is to come by the name and by their rooms.
    session.rooms.backplane.publish(LoggedOut(session.who, for_good=True))
    session.show(Notice("your account is gone"))


def _check(password: str) -> None:
    if not PASSWORD_BYTES_LEAST <= len(password.encode()) <= PASSWORD_BYTES:
        raise ChatError(f"a password has {PASSWORD_BYTES_LEAST} to {PASSWORD_BYTES} bytes")
