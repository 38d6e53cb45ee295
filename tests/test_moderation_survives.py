"""What keeps order, against the real process: all that was answered holds after a crash."""

import re
import signal
from collections.abc import Iterator

import pytest
from real import ANYWHERE, WELCOME, Chat, Peer

pytestmark = [pytest.mark.real, pytest.mark.long]

PASSWORD = "correct horse"
ACCOUNTS = ("ann", "bob", "cyd", "dot", "eve", "fay")
OPTIONS = ("--operator", "root", "--flood", "off", "--grace", "0")
SOCKET = "chat.sock"
"""Whoever comes over it comes from nowhere, so that no address counts."""
LOCKED_DOWN = "err: only who has an account may come in now. usage: /login NAME [PASSWORD]"
DONE = {
    "/op bob": "made bob an operator of the room",
    "/op cyd": "made cyd an operator of the room",
    "/deop cyd": "took the room out of the hands of cyd",
    "/mute cyd": "muted cyd",
    "/unmute cyd": "unmuted cyd",
    "/invite cyd": "invited cyd",
    "/ban dot 1h no": "banned dot for 1 hour (no)",
    "/mute eve": "muted eve",
    "/lock": "locked the room",
    "/key sesame": "put a key on the room",
    "/slow 600": "set slow mode: one line in 10 minutes",
}
"""What the owner of the room did, and how it is shown."""
DONE_TO_ALL = {
    "/ban * fay": "banned fay",
    "/ban * 203.0.113.0/24 7d": "banned 203.0.113.0/24 for 7 days",
    "/lockdown": "locked down the server",
}
"""What the operator of the server did."""


def start(directory) -> Chat:
    return Chat(directory, *OPTIONS, ports=(ANYWHERE, f"unix:{SOCKET}"), warm=False)


def connect(chat: Chat, name: str) -> Peer:
    """Have someone come who takes a name."""
    peer = chat.connect(address=str(chat.directory / SOCKET), greeted=False)
    peer.read()
    peer.asks(f"/nick {name}", f"> all right, I will call you {name}")
    return peer


def read_until(peer: Peer, end: str) -> None:
    """Read up to the end of a line, whatever else is sent."""
    seen = b""
    while not seen.endswith(f"{end}\r\n".encode()):
        seen += peer.read_bytes(1)


def register_root(chat: Chat) -> Peer:
    """Have the operator of the server register, with the code that the log shows."""
    chat.wait_for_log("root has no account yet")
    code = re.search(r"root has no account yet: .* ([0-9a-f]+)\n", chat.log())[1]
    root = connect(chat, "root")
    root.say("/register", code, PASSWORD)
    read_until(root, "/help tells what you can do")
    return root


def keep_order(chat: Chat) -> None:
    """Have everything done that is to hold afterwards."""
    people = [connect(chat, name) for name in ACCOUNTS]
    for peer in people:
        peer.say(f"/register {PASSWORD}")
    for peer, name in zip(people, ACCOUNTS, strict=True):
        peer.expect(f"> {name} is yours now. /login {name} brings you back")
    ann, root = people[0], register_root(chat)
    ann.asks("/join tea", "> welcome to tea", "> here: ann (owner)")
    ann.asks("/topic leaves", "> ann set the topic: leaves")
    for line, words in DONE.items():
        ann.asks(line, f"> ann {words}")
    for line, words in DONE_TO_ALL.items():
        root.asks(line, f"> root {words}")
    assert len(audit(root)) == len(DONE) + len(DONE_TO_ALL)  # all of it is on the disk then


def audit(root: Peer) -> list[str]:
    """Give who did what, without the times."""
    root.say("/audit", "/who nowhere")
    found = []
    while not (line := root.read()).startswith("err: "):
        found.append(re.fullmatch(r"> \[\d{4}-\d\d-\d\d \d\d:\d\d\] (.*)", line)[1])
    return found


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    """A chat that was killed as soon as order was kept, and started again."""
    directory = tmp_path_factory.mktemp("chat")
    with start(directory) as chat:
        keep_order(chat)
        chat.signal(signal.SIGKILL)
        chat.exit_code()
    with start(directory) as chat:
        yield chat


@pytest.fixture
def comes(chat: Chat) -> Iterator:
    """Have someone come back and log in, who is gone again afterwards."""
    people = []

    def comes(name: str) -> Peer:
        peer = chat.connect(address=str(chat.directory / SOCKET), greeted=False)
        people.append(peer)
        assert peer.read().startswith("> welcome. you are anonymous")
        peer.expect(LOCKED_DOWN)
        peer.asks(f"/login {name} {PASSWORD}", f"> welcome back, {name}. you are logged in")
        return peer

    yield comes
    for peer in people:
        peer.say("/quit")
        peer.read_to_end()


def enters(peer: Peer, here: str) -> None:
    """Have someone enter the room."""
    peer.asks("/join tea", "> welcome to tea", "> topic: leaves", f"> here: {here}")


def test_who_runs_the_room(comes):
    """The owner and the operators are who they were; who was one no more is not."""
    ann, bob, cyd = comes("ann"), comes("bob"), comes("cyd")
    enters(ann, "ann (owner)")
    enters(bob, "ann (owner), bob (op)")
    enters(cyd, "ann (owner), bob (op), cyd")
    cyd.asks("/kick bob", "err: only operators of this room may do that")
    bob.expect("> cyd joined the room")
    bob.asks("/kick ann", "err: ann is the owner of tea")


def test_who_is_invited_comes_in(comes):
    """Into the locked room, without its key; the room is slow, and they are muted no more."""
    ann, cyd = comes("ann"), comes("cyd")
    enters(ann, "ann (owner)")
    enters(cyd, "ann (owner), cyd")
    cyd.say("one", "two")
    ann.expect("> cyd joined the room", "> cyd: one")
    cyd.expect("err: not said: the room is slow: wait for 10 minutes")


def test_the_lock_the_key_and_the_mute(comes):
    """Each of them holds once what is before it is taken away."""
    ann, eve = comes("ann"), comes("eve")
    eve.asks("/join tea", "err: tea is locked: only who is invited may enter")
    ann.say("/join tea", "/unlock")
    read_until(ann, "> ann unlocked the room")
    eve.asks("/join tea", "err: tea has a key. usage: /join ROOM_NAME KEY")
    eve.asks("/join tea Sesame", "err: that is not the key of tea")
    eve.say("/join tea sesame")
    read_until(eve, "> here: ann (owner), eve")
    eve.asks("hello", "err: not said: you are muted")
    ann.expect("> eve joined the room")
    ann.asks("/lock", "> ann locked the room")


def test_who_is_banned_from_the_room(comes):
    """For as long as was said."""
    dot = comes("dot")
    dot.say("/join tea")
    assert re.fullmatch(
        r"err: you are banned from tea for another (1 hour|[0-9]+ minutes): no", dot.read()
    )


def test_who_is_banned_from_the_server(chat):
    """They cannot log in; who is no more than a guest has to."""
    fay = chat.connect(address=str(chat.directory / SOCKET), greeted=False)
    fay.expect(WELCOME.format("anonymous"), LOCKED_DOWN)
    fay.asks(f"/login fay {PASSWORD}", "err: fay is banned")
    fay.asks("/join tea", LOCKED_DOWN)


def test_who_runs_the_server(chat, comes):
    """They need no code any more, and see what holds, and who did what."""
    assert "has no account yet" not in chat.log()
    root = comes("root")
    root.expect("> you are an operator of the server. /help tells what you can do")
    root.say("/bans *")
    root.expect("> fay (@fay) is banned, by root")
    assert re.fullmatch(
        r"> 203\.0\.113\.0/24 is banned, for another (7|6) days, by root", root.read()
    )
    root.expect("> guests (*) are banned, by root")
    done = [f"ann {words}, in tea" for words in DONE.values()]
    done += [f"root {words}" for words in DONE_TO_ALL.values()]
    assert audit(root)[: len(done)] == done
