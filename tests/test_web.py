"""The door for pages, as a browser and as a hostile program find it."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection

import pytest
from doors import DOORS, Doors
from frames import BINARY, CLOSE, PING, PONG, TEXT, Page, frame, request
from real import ANYWHERE, SECONDS, VERSION, Chat, need_module, wait_until
from test_hostile_doors import Asker, latency, tell

from twisted_chat.doors.weborigin import is_allowed, origin_of

pytestmark = pytest.mark.real

MEGABYTE = 1 << 20
KEY = "k" * 43


@pytest.fixture(autouse=True)
def everyone_goes_home(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "doors" in request.fixturenames:
        request.getfixturevalue("doors").chat.go_home()


def page(doors: Doors, key: str = "") -> Page:
    """Have a page connect, and say hello."""
    kind = type("Keyed", (Page,), {"key": key})
    return doors.chat.connect(**{**doors.ways("page"), "kind": kind}, greeted=False)


def get(doors: Doors, path: str, method: str = "GET", body: bytes | None = None, **headers: str):
    """Ask for something; give status, headers and content."""
    connection = HTTPConnection("127.0.0.1", doors.web_port, timeout=SECONDS)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


# What is served


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/chat.js", "text/javascript"),
        ("/connection.js", "text/javascript"),
        ("/input.js", "text/javascript"),
        ("/view.js", "text/javascript"),
        ("/chat.css", "text/css"),
        ("/icon.svg", "image/svg+xml"),
        ("/healthz", "text/plain"),
    ],
)
def test_the_files_of_the_page(doors, path, kind):
    """Each has its type, and may load nothing from elsewhere, and be in no frame of others."""
    status, headers, content = get(doors, path)
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, kind)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert content
    assert b"http://" not in content.replace(b"http://www.w3.org/2000/svg", b"")


@pytest.mark.parametrize("path", ["/nothing", "/../pyproject.toml", "/page/", "/%2e%2e/x", "/ws/x"])
def test_nothing_else_is_served(doors, path):
    """No other file can be had, and no traceback is shown."""
    status, _, content = get(doors, path)
    assert status in (400, 404, 426)
    assert b"Traceback" not in content


def test_a_body_is_refused(doors):
    """Nothing here takes one, and it is not waited for."""
    with socket.create_connection(("127.0.0.1", doors.web_port), SECONDS) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        with suppress(ConnectionResetError):
            assert sock.recv(1 << 16) == b""


def test_what_is_no_websocket(doors):
    """Whoever asks for the address of the WebSocket without one is told so."""
    status, _, _ = get(doors, "/ws")
    assert status == 426


# Who may come


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://chat.example.org", "https://chat.example.org"),
        ("HTTPS://Chat.Example.org:443", "https://chat.example.org"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://localhost:80", "http://localhost"),
    ],
)
def test_an_origin(text, origin):
    """It is compared without what says nothing."""
    assert origin_of(text) == origin


@pytest.mark.parametrize(
    "text", ["", "null", "example.org", "ftp://example.org", "https://", "https://x/", "http://x:y"]
)
def test_what_is_no_origin(text):
    """It has a scheme and a host, and no path."""
    with pytest.raises(ValueError, match=r".|^$"):
        origin_of(text)


@pytest.mark.parametrize(
    ("origin", "host", "may_come"),
    [
        (None, "chat.example.org", True),
        ("https://chat.example.org", "chat.example.org", True),  # TLS ends before us
        ("http://chat.example.org:8080", "chat.example.org:8080", True),
        ("https://chat.example.org", "chat.example.org:443", True),
        ("https://friend.example.org", "chat.example.org", True),
        ("https://friend.example.org:444", "chat.example.org", False),
        ("https://chat.example.org.evil.example", "chat.example.org", False),
        ("https://evil.example", "chat.example.org", False),
        ("http://chat.example.org:8081", "chat.example.org:8080", False),
        ("null", "chat.example.org", False),
        ("", "", False),
        ("https://user@chat.example.org/", "chat.example.org", False),
    ],
)
def test_which_page_may_come(origin, host, may_come):
    """One that was served here, by whatever name, or by a site that we were told of."""
    headers = {"host": host} | ({} if origin is None else {"origin": origin})
    assert is_allowed(headers, {"https://friend.example.org"}) is may_come


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://evil.example", 403), ("null", 403), ("http://127.0.0.1:{}", 101)],
)
def test_the_page_of_another_site(doors, origin, status):
    """It gets no connection, though the browser that shows it could reach us."""
    with socket.create_connection(("127.0.0.1", doors.web_port), SECONDS) as sock:
        sock.sendall(request(doors.web_port, Origin=origin.format(doors.web_port)))
        assert sock.recv(1 << 16).split()[1] == str(status).encode()


def test_nothing_is_compressed(doors):
    """Whatever a browser offers: a few bytes from it could become many here."""
    with socket.create_connection(("127.0.0.1", doors.web_port), SECONDS) as sock:
        offer = {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits"}
        sock.sendall(request(doors.web_port, **offer))
        answer = sock.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 101")
    assert b"extensions" not in answer.lower()


# A connection


def test_nobody_is_there_before_the_hello(doors):
    """A page that says something else first is refused, and closed."""
    ann = doors.chat.enter("ann")
    for hello in ("[]", '{"line": "/join tea"}', '{"key": "short"}', '{"key": "' + "!" * 43 + '"}'):

        class Rude(Page):
            def say_hello(self, hello: str = hello) -> None:
                self.send(hello.encode())

        rude = doors.chat.connect(**{**doors.ways("page"), "kind": Rude}, greeted=False)
        assert rude.read().startswith("err: ")
        rude.read_to_end()
        assert rude.code == 4004
    ann.asks("/who", "> here: ann")


def test_a_page_comes_back(doors):
    """By its key, and shown what it has missed; the others see no leaving."""
    ann = doors.chat.enter("ann")
    bob = page(doors, KEY)
    bob.say("/nick bob", "/join tea")
    ann.expect("> bob joined the room")
    bob.reset()
    is_gone = False
    while not is_gone:
        ann.say("/who")
        is_gone = ann.read().startswith("> here: ann, bob (gone")
    ann.say("meanwhile")
    again = page(doors, KEY)
    again.expect("> welcome back, bob. you are in tea")
    assert "and missed 1 line" in again.read()
    assert again.read().endswith("] ann: meanwhile")
    again.asks("/quit", "> sad to see you go =(")
    again.read_to_end()
    assert again.code == 1000
    while ann.read() != "> bob has left the room":
        pass


def test_the_end_tells_why(doors):
    """Who is taken over, or stopped by the server, is closed with a code of its own."""
    one = page(doors, KEY)
    assert one.read().startswith("> welcome.")
    other = page(doors, KEY)
    one.read_to_end()
    assert (one.code, one.reason) == (
        4001,
        "you have logged in elsewhere, and go on there. goodbye",
    )
    other.say("/quit")
    other.read_to_end()


def test_a_restart_in_between(tmp_path):
    """New code: the page is told, comes back by its key, and is who it was."""
    doors = Doors(tmp_path)
    with doors.chat as chat:
        ann, bob = chat.enter("ann"), page(doors, KEY)
        bob.say("/nick bob", "/join tea")
        ann.expect("> bob joined the room")
        chat.signal(signal.SIGUSR2)
        assert b"your place is kept" in bob.read_to_end()
        assert bob.code == 4000
        wait_until(lambda: "went on with" in chat.log(), "another process")
        again = page(doors, KEY)
        again.expect("> welcome back, bob. you are in tea")
        again.say("hello")
        ann.expect("> bob: hello")


# Hostile input


def is_alive(doors: Doors) -> None:
    """See that the others are answered."""
    doors.chat.connect().asks("/version", VERSION)


WRONG = {
    "a message too long": frame(b"x" * 16385),
    "a length beyond all": frame(b"", length=1 << 62),
    "endless pieces": b"".join(
        frame(b"x" * 1000, TEXT if not n else 0, last=False) for n in range(20)
    ),
    "endless pieces of nothing": b"".join(
        frame(b"", TEXT if not n else 0, last=False) for n in range(5000)
    ),
    "no mask": b"\x81\x02{}",
    "bits that mean nothing": b"\xf1\x80\0\0\0\0",
    "an unknown opcode": b"\x83\x80\0\0\0\0",
    "no UTF-8": frame(b'{"line":"\xff"}'),
    "a long ping": frame(b"x" * 126, PING),
    "bytes": frame(b"{}", BINARY),
    "a flood of pings": frame(b"x" * 100, PING) * 5000,
    "a flood of pongs": frame(b"", PONG) * 20_000,
    "a wrong close": frame(b"\x03", CLOSE),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_no_page_sends(doors, kind):
    """The connection ends, it takes no memory, and nobody else notices."""
    chat = doors.chat
    ann, eve = chat.enter("ann"), page(doors)
    eve.say("/nick eve", "/join tea")
    ann.expect("> eve joined the room")
    chat.forget_peak_memory()
    memory = chat.peak_memory()
    try:
        eve.sock.sendall(WRONG[kind])
        eve.read_to_end()
    except (BrokenPipeError, ConnectionResetError):
        pass
    ann.expect("> eve has left the room")
    assert chat.peak_memory() - memory < 8 * MEGABYTE
    is_alive(doors)
    assert "Traceback" not in chat.log()


def test_the_others_are_answered_meanwhile(doors, capsys):
    """However many pages send what none does, and come again, people at telnet notice little."""
    ann = Asker(doors.chat.connect())
    ann.peer.asks("/join tea", "> welcome to tea", "> here: anonymous")
    for data in WRONG.values():
        for _ in range(5):
            eve = page(doors)
            with suppress(BrokenPipeError, ConnectionResetError):
                eve.sock.sendall(data)
            ann.ask()
            eve.close()
    stuck = [page(doors) for _ in range(20)]  # who never read
    for eve in stuck:
        eve.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(20):
        for eve in stuck:
            with suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
                eve.say("/help")
        ann.ask()
    tell(capsys, latency(ann.seconds))


def test_a_page_is_held_to_the_limits(tmp_path):
    """It is counted with all others who come from its address."""
    need_module("autobahn")
    options = ("--max-per-address", "2", "--web", ANYWHERE)
    with Chat(tmp_path, *options, warm=False) as chat:
        web = int(chat.log().rpartition("http://localhost:")[2].split("/")[0])
        how = {"address": ("127.0.0.1", web), "kind": Page, "greeted": False}
        for _ in range(2):
            assert chat.connect(**how).read().startswith("> welcome.")
        third = chat.connect(**how)
        third.expect("err: there are 2 connections from your address already")


def test_every_door_hears_every_other(doors):
    """One room, whatever one speaks: each says something, and all others hear it, once."""
    people = {
        door: doors.chat.enter(f"n{number}", **doors.ways(door))
        for number, door in enumerate(DOORS)
    }
    for door, one in people.items():
        one.say(f"from {door}")
    for number, (door, one) in enumerate(people.items()):
        heard = []
        while len(heard) < len(people) - 1:
            line = one.read()
            if " joined the room" not in line:
                heard.append(line)
        expected = {f"> n{n}: from {name}" for n, name in enumerate(people) if n != number}
        assert set(heard) == expected, door


def test_what_is_shown_is_text_and_json(doors):
    """Markup, controls and long words reach a page as what they are: text in JSON."""
    ann, bob = doors.chat.enter("ann"), doors.chat.enter("bob", **doors.ways("page"))
    ann.expect("> bob joined the room")
    for text in ("<script>alert(1)</script>", "&amp;", '"\\', "W" * 900, "مرحبا", "🍵"):
        ann.say(text)
        message = bob.hear()
        assert message["text"] == text
        assert json.dumps(message)


@pytest.mark.long
def test_a_thousand_pages(doors, capsys):
    """All are in one room, and hear a line; each takes little memory."""
    ann = doors.chat.enter("ann")
    before = doors.chat.peak_memory()
    pages = []
    for number in range(1000):
        pages.append(page(doors))
        pages[-1].say(f"/nick n{number}", "/join tea")
        while pages[-1].hear()["type"] != "listing":
            pass
    each = (doors.chat.peak_memory() - before) / 1000
    assert each < 100_000
    while ann.read() != "> n999 joined the room":
        pass
    ann.say("hello")
    for one in pages:
        while one.hear().get("text") != "hello":
            pass
    with capsys.disabled():
        print(f" [{each / 1000:.0f} kB for each of 1,000 pages]", end="")  # noqa: T201


@pytest.mark.long
def test_a_silent_page_is_asked_whether_it_is_there(doors):
    """A ping comes within half a minute; whoever does not answer is gone half a minute later."""
    begin = time.monotonic()
    mute = page(doors)
    mute.sock.settimeout(70)
    mute.read_to_end()
    assert mute.pings == 1
    assert 50 < time.monotonic() - begin < 70
