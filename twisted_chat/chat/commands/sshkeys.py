"""Commands for the SSH keys that log in to an account."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted_chat.chat.answers import Notice
from twisted_chat.chat.commands.accounts import own_account, prove
from twisted_chat.chat.commands.command import command
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.limits import SSH_KEYS
from twisted_chat.chat.sshkeys import PREFIX, read

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session

SSHKEY_USAGE = "/sshkey [list], add [KEY] or remove FINGERPRINT"


@command(
    "sshkey",
    usage=SSHKEY_USAGE,
    help="have an SSH key log you in, as well as the password: KEY is what is in id_ed25519.pub, "
    "or the key that you came with",
    takes=2,
    account=True,
    cost=5,
)
async def sshkey(session: "Session", what: str = "list", *given: str) -> None:
    what = what.lower()
    if what == "add":
        await _add(session, *given)
    elif what == "remove":
        await _remove(session, *given)
    elif what == "list" and not given:
        await _list(session)
    else:
        raise ChatError(f"list, add or remove is required. usage: {SSHKEY_USAGE}")


async def _list(session: "Session") -> None:
    keys = await session.rooms.accounts.ssh_keys(session.account)
    came_with = session.person.origin.fingerprint
    for key in keys:
        session.show(Notice(f"{key}, you came with it" if key == came_with else key))
    if came_with and came_with not in keys:
        session.show(Notice(f"you came with {came_with}. /sshkey add ties it to your account"))
    elif not keys:
        session.show(Notice("no key is tied to your account. usage: /sshkey add KEY"))


async def _add(session: "Session", text: str = "", password: str = "") -> None:
    """Tie a key to the account: whoever has it can log in, so the password is asked for."""
    account = await own_account(session)
    key = read(text) if text else _came_with(session)
    if not password:
        await _with(session, key)
        session.ask("the password, to tie that key to your account", "sshkey", "add", text)
        return
    await prove(session, account.name, password)
    await session.rooms.accounts.keep_ssh_keys(account.id, await _with(session, key))
    session.show(Notice(f"{key} logs you in from now on"))


def _came_with(session: "Session") -> str:
    if key := session.person.origin.fingerprint:
        return key
    raise ChatError("you came without a key. usage: /sshkey add KEY")


async def _with(session: "Session", key: str) -> Sequence[str]:
    """Give the keys of the account, and another one.

    :raises ChatError: it is one of them, or they are too many.
    """
    keys = await session.rooms.accounts.ssh_keys(session.account)
    if key in keys:
        raise ChatError(f"{key} is tied to your account already")
    if len(keys) >= SSH_KEYS:
        raise ChatError(f"{SSH_KEYS} keys are tied to your account already. /sshkey lists them")
    return (*keys, key)


async def _remove(session: "Session", text: str = "") -> None:
    """Have a key log in no more; without the password, for who lost a key is to be quick."""
    begin = text.removeprefix(PREFIX)
    if not begin:
        raise ChatError("fingerprint is required. usage: /sshkey remove FINGERPRINT")
    keys = await session.rooms.accounts.ssh_keys(session.account)
    found = [key for key in keys if key.removeprefix(PREFIX).startswith(begin)]
    if not found:
        raise ChatError(f"no key of yours is {text}. /sshkey lists them")
    if len(found) > 1:
        raise ChatError(f"{len(found)} keys of yours begin with {text}. /sshkey lists them")
    left = [key for key in keys if key != found[0]]
    await session.rooms.accounts.keep_ssh_keys(session.account, left)
    session.show(Notice(f"{found[0]} logs you in no more"))
