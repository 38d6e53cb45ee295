"""Those who come to do harm, at each door: they cost nobody anything, and leave nothing behind."""

import os
import resource
import ssl
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from doors import BEHIND, PROXY, SENDQ, Doors, binary_header, text_header
from real import ANYWHERE, VERSION, Chat, Peer, Program, free_port, wait_until

from twisted_chat.chat.limits import HANDSHAKE_SECONDS
from twisted_chat.doors.proxy import HEADER_SECONDS
from twisted_chat.wire.jsonlines import MESSAGE_BYTES

STARTING = 100
"""Who may be logging in by SSH at a time."""

pytestmark = pytest.mark.real

AT_MOST = 2.0
"""Seconds in which everyone else is answered, on a machine that is busy with other things."""
SOON = 0.5
"""Seconds by which a limit of time may be overrun there, or seem to be undercut."""
MEGABYTE = 1 << 20
EACH = 100_000
"""Bytes that a connection may take on which nothing was ever said."""
AT_ONCE = 40
"""Connections that wait to be accepted; the system has room for 50, and makes others wait."""

NOWHERE = "err: you are in no room. usage: /join ROOM_NAME"
HELLO = b"\x16\x03\x01\x02\x00\x01"
"""How TLS begins."""
NO_JSON = 'that is no JSON. usage: {"line": "/join tea"}'
NO_OBJECT = 'that is no object. usage: {"line": "/join tea"}'
TOO_LONG = f"a line holds at most {MESSAGE_BYTES} bytes"
NO_TAG = (
    "tag: takes a number, or a text of at most 64 characters. a message has line, tag and after"
)
NO_ID = "after: takes the id of an event. a message has line, tag and after"


class Guarded:
    """A chat for programs that holds back those who say too much."""

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.ways: dict[str, Any] = {"address": ("127.0.0.1", port), "kind": Program}
        json_door = f"tcp:{port}:interface=127.0.0.1"
        self.chat = Chat(directory, "--max-per-address", "0", "--json", json_door, ports=[ANYWHERE])


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    guarded = Guarded(tmp_path_factory.mktemp("guarded"))
    with guarded.chat:
        yield guarded


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """See that nobody stays, and that nothing went wrong."""
    used = [
        request.getfixturevalue(one) for one in ("doors", "guarded") if one in request.fixturenames
    ]
    before = [len(one.chat.log()) for one in used]
    yield
    for one, length in zip(used, before, strict=True):
        one.chat.go_home()
        logged = one.chat.log()[length:]
        assert "Traceback" not in logged, logged[-3000:]
        assert "Unhandled" not in logged, logged[-3000:]


class Asker:
    """Someone who asks and asks, and has to be answered soon."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.seconds: list[float] = []

    def ask(self) -> None:
        begin = time.monotonic()
        self.peer.asks("/version", VERSION)
        self.seconds.append(time.monotonic() - begin)
        assert self.seconds[-1] < AT_MOST

    def ask_until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Ask until a condition holds.

        :param what: is waited for, in the words of a failure.
        """

        def asked() -> bool:
            self.ask()
            return condition()

        wait_until(asked, what, seconds)


def latency(seconds: list[float]) -> str:
    """Give in words how long answers took."""
    taken = sorted(1000 * one for one in seconds)
    late = taken[int(len(taken) * 0.99)]
    return f"{len(taken)} answers: p50 {statistics.median(taken):.1f} ms, p99 {late:.1f} ms"


def tell(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f" [{text}] ", end="")  # noqa: T201


def need_descriptors(number: int) -> None:
    """Have this process and the chat have so many; skip the test where they may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < number:
        pytest.skip(f"needs {number} descriptors, the system allows {hard}")
    if soft != resource.RLIM_INFINITY and soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))


def raw(chat: Chat, port: int = 0, source: str = "") -> Peer:
    """Connect with plain TCP, and say nothing yet."""
    address = ("127.0.0.1", port or chat.port)
    return chat.connect(address=address, source=source, greeted=False)


def crowd(chat: Chat, number: int, come: Callable[[int], Peer]) -> list[Peer]:
    """Have so many come, not more at once than are accepted without delay."""
    before = chat.descriptors()
    peers: list[Peer] = []
    while len(peers) < number:
        for _ in range(min(AT_ONCE, number - len(peers))):
            peers.append(come(len(peers)))
        there = before + len(peers)
        wait_until(lambda there=there: chat.descriptors() >= there, f"{there} descriptors")
    return peers


def is_taken_in(asker: Peer) -> None:
    """Wait until the chat has read what others have sent before."""
    for _ in range(2):  # the first answer may come from the turn in which the others are read
        asker.asks("/version", VERSION)


# TLS


def begin_handshakes(doors: Doors, number: int) -> list[Peer]:
    """Have so many connect to the TLS port: some say nothing, some a bit, some through a proxy."""

    def come(count: int) -> Peer:
        peer = raw(doors.chat, doors.tls_port, PROXY if count % 4 == 3 else "")
        peer.send((b"", HELLO, HELLO + b"\0" * 300, binary_header(BEHIND) + HELLO)[count % 4])
        return peer

    return crowd(doors.chat, number, come)


def nobody_has_come(doors: Doors, ann: Peer) -> None:
    """See that ann is alone, and that the next one is greeted as the first stranger."""
    ann.asks("/who", "> here: ann")
    ann.asks("/rooms", "> available rooms: tea")
    doors.chat.connect(**doors.ways("tls")).close()


def test_handshakes_that_do_not_end(doors, capsys):
    """Who has not finished the handshake is nobody, takes little memory, and hinders no one."""
    ann = Asker(doors.chat.enter("ann"))
    before = doors.chat.descriptors()
    doors.chat.forget_peak_memory()
    memory = doors.chat.peak_memory()
    peers = begin_handshakes(doors, 400)
    for _ in range(100):
        ann.ask()
    nobody_has_come(doors, ann.peer)
    each = (doors.chat.peak_memory() - memory) / len(peers)
    assert each < EACH
    for number, peer in enumerate(peers):
        (peer.reset if number % 2 else peer.close)()
    doors.chat.wait_for_descriptors(before)
    tell(capsys, f"{latency(ann.seconds)}; {each / 1000:.0f} kB each")


@pytest.mark.long
def test_two_thousand_handshakes_that_do_not_end(doors, capsys):
    """All are cut after the limit, and not before; meanwhile the others notice nothing."""
    number = 2000
    need_descriptors(number + 500)
    ann = Asker(doors.chat.enter("ann"))
    before = doors.chat.descriptors()
    doors.chat.forget_peak_memory()
    memory = doors.chat.peak_memory()
    begin = time.monotonic()
    peers = begin_handshakes(doors, number)
    nobody_has_come(doors, ann.peer)
    each = (doors.chat.peak_memory() - memory) / number
    assert each < EACH
    come = time.monotonic()
    assert come - begin < HANDSHAKE_SECONDS - SOON, "they came too slowly for this test"
    ann.ask_until(
        lambda: doors.chat.descriptors() < before + number, "the first to be cut", HANDSHAKE_SECONDS
    )
    assert time.monotonic() - begin > HANDSHAKE_SECONDS - SOON
    ann.ask_until(
        lambda: doors.chat.descriptors() == before, "all to be cut", come - begin + AT_MOST
    )
    nobody_has_come(doors, ann.peer)
    for peer in peers[:4]:
        assert peer.read_to_end() == b""
    tell(capsys, f"{latency(ann.seconds)}; {each / 1000:.0f} kB each")


@pytest.mark.parametrize(
    "data",
    [b"\0" * 50, b"\x17\x03\x03\x00\x20" + b"x" * 32, b"\x17\x03\x03\xff\xff" + b"x" * 70000],
)
def test_what_is_no_tls_after_the_handshake(doors, data):
    """Bytes that are no TLS end the connection, and only that; nothing of them is obeyed."""
    ann, eve = doors.chat.enter("ann"), doors.chat.enter("eve", **doors.ways("tls"))
    ann.expect("> eve joined the room")
    os.write(eve.sock.fileno(), data)
    ann.expect("> eve has left the room")
    ann.asks("/who", "> here: ann")


# PROXY headers


def closed(chat: Chat) -> int:
    """Give how many connections of proxies were closed, as the log has it."""
    return chat.log().count(f"closed a connection from IPv4Address(type='TCP', host='{PROXY}'")


def send_without_end(peer: Peer, data: bytes) -> None:
    """Send on and on, until the other end has had enough."""
    for _ in range(10_000):
        try:
            peer.send(data)
        except (BrokenPipeError, ConnectionResetError):
            return
    pytest.fail("it was taken without end")


@pytest.mark.parametrize("door", ["tcp", "tls", "json"])
@pytest.mark.parametrize(
    ("start", "more", "why"),
    [
        (b"PROXY TCP4 ", b"1" * 65536, "its PROXY header does not end"),
        (b"PROXY UNKNOWN", b"\r" * 65536, "its PROXY header does not end"),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            b"\0" * 65536,
            "its PROXY header has 65535 bytes, more than 4096",
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\r\n\x21\x11\0\x0c",
            b"\0" * 65536,
            "it does not begin with a PROXY header",
        ),
        (b"\x16\x03\x01", b"\0" * 65536, "it does not begin with a PROXY header"),
        (b'{"line": "/version"}\n', b"{}\n" * 20000, "it does not begin with a PROXY header"),
    ],
)
def test_a_header_without_end(doors, door, start, more, why):
    """It is closed as soon as it is known to be none, at every port, with one line in the log."""
    ann, before = Asker(doors.chat.enter("ann")), closed(doors.chat)
    doors.chat.forget_peak_memory()
    memory = doors.chat.peak_memory()
    port = {"tcp": doors.chat.port, "tls": doors.tls_port, "json": doors.json_port}[door]
    peer = raw(doors.chat, port, PROXY)
    host, number = peer.sock.getsockname()
    peer.send(start)
    send_without_end(peer, more)
    ann.ask()
    found = f"closed a connection from IPv4Address(type='TCP', host='{host}', port={number}): {why}"
    doors.chat.wait_for_log(found)
    assert closed(doors.chat) == before + 1
    assert doors.chat.peak_memory() - memory < MEGABYTE
    ann.peer.asks("/who", "> here: ann")


@pytest.mark.long
def test_headers_that_do_not_come(doors, capsys):
    """Five hundred halves of headers are closed after five seconds, each with a line in the log."""
    number = 500
    need_descriptors(number + 500)
    ann, before = Asker(doors.chat.enter("ann")), doors.chat.descriptors()
    doors.chat.forget_peak_memory()
    memory, lines = doors.chat.peak_memory(), closed(doors.chat)
    halves = (b"", b"P", text_header(BEHIND)[:-1], binary_header(BEHIND)[:-1], b"\r\n\r\n\0")
    ports = (doors.chat.port, doors.tls_port, doors.json_port)

    def come(count: int) -> Peer:
        peer = raw(doors.chat, ports[count % len(ports)], PROXY)
        peer.send(halves[count % len(halves)])
        return peer

    begin = time.monotonic()
    peers = crowd(doors.chat, number, come)
    come_in = time.monotonic() - begin
    assert come_in < HEADER_SECONDS - SOON, "they came too slowly for this test"
    each = (doors.chat.peak_memory() - memory) / number
    assert each < EACH
    ann.ask_until(
        lambda: doors.chat.descriptors() < before + number, "the first to go", HEADER_SECONDS
    )
    assert time.monotonic() - begin > HEADER_SECONDS - SOON
    ann.ask_until(lambda: doors.chat.descriptors() == before, "all to go", come_in + AT_MOST)
    for peer in peers:
        assert peer.read_to_end() == b""
    assert closed(doors.chat) == lines + number
    assert doors.chat.log().count("its PROXY header has not come within 5 s") == number
    nobody_has_come(doors, ann.peer)
    tell(capsys, f"{latency(ann.seconds)}; {each / 1000:.0f} kB each")


@pytest.mark.parametrize("door", ["tcp", "tls", "json"])
@pytest.mark.parametrize(
    "header", [text_header(BEHIND), binary_header(BEHIND), binary_header("2001:db8::7")]
)
def test_a_header_in_pieces(doors, door, header):
    """However it is cut on its way, it is read, and the conversation begins."""
    ann = doors.chat.enter("ann")
    how = doors.ways(door)
    for cuts in ([1], [12, 13], [15, 16, 17], range(1, len(header))):
        pieces = [header[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
        peer = raw(doors.chat, how.get("address", (None, 0))[1], PROXY)
        for piece in pieces:
            peer.send(piece)
            is_taken_in(ann)
        if "tls" in how:
            peer.sock = how["tls"].wrap_socket(peer.sock, server_hostname="localhost")
        eve = how.get("kind", Peer)(peer.sock)
        with eve:
            assert eve.read().startswith("> welcome. you are anonymous. ")
            eve.asks("/version", VERSION)
            eve.asks("/quit", "> sad to see you go =(")
            eve.expect_end()


def test_all_at_once(doors):
    """What comes in one piece with the header is not lost: a line, or the beginning of TLS."""
    for header in (text_header(BEHIND), binary_header(BEHIND)):
        eve = raw(doors.chat, source=PROXY)
        eve.send(header + b"/version\r\n/quit\r\n")
        assert eve.read().startswith("> welcome. you are anonymous. ")
        eve.expect_end(VERSION, "> sad to see you go =(")
        eve = raw(doors.chat, doors.tls_port, PROXY)
        assert say_in_tls(doors, eve, header, b"/version\r\n/quit\r\n").endswith(
            f"\r\n{VERSION}\r\n> sad to see you go =(\r\n".encode()
        )


def say_in_tls(doors: Doors, peer: Peer, before: bytes, words: bytes) -> bytes:
    """Say something over TLS, with bytes before it in one piece; give all that is answered."""
    come, go, answer = ssl.MemoryBIO(), ssl.MemoryBIO(), b""
    tls = doors.context.wrap_bio(come, go, server_hostname="localhost")
    steps: Iterator[Callable[[], Any]] = chain(
        [tls.do_handshake, lambda: tls.write(words)], repeat(lambda: tls.read(65536))
    )
    step = next(steps)
    while True:
        try:
            found = step()
        except ssl.SSLWantReadError:
            peer.send(before + go.read())
            before = b""
            data = peer.sock.recv(65536)
            come.write(data) if data else come.write_eof()
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return answer
        else:
            answer += found if isinstance(found, bytes) else b""
            if found == b"":
                return answer
            step = next(steps)


@pytest.mark.parametrize("header", [text_header(BEHIND), binary_header(BEHIND)])
def test_plain_text_after_a_header_at_the_tls_port(doors, header):
    """It gets no readable answer, nothing of it is obeyed, and the connection ends."""
    ann = doors.chat.enter("ann")
    for text in (b"/nick bob\r\n/join tea\r\n", b"x" * 70_000, header):
        peer = raw(doors.chat, doors.tls_port, PROXY)
        peer.send(header + text)
        answer = peer.read_to_end()
        assert answer == b"" or answer[:2] == b"\x15\x03", answer  # a TLS alert
    nobody_has_come(doors, ann)


def test_a_header_from_who_is_no_proxy(doors):
    """It is a line like any other, and the address in it is not believed."""
    liar, honest = "198.51.100.66", "198.51.100.67"
    eve = doors.chat.connect()
    eve.send(text_header(liar))
    eve.expect(NOWHERE)
    eve.asks("/version", VERSION)
    eve.close()
    doors.chat.connect(source=PROXY, header=text_header(honest), greeted=False).read()
    assert f"host='{honest}'" in doors.chat.log()
    assert f"host='{liar}'" not in doors.chat.log()
    eve = raw(doors.chat)
    eve.send(binary_header(liar) + b"\r\n/version\r\n")
    while eve.read() != VERSION:
        pass
    eve = raw(doors.chat, doors.tls_port)
    eve.send(text_header(liar) + HELLO)
    assert b"welcome" not in eve.read_to_end()
    eve = doors.chat.connect("anonymous-3", **doors.ways("json"))
    eve.send(text_header(liar))
    eve.expect(f"err: {NO_JSON}")
    assert f"host='{liar}'" not in doors.chat.log()


# SSH


def begin_ssh(doors: Doors, number: int) -> list[Peer]:
    """Have so many connect to the SSH port: some say nothing, some a bit, some something wrong."""

    def come(count: int) -> Peer:
        peer = raw(doors.chat, doors.ssh_port)
        peer.send((b"", b"SSH-2.0-x", b"SSH-2.0-x\r\n", b"SSH-2.0-x\r\n\0\0\x80\0")[count % 4])
        return peer

    return crowd(doors.chat, number, come)


def test_ssh_that_does_not_begin(doors, capsys):
    """A hundred who do not log in take little memory, and hinder no one; one more is refused."""
    from ssh import Ssh

    ann = Asker(doors.chat.enter("ann"))
    bob = doors.chat.enter("bob", **doors.ways("ssh"))
    ann.peer.expect("> bob joined the room")
    before = doors.chat.descriptors()
    doors.chat.forget_peak_memory()
    memory = doors.chat.peak_memory()
    peers = begin_ssh(doors, STARTING)
    for _ in range(100):
        ann.ask()
    each = (doors.chat.peak_memory() - memory) / len(peers)
    assert each < EACH
    refused = raw(doors.chat, doors.ssh_port)
    refused.expect_end("err: too many people are logging in. try again later")
    bob.asks("/version", VERSION)
    for number, peer in enumerate(peers):
        (peer.reset if number % 2 else peer.close)()
    doors.chat.wait_for_descriptors(before)
    assert isinstance(doors.chat.connect(**doors.ways("ssh")), Ssh)
    tell(capsys, f"{latency(ann.seconds)}; {each / 1000:.0f} kB each")


def test_guessing_by_ssh(doors, capsys):
    """Keys and passwords that are wrong keep nobody waiting but who tries them."""
    from ssh import as_, new_key

    ann = Asker(doors.chat.enter("ann"))
    pat = doors.chat.connect()
    pat.say("/nick pat", "/register correct horse", "/quit")
    pat.read_to_end()
    guesser = as_("pat", new_key(), new_key(), password="wrong")
    outcomes = []

    def guess() -> None:
        try:
            doors.chat.connect(**{**doors.ways("ssh"), "kind": guesser}, greeted=False)
        except AssertionError as refused:
            outcomes.append(str(refused))

    guessers = [Thread(target=guess) for _ in range(5)]
    for one in guessers:
        one.start()
    ann.ask_until(lambda: not any(one.is_alive() for one in guessers), "the last of them", 60)
    assert len(outcomes) == len(guessers)
    assert "the connection ended" in outcomes[0]
    tell(capsys, latency(ann.seconds))


# JSON


def program(doors: Doors, name: str = "anonymous") -> Program:
    peer = doors.chat.connect(name, **doors.ways("json"))
    assert isinstance(peer, Program)
    return peer


@pytest.mark.parametrize(
    ("data", "times"),
    [
        (b"x", 80),
        (b'{"line":"', 80),
        (b'["', 80),
        ("\u00e9".encode(), 80),
        (b"\0", 1),
        (b"\xff\xff", 1),
    ],
)
def test_a_message_without_end(doors, data, times):
    """It is refused once, takes no memory, and what comes after its end is heard."""
    ann = Asker(doors.chat.enter("ann"))
    eve = program(doors)
    doors.chat.forget_peak_memory()
    memory = doors.chat.peak_memory()
    for _ in range(times):
        eve.send(data * (MEGABYTE // 4 // len(data)))
        ann.ask()
    eve.send(b'\n{"line": "/version"}\n')
    eve.expect(f"err: {TOO_LONG}", VERSION)
    assert doors.chat.peak_memory() - memory < MEGABYTE


@pytest.mark.parametrize("data", [b"x\x08", "\u00e9\x08".encode(), b"x\x15", b"\xff\xf7", b"\r\n"])
def test_a_message_that_is_taken_back_without_end(doors, data):
    """What takes back characters and lines takes no memory, and lets others have their turn."""
    ann = Asker(doors.chat.enter("ann"))
    eve = program(doors)
    doors.chat.forget_peak_memory()
    memory = doors.chat.peak_memory()
    eve.send(b"x" * (MESSAGE_BYTES - 10))
    for _ in range(8):
        eve.send(data * (MEGABYTE // 64 // len(data)))
        ann.ask()
    eve.send(b'\x15{"line": "/version"}\n')
    while (line := eve.read()) != VERSION:  # the first line is one, if something ended it
        assert line == f"err: {NO_JSON}"
    assert doors.chat.peak_memory() - memory < MEGABYTE


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[" * 16000, NO_JSON),
        (b'{"line":' * 2000, NO_JSON),
        (b"[" * 8000 + b"]" * 8000, (NO_JSON, NO_OBJECT)),  # how deep Python reads has changed
        (b'{"line":' + b"[" * 900 + b"]" * 900 + b"}", "line: takes a text"),
        (b"9" * 16000, NO_JSON),
        (b'{"tag":' + b"9" * 4000 + b"}", NO_TAG),
        (b'{"tag":' + b"9" * 16000 + b"}", NO_JSON),
        (b'{"tag":1e999}', NO_TAG),
        (b'{"tag":-1}', NO_TAG),
        (b'{"tag":9007199254740992}', NO_TAG),
        (b'{"tag":NaN}', NO_TAG),
        (b'{"after":-Infinity}', NO_ID),
        (b'{"after":' + b"9" * 4000 + b"}", NO_ID),
        (b'{"tag":"\\ud800"}', NO_TAG),
        (b'{"tag":"\\udfff\\ud800"}', NO_TAG),
        (b'{"line":"/version","tag":"a\\udc80"}', NO_TAG),
        (b'{"\\ud800":1}', '"\\ud800": unknown'),
        (b'{"' + b"\\u0007" * 2000 + b'":1}', '"' + "\\u0007" * 64 + '": unknown'),
        (b"\0", NO_JSON),
        (b'{"line":"/version"}\0', NO_JSON),
        (b'{"line":"/ver\0sion"}', NO_JSON),
        (b'\0{"line":"/version"}', NO_JSON),
        (b'{"line":"/version\xc3"}', NO_JSON),
        (b'{"line":"\xed\xa0\x80\xc0\x80"}', NO_JSON),
        (b"\x80\x81\xfe", NO_JSON),
        (b"\xf0\x9f\x98", NO_JSON),
        (b'{"line":"' + b"x" * MESSAGE_BYTES + b'"}', TOO_LONG),
        (b'{"line":"' + b"x" * 1025 + b'"}', "a line holds at most 1024 bytes"),
        (b'{"line":"' + b"\\ud800" * 1025 + b'"}', "a line holds at most 1024 bytes"),
        (b"{" + b'"line":"",' * 1000 + b'"line":1}', "line: takes a text"),
        (b'"line"', NO_OBJECT),
        (b"null", NO_OBJECT),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_message(doors, data, why):
    """It is refused, once and in JSON, and the connection lives."""
    ann, eve = doors.chat.enter("ann"), program(doors)
    eve.send(data + b"\n")
    found = eve.hear()
    assert found["type"] == "refusal"
    assert found["text"].startswith(why)
    eve.send(b'{"line":"/version","tag":"\\ud83d\\ude00\\u0000"}\n')
    eve.expect(VERSION)
    assert eve.hear() == {"type": "done", "tag": "\U0001f600\0"}
    ann.asks("/who", "> here: ann")


def test_only_utf_8_is_a_message(doors):
    """What is JSON in another encoding is none here, whatever the library would take."""
    eve, found = program(doors), {}
    encodings = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
    for encoding in encodings:
        eve.send('{"line":"/version"}'.encode(encoding) + b'\n{"tag":1}\n')
        found[encoding] = eve.hear()["text"]
        assert eve.hear() == {"type": "done", "tag": 1}
    assert found == dict.fromkeys(encodings, NO_JSON)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\\ud800", "\ufffd"),
        ("\\udc00\\ud800x", "\ufffd\ufffdx"),
        ("\\u0000", "\ufffd"),
        ("\\u001b[2J", "\ufffd[2J"),
        ("\\r\\n> ann: hi", "\ufffd\ufffd> ann: hi"),
    ],
)
def test_what_no_encoder_takes(doors, text, shown):
    """Halves of characters and controls are seen as U+FFFD by all, wherever they stand."""
    ann, bob = doors.chat.enter("ann"), doors.chat.enter("bob", **doors.ways("json"))
    eve = doors.chat.enter("eve", **doors.ways("json"))
    ann.expect("> bob joined the room", "> eve joined the room")
    bob.expect("> eve joined the room")

    def says(line: str) -> None:
        eve.send(b'{"line":"%s"}\n' % line.encode())

    says(f"a{text}")
    says(f"/me {text}")
    says(f"/tell ann {text}")
    says(f"/topic {text}")
    says(f"/away {text}")
    says(f"/nick {text}")
    says(f"/join {text}")
    says(f"/whois {text}")
    says(f"/search {text}")
    says(f"/register {text}")
    says(f"/{text}")
    says(f"/quit {text}")
    rest = eve.read_to_end().decode()
    assert rest.endswith("> sad to see you go =(\r\n")
    assert "something went wrong" not in rest
    for peer in (ann, bob):
        peer.expect(f"> eve: a{shown}", f"> * eve {shown}")
        if peer is ann:
            peer.expect(f"> [eve -> you] {shown}")
        peer.expect(f"> eve set the topic: {shown}", f"> eve has left the room ({shown})")
    ann.asks("/who", "> here: ann, bob (bot)")


class Flood:
    """Messages that come as fast as the chat takes them, from one who reads all answers."""

    def __init__(self, peer: Peer, message: bytes, number: int) -> None:
        peer.sock.setblocking(False)
        self._sock = peer.sock
        self._rest = memoryview(message * number)
        self.answers = 0

    def go_on(self) -> None:
        """Send what can be sent now, and read what can be read."""
        try:
            while self._rest:
                self._rest = self._rest[self._sock.send(self._rest) :]
        except BlockingIOError:
            pass
        try:
            while data := self._sock.recv(1 << 18):
                self.answers += data.count(b"\n")
            pytest.fail("the connection ended")
        except BlockingIOError:
            pass


FLOODS = {
    "lines": (b'{"line":"hello"}\n', 100_000),
    "tags": (b'{"tag":1}\n', 100_000),
    "nothing": (b"{}\n", 100_000),
    "no messages": (b"hello\n", 100_000),
    "too long": (b'{"line":"' + b"x" * 1025 + b'"}\n', 20_000),
    "much too long": (b"x" * MESSAGE_BYTES + b"x\n", 2000),
    "deep": (b"[" * MESSAGE_BYTES + b"\n", 2000),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood(guarded, capsys, kind):
    """The others are answered as ever, and it takes no memory."""
    chat = guarded.chat
    ann = chat.enter("ann")
    eve = chat.enter("eve", **guarded.ways)
    ann.expect("> eve joined the room")
    askers = [Asker(chat.connect(greeted=False)) for _ in range(3)]
    for asker in askers:
        assert asker.peer.read().startswith("> welcome. ")
    chat.forget_peak_memory()
    memory = chat.peak_memory()
    flood = Flood(eve, *FLOODS[kind])
    for _ in range(10):
        for asker in askers:
            flood.go_on()
            asker.ask()
    assert chat.peak_memory() - memory < 4 * MEGABYTE
    eve.reset()
    heard = ann.read()
    while heard == "> eve: hello":
        heard = ann.read()
    assert heard == "> eve has left the room"
    tell(capsys, latency(list(chain.from_iterable(one.seconds for one in askers))))


@pytest.mark.parametrize("door", ["tcp", "json"])
def test_who_breaks_off_while_lines_are_held_back(guarded, door):
    """They are gone at once, though the server does not read from them just then."""
    ann = guarded.chat.enter("ann")
    eve = guarded.chat.enter("eve", **(guarded.ways if door == "json" else {}))
    ann.expect("> eve joined the room")
    eve.send((b"{}\n" if door == "json" else b"/ignore\n") * 1000)
    is_taken_in(ann)
    eve.reset()
    ann.expect("> eve has left the room")


def heard_in_time(guarded: Guarded, *messages: bytes) -> float:
    """Say each message a hundred times; give after how many seconds 22 of each are answered."""
    peers = [guarded.chat.connect(**guarded.ways, greeted=False) for _ in messages]
    for peer in peers:
        assert peer.read().startswith("> welcome. ")
    begin = time.monotonic()
    for peer, message in zip(peers, messages, strict=True):
        peer.send((message + b"\n") * 100)
    for peer in peers:
        for _ in range(22):
            assert peer.hear()["type"] == "refusal"
    return time.monotonic() - begin


def test_a_flood_is_held_back(guarded):
    """What is refused counts as a line: after the first twenty, five come in a second."""
    begin = [b'{"line":"hello"}', b"hello", b"x" * (MESSAGE_BYTES + 1), b"[" * 16000]
    assert heard_in_time(guarded, *begin) > 0.2


def test_a_flood_of_lines_that_are_too_long_is_held_back(guarded):
    """A line that is longer than a line may be counts as one, in a message as well."""
    assert heard_in_time(guarded, b'{"line":"%s"}' % (b"x" * 1025)) > 0.2


CUT = f"err: you read too slowly: more than {SENDQ} bytes were waiting. goodbye"


def is_cut(ann: Peer, stuck: Peer, lines: bytes) -> None:
    """Have somebody who shares the room with ann say lines until it is cut, and read nothing."""
    for _ in range(10_000):
        stuck.send(lines)
        for _ in range(2):
            ann.say("/version")
            while (line := ann.read()) != VERSION:
                if line == "> eve has left the room":
                    assert ann.read() == VERSION
                    return
                assert line.startswith("> eve: ")
    pytest.fail("it is never cut")


def last_words(stuck: Peer) -> tuple[str, str]:
    """Have somebody read everything at last; give the last two lines."""
    *_, last, end = stuck.read_to_end().decode().split("\r\n")
    return last, end


@pytest.mark.parametrize(
    ("message", "at_once"),
    [
        (b'{"line":"%s"}\n' % (b"x" * 1000), 50),
        pytest.param(b'{"line":"/help"}\n', 50, marks=pytest.mark.long),
        pytest.param(b"no message\n", 500, marks=pytest.mark.long),
        pytest.param(b'{"tag":1}\n', 500, marks=pytest.mark.long),
    ],
)
def test_a_program_that_never_reads(doors, message, at_once):
    """It is cut once too much waits for it, with a refusal for its last words."""
    ann = doors.chat.enter("ann")
    eve = doors.chat.enter("eve", **doors.ways("json"), receive_buffer=4096)
    ann.expect("> eve joined the room")
    doors.chat.forget_peak_memory()
    memory = doors.chat.peak_memory()
    is_cut(ann, eve, message * at_once)
    assert doors.chat.peak_memory() - memory < 16 * MEGABYTE
    assert last_words(eve) == (CUT, "")
    ann.asks("/who", "> here: ann")


@pytest.mark.parametrize("door", ["tcp", "tls", pytest.param("json", marks=pytest.mark.long)])
def test_last_words_to_who_still_says_something(doors, door):
    """Who is cut, says something more, and reads at last, finds why: what they say is read."""
    ann = doors.chat.enter("ann")
    eve = doors.chat.enter("eve", **doors.ways(door), receive_buffer=4096)
    ann.expect("> eve joined the room")
    is_cut(ann, eve, (b'{"line":"/help"}\n' if door == "json" else b"/help\r\n") * 50)
    eve.say("is anybody there?")
    assert last_words(eve) == (CUT, "")


# HTTP

BODY = b'{"line":"/nick eve"}\n{"line":"/join tea"}\n{"line":"hello"}\n'
HEAD = b"Host: localhost\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(BODY)


@pytest.mark.parametrize(
    "start",
    [
        b"POST / HTTP/1.1\r\n",
        b"GET /?%7B%22line%22 HTTP/1.0\r\n",
        b"\r\n\r\nPOST / HTTP/1.1\r\n",
        b"POST http://localhost/ HTTP/1.1\n",
        b"PUT /" + b"x" * 2 * MESSAGE_BYTES + b" HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\nX-A: \r\n" + b'{"line":"/join tea"}\r\n',
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=lambda start: ascii(start)[:30],
)
@pytest.mark.parametrize("is_cut", [False, True], ids=["whole", "in pieces"])
def test_a_web_page(doors, start, is_cut):
    """HTTP is refused and closed at the door for programs as well, and nothing of it is obeyed."""
    ann = doors.chat.enter("ann")
    eve = program(doors)
    try:
        for piece in (
            (start[:3], start[3:9], start[9:], HEAD, BODY) if is_cut else [start + HEAD + BODY]
        ):
            eve.send(piece)
            is_taken_in(ann)
    except (BrokenPipeError, ConnectionResetError):
        pass
    eve.expect_end("err: this is a chat, not a web server. telnet reaches it")
    ann.asks("/who", "> here: ann")
    ann.asks("/rooms", "> available rooms: tea")
