"""The place of an account, against the real process: broken connections, kills, stops."""

import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from real import VERSION, Chat, Peer, wait_until

pytestmark = pytest.mark.real

PASSWORD = "correct horse"


def registers(chat: Chat, name: str) -> Peer:
    """Have someone enter who has an account from now on."""
    peer = chat.enter(name)
    peer.asks(f"/register {PASSWORD}", f"> {name} is yours now. /login {name} brings you back")
    return peer


def comes_back(chat: Chat, name: str) -> tuple[Peer, str]:
    """Have someone log in; give what they are told of their absence."""
    peer = chat.connect(greeted=False)
    peer.read()
    peer.asks(f"/login {name} {PASSWORD}", f"> welcome back, {name}. you are logged in, in tea")
    return peer, re.sub(r"\d+ second", "N second", peer.read()).replace("seconds", "second")


def kept(directory: Path) -> str:
    """Give the places as they are on the disk."""
    with closing(sqlite3.connect(f"file:{directory}/tcpchat.sqlite?mode=ro", uri=True)) as file:
        return str(file.execute("SELECT place FROM places").fetchall())


@pytest.mark.parametrize("end", [Peer.close, Peer.reset])
def test_a_broken_connection(tmp_path, end):
    """However it ends: a reset, or a terminal that is closed."""
    with Chat(tmp_path) as chat:
        ann = registers(chat, "ann")
        bob = chat.enter("bob")
        ann.expect("> bob joined the room")
        end(ann)
        bob.say("/who")
        while not re.fullmatch(r"> here: ann \(gone \d+ s\), bob", bob.read()):
            bob.say("/who")
        bob.say("one", "two")
        bob.asks("/version", VERSION)
        ann, told = comes_back(chat, "ann")
        assert told == "> you were gone for N second, and missed 2 lines:"
        assert [ann.read()[-10:] for _ in range(2)] == ["] bob: one", "] bob: two"]
        ann.say("back")
        bob.expect("> ann: back")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_goes(tmp_path, number):
    """Killed, or stopped in order, and started again: whoever comes back is in their room."""
    with Chat(tmp_path) as chat:
        ann = registers(chat, "ann")
        ann.asks("/ignore ann", "err: you cannot ignore yourself")
        ann.asks("/quiet on", "> joins and leaves are hidden")
        bob = chat.enter("bob")
        bob.say("last words")
        ann.expect("> bob: last words")
        ann.asks("/version", VERSION)
        if number == signal.SIGKILL:
            wait_until(lambda: "true" in kept(tmp_path), "what is set up on the disk")
        chat.signal(number)
        chat.exit_code()
    with Chat(tmp_path, warm=False) as chat:
        ann, told = comes_back(chat, "ann")
        assert told == "> you were gone for N second, and missed nothing"
        ann.asks("/quiet", "> joins and leaves are shown")
        ann.asks("/who", "> here: ann")
