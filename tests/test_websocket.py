"""The door for pages, step by step: no socket, and a clock to be moved by hand."""

import json

import pytest
from frames import BINARY, CLOSE, PING, PONG, frame, request
from test_tcp import House
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

pytest.importorskip("autobahn")
from twisted_chat.doors.web import Web

KEY = "k" * 43
ADDRESS = IPv4Address("TCP", "192.0.2.1", 1234)


class Line(StringTransport):
    """What lies between a browser and the chat; whoever has it by now is its ``protocol``."""

    def abortConnection(self):
        self.disconnecting = self.aborted = True

    aborted = False

    def setTcpNoDelay(self, on):
        pass


class Browser:
    """Someone at the other end."""

    all: list["Browser"]
    """Those of this test."""
    is_gone = False

    def __init__(self, house, hello=None, **headers):
        self.house = house
        self.all.append(self)
        self.line = Line(None, ADDRESS)
        self.line.protocol = Web(house.factory, ["https://friend.example"]).buildProtocol(ADDRESS)
        self.line.protocol.makeConnection(self.line)
        self.sends(request(8080, **headers))
        head, _, self.rest = self.line.value().partition(b"\r\n\r\n")
        self.status = int(head.split()[1]) if head else 0
        self.line.clear()
        self.code = 0
        if self.status == 101 and hello is not None:
            self.says(hello)

    def sends(self, data):
        self.line.protocol.dataReceived(data)
        self.house.clock.turn()

    def says(self, *messages):
        for message in messages:
            self.sends(frame(json.dumps(message).encode()))

    def hears(self):
        """Give the messages that came; the code of a close frame is kept."""
        self.house.clock.turn()
        data, self.rest = self.rest + self.line.value(), b""
        self.line.clear()
        found = []
        while data:
            opcode, size, begin = data[0] & 15, data[1], 2
            if size > 125:
                begin = 4
                size = int.from_bytes(data[2:4])
            payload, data = data[begin : begin + size], data[begin + size :]
            if opcode == CLOSE:
                self.code = int.from_bytes(payload[:2])
            elif opcode == 1:
                found += map(json.loads, payload.splitlines())
        return found

    def breaks(self):
        self.is_gone = True
        self.line.protocol.connectionLost(Failure(ConnectionDone()))
        self.house.clock.turn()


@pytest.fixture(autouse=True)
def nobody_stays():
    """Have all connections end with the test: the library's timers are those of the process."""
    Browser.all = []
    yield
    for browser in Browser.all:
        if not browser.is_gone:
            browser.breaks()


@pytest.fixture
def house():
    return House()


def enters(house, name="bob", **hello):
    bob = Browser(house, hello)
    bob.says({"line": f"/nick {name}"}, {"line": "/join tea"})
    bob.hears()
    return bob


def test_a_page_and_telnet(house):
    """They hear each other; several events of a turn are one message."""
    ann, bob = house.enters("ann"), enters(house)
    assert ann.reads() == ["> bob joined the room"]
    ann.types("one", "two")
    assert [one["text"] for one in bob.hears()] == ["one", "two"]
    bob.says({"line": "three"})
    assert ann.reads() == ["> bob: three"]
    bob.breaks()
    assert ann.reads() == ["> bob has left the room"]


def test_what_is_not_served(house):
    """It is answered in order, without a warning of what Twisted is about to give up."""
    browser = Browser(house, path="/nothing")
    assert browser.status == 404


def test_nobody_is_there_before_the_hello(house):
    """Whoever opens a WebSocket and says nothing is let go after some seconds."""
    mute = Browser(house)
    assert (mute.status, house.rooms.people) == (101, {})
    house.passes(11)
    assert mute.line.aborted


@pytest.mark.parametrize("hello", [[], {"line": "x"}, {"key": "short"}, {"after": -1}])
def test_a_wrong_hello(house, hello):
    """It is refused in words, and the connection closes with a code of its own."""
    bob = Browser(house, hello)
    assert [one["type"] for one in bob.hears()] == ["refusal"]
    assert bob.code == 4004
    assert house.rooms.people == {}


def test_coming_back(house):
    """By the key, also while the old connection is there still, which then ends for good."""
    bob = enters(house, key=KEY)
    again = Browser(house, {"key": KEY, "after": 0})
    assert any("welcome back, bob" in one.get("text", "") for one in again.hears())
    bob.hears()
    assert bob.code == 4001
    again.breaks()
    assert house.comes().asks("/who tea") == ["> in tea: bob (gone 0 s)"]


def test_whoever_quits_does_not_come_back(house):
    """The code of the end says so."""
    bob = enters(house)
    bob.says({"line": "/quit"})
    assert bob.hears()[-1]["text"] == "sad to see you go =("
    assert bob.code == 1000


def test_whoever_is_silent_does_not_come_back():
    """Or the limit of silence would be none."""
    house = House(idle_timeout=60)
    bob = enters(house)
    house.passes(61)
    assert bob.hears()[-1]["text"] == "you have been silent for too long. goodbye"
    assert bob.code == 1000


def test_whoever_is_banned_does_not_come_back(house):
    """The code of the end says so; being kicked out of a room ends nothing."""
    bob, root = enters(house), house.comes("/nick root", "/register correct.horse", "/join den")
    house.rooms.operators.appoint(["root"])
    house.rooms.empower()
    root.types("/join tea", "/kick bob")
    *_, told, you = bob.hears()
    assert (told["text"], you["room"]) == ("you were kicked out of tea by root", None)
    assert bob.code == 0
    root.types("/ban * bob")
    assert bob.hears()[-1]["text"].startswith("you are banned")
    assert bob.code == 4002


def test_the_server_goes(house):
    """Pages are told, and closed so that they come back."""
    bob = enters(house, key=KEY)
    [protocol] = house.factory.protocols
    assert not protocol.is_movable
    assert protocol.has_place
    house.factory.see_off("goodbye", "until soon")
    assert [one["text"] for one in bob.hears()] == ["until soon"]
    assert bob.code == 4000


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(b"{}", BINARY), 4003),
        (frame(b"[1]", 1, last=False) * 2, 1002),
        (frame(b"x" * 16385), 1009),
    ],
)
def test_what_no_page_sends(house, data, code):
    """The connection ends, with a code that says why."""
    ann, bob = house.enters("ann"), enters(house)
    bob.sends(data)
    bob.hears()
    assert bob.code == code or bob.line.aborted
    bob.breaks()
    assert ann.reads()[-1] == "> bob has left the room"


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_a_flood_of_control_frames(house, opcode):
    """Some are taken; who sends more is dropped."""
    bob = enters(house)
    bob.sends(frame(b"x", opcode) * 10)
    assert not bob.line.aborted
    bob.sends(frame(b"x", opcode) * 100)
    assert bob.line.aborted


def test_endless_pieces(house):
    """A message in so many pieces is no page's."""
    bob = enters(house)
    bob.sends(frame(b"", 1, last=False) + frame(b"", 0, last=False) * 200)
    assert bob.line.aborted


def test_too_many_messages(house):
    """Those that have to wait are few; who sends more is closed."""
    house = House(flood=(1, 5))
    bob = Browser(house, {})
    for _ in range(150):
        bob.says({})
    bob.hears()
    assert bob.code == 4008


@pytest.mark.parametrize(
    ("origin", "status"), [("https://evil.example", 403), ("https://friend.example", 101)]
)
def test_the_page_of_another_site(house, origin, status):
    """It may come if we were told of it."""
    assert Browser(house, Origin=origin).status == status


def test_who_may_not_come_in():
    """A page is counted like others, and told why in JSON."""
    house = House(max_connections=1)
    house.comes()
    bob = Browser(house, {})
    assert bob.hears()[0]["text"] == "the chat is full. try again later"


def asks(house, request_):
    line = Line(None, ADDRESS)
    channel = Web(house.factory).buildProtocol(ADDRESS)
    channel.makeConnection(line)
    channel.dataReceived(request_)
    return line


def test_files_and_bodies(house):
    """A file is served with its headers; a body ends the connection."""
    page = asks(house, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").value()
    assert page.startswith(b"HTTP/1.1 200")
    assert b"Content-Security-Policy: default-src 'none'" in page
    assert b"<!doctype html>" in page
    assert asks(house, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").aborted
