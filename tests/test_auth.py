"""Accounts that people have elsewhere: a checker of Twisted's, and one of an application."""

import pytest
import pytest_twisted
from real import Chat
from test_readme import blocks, page
from twisted.internet import reactor

from twisted_chat.chat.account import Account
from twisted_chat.chat.events import ChatError

OWN = "battery staple"
WRONG = "err: that is not the password of that name"
MADE_ELSEWHERE = "err: accounts are not made here: log in with the one you have"


def passwords(directory, **accounts):
    """Write a file of accounts, as ``file:`` takes it; give the option that names it."""
    lines = (f"{name}:{password}\n" for name, password in accounts.items())
    (directory / "passwords").write_text("".join(lines))
    return "--auth", "file:passwords"


@pytest.mark.real
def test_accounts_of_a_file(tmp_path):
    """Those of the file log in, nobody else does, and no password is in the log."""
    accounts = {"ann": "correct horse", "server": "zebra crossing"}
    options = ("--grace", "0", *passwords(tmp_path, **accounts))
    with Chat(tmp_path, *options, warm=False) as chat:
        ann = chat.connect()
        for name in ("ann", "dan"):
            ann.asks(f"/login {name} wrong horse", WRONG)
        ann.asks("/login ann correct horse", "> welcome back, ann. you are logged in")
        guest = chat.connect()
        guest.asks(
            "/login server zebra crossing",
            'err: that account cannot be used here: "server" is reserved',
        )
        guest.asks("/nick guest", "> all right, I will call you guest")
        guest.asks("/register correct horse", MADE_ELSEWHERE)
        for word in ("horse", "zebra"):
            assert word not in chat.log() + chat.output.read_text()
            assert word.encode() not in (tmp_path / "tcpchat.sqlite").read_bytes()


@pytest.mark.real
def test_accounts_made_before(tmp_path):
    """They log in as ever, and a file that has the same names opens none of them."""
    with Chat(tmp_path, warm=False) as chat:
        cyd = chat.enter("cyd")
        cyd.say(f"/register {OWN}")
        assert "is yours now" in cyd.read()
    accounts = {"cyd": "correct horse", "c\u0443d": "correct horse"}
    options = ("--grace", "0", *passwords(tmp_path, **accounts))
    with Chat(tmp_path, *options, warm=False) as chat:
        cyd = chat.connect()
        cyd.asks("/login cyd correct horse", WRONG)
        cyd.asks(
            "/login c\u0443d correct horse",
            'err: that account cannot be used here: "c\u0443d" looks like "cyd", '
            "which is registered",
        )
        cyd.asks(f"/login cyd {OWN}", "> welcome back, cyd. you are logged in")


@pytest.mark.real
def test_a_file_that_goes_away(tmp_path):
    """Nobody of it is let in until it is there again, and the chat goes on."""
    options = passwords(tmp_path, ann="correct horse")
    with Chat(tmp_path, *options, warm=False) as chat:
        file = tmp_path / "passwords"
        file.rename(tmp_path / "elsewhere")
        ann = chat.connect()
        ann.asks("/login ann correct horse", WRONG)
        chat.wait_for_log("Unable to load credentials db")
        (tmp_path / "elsewhere").rename(file)
        ann.asks("/login ann correct horse", "> welcome back, ann. you are logged in")


@pytest_twisted.ensureDeferred
async def test_a_checker_of_an_application():
    """The one in the page about embedding lets its people in, and nobody else."""
    [block] = [one for one in blocks(page("docs/embedding.rst"), "python") if "checkers=" in one]
    names = {"reactor": reactor}
    exec("from zope.interface import implementer\nfrom twisted_chat import ChatService", names)
    exec(block, names)
    club = names["club"]
    club.startService()
    accounts = club.rooms.accounts
    assert await accounts.login("ann", "correct horse", "") == Account("@ann", "ann")
    for name in ("ann", "bob"):
        with pytest.raises(ChatError, match="not the password"):
            await accounts.login(name, "wrong horse", "")
    await club.stopService()
