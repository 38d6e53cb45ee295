"""The real telnet, in a terminal, word for word."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from real import WELCOME, Chat, Peer, Terminal, need

pytestmark = pytest.mark.real


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    need("telnet")
    with Chat(tmp_path, "--flood", "off", "--max-per-address", "0", warm=False) as chat:
        yield chat


@pytest.fixture
def bob(chat: Chat) -> Iterator[Terminal]:
    """Someone who has just called telnet."""
    with Terminal(need("telnet"), "127.0.0.1", str(chat.port)) as bob:
        bob.expect(
            "Trying 127.0.0.1...",
            "Connected to 127.0.0.1.",
            "Escape character is '^]'.",
            WELCOME.format("anonymous"),
        )
        yield bob


def now() -> datetime:
    return datetime.now(UTC)


def expect_dated(bob: Terminal, line: str, since: datetime) -> None:
    """See a line that bears the time, to the minute, of something not before ``since``."""
    assert bob.sees() in {f"{when:{line}}" for when in (since, now())}


def command(bob: Terminal, line: str, *answers: str) -> None:
    """Type a command for telnet itself."""
    bob.press(b"\x1d")
    bob.expect_text("telnet> ")
    bob.press(f"{line}\r".encode())
    bob.expect(line, *answers)


def meet(chat: Chat, bob: Terminal) -> Peer:
    """Have bob enter a room with ann in it."""
    ann = chat.enter("ann")
    bob.asks("/nick bob", "> all right, I will call you bob")
    bob.asks("/join tea", "> welcome to tea", "> here: ann, bob")
    ann.expect("> bob joined the room")
    return ann


def back_in_the_chat(bob: Terminal, ann: Peer) -> None:
    """See that telnet shows the chat again, after a command for itself."""
    ann.say("go on")
    bob.expect("> ann: go on")


def test_the_conversation_of_the_manual(chat, bob):
    """Bob's telnet shows what the manual shows, word for word and nothing else."""
    bob.asks("hello", "err: you are in no room. usage: /join ROOM_NAME")
    bob.asks("/nick bob", "> all right, I will call you bob")
    bob.asks("/rooms", "> available rooms: none. /join NAME makes one")
    chat.enter("lou", "lobby")
    ann = chat.enter("ann")
    bob.asks("/rooms", "> available rooms: lobby, tea")
    ann.asks("/topic leaves", "> ann set the topic: leaves")
    since = now()
    ann.asks("earlier\r\n/topic", "> topic: leaves")
    bob.asks("/join tea", "> welcome to tea", "> topic: leaves")
    expect_dated(bob, "> [%Y-%m-%d %H:%M] ann: earlier", since)
    bob.expect("> here: ann, bob")
    ann.expect("> bob joined the room")
    ann.say("hello bob", "/me waves", "/tell bob hi")
    ann.expect("> [you -> bob] hi")
    bob.expect("> ann: hello bob", "> * ann waves", "> [ann -> you] hi")
    bob.asks("/reply yes", "> [you -> ann] yes")
    ann.expect("> [bob -> you] yes")
    bob.asks("/time on", "> times are shown in UTC")
    since = now()
    ann.say("from now on")
    expect_dated(bob, "> [%H:%M] ann: from now on", since)
    bob.asks("/time off", "> times are not shown")
    cyd = chat.enter("cyd")
    bob.expect("> cyd joined the room")
    cyd.asks("/leave", "> you have left tea")
    bob.expect("> cyd has left the room")
    ann.expect("> cyd joined the room", "> cyd has left the room")
    ann.asks("/nick anna", "> all right, I will call you anna")
    bob.expect("> ann is now known as anna")
    bob.asks("/join tea", "> you are in tea already")
    bob.types("hello all")
    ann.expect("> bob: hello all")
    bob.asks("/leave", "> you have left tea")
    bob.asks("/foo", "err: unknown command: /foo. /help lists them")
    bob.asks("/quit", "> sad to see you go =(", "Connection closed by foreign host.")
    ann.expect("> bob has left the room")


def test_quit_is_announced_once_and_telnet_ends(chat, bob):
    """``/quit`` closes telnet, and the room sees one line about it, with the reason."""
    ann = meet(chat, bob)
    bob.types("/quit time for bed")
    bob.expect("> sad to see you go =(", "Connection closed by foreign host.")
    ann.expect("> bob has left the room (time for bed)")
    bob.exit_code()
    ann.asks("/who", "> here: ann")


def test_the_past_is_replayed(chat, bob):
    """What was said before is shown on entering and by ``/history``; a topic only if it is set."""
    since = now()
    ann = chat.enter("ann")
    ann.asks("one\r\n/me two\r\n/who", "> here: ann")
    dated = ("> [%Y-%m-%d %H:%M] ann: one", "> [%Y-%m-%d %H:%M] * ann two")
    bob.asks("/join tea", "> welcome to tea")
    for line in dated:
        expect_dated(bob, line, since)
    bob.expect("> here: ann, anonymous")
    bob.types("/history")
    for line in dated:
        expect_dated(bob, line, since)
    bob.types("/history 1")
    expect_dated(bob, dated[1], since)


def test_ctrl_c(chat, bob):
    """Ctrl-C tells how to leave, and the conversation goes on, as often as it is pressed."""
    ann = meet(chat, bob)
    for number in range(3):
        bob.press(b"\x03")
        bob.expect("^C> /quit leaves")
        bob.types(f"still here {number}")
        ann.expect(f"> bob: still here {number}")
        ann.say(f"so I see {number}")
        bob.expect(f"> ann: so I see {number}")


@pytest.mark.parametrize("word", ["ip", "brk"])
def test_break(bob, word):
    """What telnet sends for Interrupt Process and for Break tells how to leave."""
    command(bob, f"send {word}")
    bob.expect("> /quit leaves")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            "mode character",
            (
                "SENT DO SUPPRESS GO AHEAD",
                "SENT DO ECHO",
                "RCVD WONT SUPPRESS GO AHEAD",
                "RCVD WONT ECHO",
            ),
        ),
        ("mode line", ("SENT WILL LINEMODE", "RCVD DONT LINEMODE")),
        ("send do echo", ("SENT DO ECHO", "RCVD WONT ECHO")),
        (
            "toggle binary",
            (
                "Negotiating binary mode with remote host.",
                "SENT DO BINARY",
                "SENT WILL BINARY",
                "RCVD WONT BINARY",
                "RCVD DONT BINARY",
            ),
        ),
    ],
)
def test_every_option_is_refused(chat, bob, line, shown):
    """Whatever telnet asks for is refused, and the conversation goes on as before."""
    ann = meet(chat, bob)
    command(bob, "toggle options", "Will show option processing.")
    back_in_the_chat(bob, ann)
    command(bob, line, *shown)
    back_in_the_chat(bob, ann)
    bob.types("hello")
    ann.expect("> bob: hello")


@pytest.mark.parametrize("line", ["send ayt", "send nop", "send ao", "send ga", "toggle crlf"])
def test_telnet_commands_do_not_reach_the_chat(chat, bob, line):
    """What telnet sends besides text is no part of the next line."""
    ann = meet(chat, bob)
    command(bob, line)
    if line.startswith("toggle"):
        bob.expect("Will send carriage returns as telnet <CR><LF>.")
    back_in_the_chat(bob, ann)
    bob.types("hello")
    ann.expect("> bob: hello")


def test_a_line_in_pieces(chat, bob):
    """A line that leaves the terminal in pieces, with telnet commands between them, is one."""
    ann = meet(chat, bob)
    bob.press(b"to be\x04")
    bob.expect_text("to be")
    command(bob, "send nop")
    back_in_the_chat(bob, ann)
    bob.press(b" or noz\x04")
    bob.expect_text(" or noz")
    command(bob, "send ec")
    back_in_the_chat(bob, ann)
    bob.press(b"t to be\r")
    ann.expect("> bob: to be or not to be")


def test_a_closed_window(chat, bob):
    """Who closes the terminal's window has left, and is announced once."""
    ann = meet(chat, bob)
    bob.hang_up()
    ann.expect("> bob has left the room")
    ann.asks("/who", "> here: ann")


PASSWORD = "correct horse"


def test_a_password_is_not_shown(chat, bob):
    """It is asked for, typed, and never on the screen; afterwards what is typed is shown again."""
    asked = "> type the password. telnet does not show it, other programs may"
    bob.asks("/nick bob", "> all right, I will call you bob")
    bob.asks("/register", asked)
    bob.press(f"{PASSWORD}\r".encode())
    bob.expect("", "> bob is yours now. /login bob brings you back")
    bob.asks("/logout", "> you are logged out, and called anonymous")
    bob.asks("/login bob", asked)
    bob.press(b"wrong horse\r")
    bob.expect("", "err: that is not the password of that name")
    bob.asks("/login bob", asked)
    bob.press(f"{PASSWORD}\r".encode())
    bob.expect("", "> welcome back, bob. you are logged in")
    bob.asks("/join tea", "> welcome to tea", "> here: bob (owner)")
    everything = b"".join(file.read_bytes() for file in chat.directory.iterdir() if file.is_file())
    assert b"horse" not in everything
