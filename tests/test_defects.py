"""The tutorial's defects stay away: each of these once lost lines, people or the whole server."""

import os
import resource
import signal
from collections.abc import Iterator

import pytest
from real import FAREWELL, WELCOME, Chat, Peer, wait_until

pytestmark = pytest.mark.real

OPEN = ("--flood", "off", "--max-per-address", "0", "--replay", "0")
MEGABYTE = 1 << 20
TOO_LONG = "err: a line holds at most 1024 bytes"


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    with Chat(tmp_path_factory.mktemp("chat"), *OPEN) as chat:
        yield chat


@pytest.fixture(autouse=True)
def everyone_goes_home(chat: Chat) -> Iterator[None]:
    yield
    chat.go_home()


# What ended the server, or a connection


def test_msg_before_join(chat):
    """Talking without a room is refused in one line, and ends nobody's connection."""
    ann, bob = chat.connect(), chat.connect("anonymous-2")
    for line in ("/msg hello", "hello", "/me waves", "/leave"):
        ann.asks(line, "err: you are in no room. usage: /join ROOM_NAME")
    bob.asks("/rooms", "> available rooms: none. /join NAME makes one")


def test_a_bare_end_at_sigterm(tmp_path):
    """Who is connected when the server stops reads a farewell before the connection ends."""
    with Chat(tmp_path, *OPEN) as chat:
        ann, bob = chat.enter("ann"), chat.connect()
        chat.signal(signal.SIGTERM)
        ann.expect_end(FAREWELL)
        bob.expect_end(FAREWELL)
        assert chat.exit_code() == 0


# What lost lines


def test_many_commands_in_one_segment(chat):
    """Commands that arrive together are all obeyed, in their order."""
    ann = chat.connect()
    ann.send(b"/nick ann\r\n/join tea\r\nhello\r\n/who\r\n/leave\r\n/quit\r\n")
    ann.expect_end(
        "> all right, I will call you ann",
        "> welcome to tea",
        "> here: ann",
        "> here: ann",
        "> you have left tea",
        "> sad to see you go =(",
    )


def test_one_command_in_many_segments(chat):
    """A command that arrives byte by byte is one command."""
    ann = chat.connect()
    for byte in "/nick bj\u00f6rn\r\n".encode():
        ann.send(bytes([byte]))
    ann.expect("> all right, I will call you bj\u00f6rn")


def test_plain_text_is_said(chat):
    """A line without a command is said as by ``/msg``."""
    ann, bob = chat.enter("ann"), chat.enter("bob")
    ann.expect("> bob joined the room")
    bob.say("hello there", "/msg hello there", "//hello")
    ann.expect("> bob: hello there", "> bob: hello there", "> bob: /hello")


@pytest.mark.parametrize("line", ["/NICK bob", "/Nick\tbob", "  /nick   bob  ", "\t/nick \t bob"])
def test_letter_case_tabs_and_leading_blanks(chat, line):
    """A command may be in capitals, after blanks, and have a tab before its argument."""
    chat.connect().asks(line, "> all right, I will call you bob")


def test_telnet_commands_inside_a_command(chat):
    """Telnet's own bytes, wherever they stand, are no part of a line; options are refused."""
    ann = chat.connect()
    nop, ayt, will_echo, do_naws = b"\xff\xf1", b"\xff\xf6", b"\xff\xfb\x01", b"\xff\xfd\x1f"
    sizes = b"\xff\xfa\x1f\x00\x50\r\n\x18\xff\xf0"
    ann.send(
        b"/n" + nop + b"i" + will_echo + b"ck" + ayt + b" an" + sizes + b"n\r" + do_naws + b"\n"
    )
    assert ann.read_bytes(6) == b"\xff\xfe\x01" + b"\xff\xfc\x1f"
    ann.expect("> all right, I will call you ann")
    ann.asks("/nick ann", "> you are ann already")


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r\0", b"\r", b"\n\r\0"])
def test_line_ends(chat, end):
    """A line may end as telnet, nc, PuTTY and the like end theirs."""
    ann = chat.connect()
    ann.send(b"/nick ann" + end + b"/join tea" + end + b"/who" + end)
    ann.expect("> all right, I will call you ann", "> welcome to tea", "> here: ann", "> here: ann")


# What lost people, or kept them for ever


def test_joining_the_room_where_one_is(chat):
    """Joining the room one is in changes nothing, and the others see nothing."""
    ann, bob = chat.enter("ann"), chat.enter("bob")
    ann.expect("> bob joined the room")
    bob.asks("/join tea", "> you are in tea already")
    bob.asks("/join TEA", "> you are in tea already")
    bob.asks("/who", "> here: ann, bob")
    bob.say("still here")
    ann.expect("> bob: still here")
    ann.say("I hear you")
    bob.expect("> ann: I hear you")


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_connection_that_drops(chat, how):
    """Who drops without ``/quit``, by FIN or RST, is announced once and leaves nothing behind."""
    ann, bob = chat.enter("ann"), chat.enter("bob")
    ann.expect("> bob joined the room")
    before = chat.descriptors()
    getattr(bob, how)()
    ann.expect("> bob has left the room")
    chat.wait_for_descriptors(before - 1)
    ann.asks("/who", "> here: ann")
    ann.asks("/whois bob", "err: there is nobody called bob")
    chat.enter("bob").asks("/who", "> here: ann, bob")
    ann.expect("> bob joined the room")


def test_many_connections_that_drop(chat):
    """However many drop at once, in whatever way, none leaves a member or a descriptor."""
    ann = chat.enter("ann")
    before = chat.descriptors()
    for number in range(100):
        guest = chat.enter(f"guest{number}")
        ann.expect(f"> guest{number} joined the room")
        (guest.reset if number % 2 else guest.close)()
        ann.expect(f"> guest{number} has left the room")
    chat.wait_for_descriptors(before)
    ann.asks("/who", "> here: ann")


def test_two_people_of_one_name(chat):
    """A name belongs to one person; who claims it in whatever case is refused and stays unnamed."""
    ann, bob = chat.connect(), chat.connect("anonymous-2")
    ann.asks("/nick eve", "> all right, I will call you eve")
    bob.asks("/nick eve", 'err: "eve" is taken')
    bob.asks("/nick EVE", 'err: "EVE" is taken')
    bob.asks("/join tea", "> welcome to tea", "> here: anonymous-2")
    ann.asks("/quit", "> sad to see you go =(")
    ann.expect_end()
    bob.asks("/nick eve", "> all right, I will call you eve")


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        ("/nick", "err: nick is required. usage: /nick NAME"),
        ("/join", "err: room name is required. usage: /join ROOM_NAME"),
    ],
)
def test_empty_and_endless_names(chat, command, refusal):
    """A name that is empty, or 100 kB long, is refused in one line and changes nothing."""
    ann = chat.enter("ann")
    ann.asks(command, refusal)
    ann.asks(f"{command}  \t ", refusal)
    ann.asks(f"{command} {'x' * 100_000}", TOO_LONG)
    ann.say(f"{command} {'x' * 1000}")
    assert ann.read().startswith("err: a ")
    ann.asks("/whois ann", "> ann is in tea, connected for 0 seconds")
    ann.asks("/rooms", "> available rooms: tea")


def test_renaming_is_announced(chat):
    """The room sees who has taken another name, and what they say goes by it."""
    ann, bob = chat.enter("ann"), chat.enter("bob")
    ann.expect("> bob joined the room")
    bob.asks("/nick robert", "> all right, I will call you robert")
    ann.expect("> bob is now known as robert")
    bob.say("it is me")
    ann.expect("> robert: it is me")


# Lists


def test_empty_rooms_are_gone(chat):
    """A room is listed as long as somebody is in it, and no longer."""
    ann, bob = chat.connect(), chat.connect("anonymous-2")
    for number in range(20):
        ann.asks(f"/join room{number}", f"> welcome to room{number}", "> here: anonymous")
    bob.asks("/rooms", "> available rooms: room19")
    ann.reset()
    wait_until(lambda: chat.descriptors() == chat.empty_descriptors + 1, "one who is left")
    bob.asks("/rooms", "> available rooms: none. /join NAME makes one")


def test_rooms_are_listed_in_order(chat):
    """``/rooms`` is sorted, and the same each time."""
    names = ["pear", "Apple", "quince", "banana", "Orange", "fig", "grape", "kiwi", "lemon", "date"]
    for number, name in enumerate(names):
        chat.enter(f"guest{number}", name)
    ann = chat.connect()
    listed = ", ".join(sorted(names, key=str.casefold))
    for _ in range(3):
        ann.asks("/rooms", f"> available rooms: {listed}")


# What reached other people's terminals


@pytest.mark.parametrize(
    ("typed", "heard"),
    [
        (b"hi\r> ann: forged\r\n", ["> bob: hi", "> bob: > ann: forged"]),
        (b"hi\r\0> ann: forged\r\n", ["> bob: hi", "> bob: > ann: forged"]),
        (b"a\x1b[2J\x1b]0;x\x07b\r\n", ["> bob: a\ufffd[2J\ufffd]0;x\ufffdb"]),
        (b"a\x0b\x0c\x00b\r\n", ["> bob: a\ufffd\ufffd\ufffdb"]),
        (b"a\xc2\x9b31mb\r\n", ["> bob: a\ufffd31mb"]),
        (b"a\x9b\xffb\r\n".replace(b"\xff", b"\xff\xff"), ["> bob: a\ufffd\ufffdb"]),
        (b"a\xc2\x85> ann: x\xe2\x80\xa8y\r\n", ["> bob: a\ufffd> ann: x\ufffdy"]),
        (b"\xe2\x80\xaedlrow\r\n", ["> bob: \ufffddlrow"]),
        (b"a\tb\r\n", ["> bob: a b"]),
    ],
)
def test_nothing_typed_forges_a_line(chat, typed, heard):
    """No control reaches another terminal, and every line begins with who has said it."""
    ann, bob = chat.enter("ann"), chat.enter("bob")
    ann.expect("> bob joined the room")
    bob.send(typed)
    ann.expect(*heard)


@pytest.mark.parametrize("name", ["b:", "[ann", "*", "b\x1bob", "b\u202eob", "b\u00a0ob", "\ufffd"])
def test_no_name_forges_a_line(chat, name):
    """A name that could be taken for another part of a line is refused."""
    ann = chat.connect()
    ann.say(f"/nick {name}")
    assert ann.read().startswith("err: a nick ")
    ann.asks("/join tea", "> welcome to tea", "> here: anonymous")


# What froze everyone, or ate the memory


def test_one_who_stops_reading(chat):
    """One member who reads nothing does not keep the others from talking."""
    stuck = chat.enter("stuck", receive_buffer=4096)
    ann, bob = chat.enter("ann"), chat.enter("bob")
    ann.expect("> bob joined the room")
    text = "x" * 1000
    for _ in range(9):
        ann.say(*[text] * 100)
        bob.expect(*[f"> ann: {text}"] * 100)
    bob.say("fine")
    ann.expect("> bob: fine")
    assert stuck.read() == "> ann joined the room"


def test_200_mb_without_a_newline(chat):
    """An unfinished line takes no more memory than a line may have, and others go on talking."""
    ann, bob = chat.enter("ann"), chat.enter("bob")
    ann.expect("> bob joined the room")
    chat.forget_peak_memory()
    before = chat.peak_memory()
    chunk = b"x" * MEGABYTE
    for number in range(200):
        bob.send(chunk)
        if number % 50 == 0:
            ann.asks("/who", "> here: ann, bob")
    bob.expect(TOO_LONG)
    bob.send(b"\r\nstill here\r\n")
    ann.expect("> bob: still here")
    assert chat.peak_memory() - before < 10 * MEGABYTE


def everyone_talks(ann: Peer, others: list[Peer]) -> None:
    """Have everyone hear ann."""
    ann.say("are you there")
    for other in others:
        other.expect("> ann: are you there")


def test_more_people_than_descriptors(tmp_path):
    """With few descriptors, who comes too late is told so, and those inside go on talking."""
    with Chat(tmp_path, *OPEN, descriptors=100) as chat:
        inside = [chat.connect(greeted=False) for _ in range(36)]
        for number, guest in enumerate(inside):
            guest.read()
            guest.say(f"/nick guest{number}", "/quiet on", "/join tea")
            guest.expect(
                f"> all right, I will call you guest{number}",
                "> joins and leaves are hidden",
                "> welcome to tea",
            )
            assert guest.read().startswith("> here: ")
        ann, *others = inside
        ann.say("/nick ann")
        ann.expect("> all right, I will call you ann")
        for other in others:
            other.expect("> guest0 is now known as ann")
        late = chat.connect(greeted=False)
        late.expect_end("err: the chat is full. try again later")
        for _ in range(3):
            crowd = [chat.connect(greeted=False) for _ in range(40)]
            everyone_talks(ann, others)
            for late in crowd:
                late.expect_end("err: the chat is full. try again later")
        everyone_talks(ann, others)
        for other in others[:5]:
            other.asks("/quit", "> sad to see you go =(")
            other.expect_end()
        for number in range(5):
            chat.connect(f"anonymous-{number + 1}" if number else "anonymous")
        chat.connect(greeted=False).expect_end("err: the chat is full. try again later")
        assert len(chat.log()) < 100_000


def test_no_descriptor_is_left(tmp_path):
    """When the system gives no descriptor more, nothing spins, and all comes right again."""
    with Chat(tmp_path, *OPEN) as chat:
        ann, bob = chat.enter("ann"), chat.enter("bob")
        ann.expect("> bob joined the room")
        before = chat.descriptors()
        limits = resource.prlimit(chat.pid, resource.RLIMIT_NOFILE)
        few = max(int(one) for one in os.listdir(f"/proc/{chat.pid}/fd")) + 6
        resource.prlimit(chat.pid, resource.RLIMIT_NOFILE, (few, limits[1]))
        used = chat.cpu_seconds()
        crowd = []
        for number in range(50):
            crowd.append(chat.connect(greeted=False))
            ann.say(f"line {number}")
            bob.expect(f"> ann: line {number}")
        wait_until(lambda: all(chat.sleeps() for _ in range(50)), "a process that sleeps")
        assert chat.cpu_seconds() - used < 2
        assert len(chat.log()) < 100_000
        assert crowd[0].read() == WELCOME.format("anonymous")
        for late in crowd:
            late.close()
        chat.wait_for_descriptors(before)
        chat.connect().asks("/rooms", "> available rooms: tea")
        everyone_talks(ann, [bob])
