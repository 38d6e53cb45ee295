"""What must hold at each door, whatever comes in.

A script is cut by lines of two dashes: each piece comes in one segment, unless it is one of
`DEEDS`, or begins with ``!say`` where a door has a way to say something.
"""

import tempfile
from collections.abc import Callable
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from frames import frame, request
from ssh import as_
from test_json import Program
from test_ssh import Line as SshLine
from test_ssh import SshHouse
from test_tcp import House, Peer
from test_websocket import ADDRESS
from test_websocket import Line as PageLine
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from fuzz.logs import nothing_goes_wrong
from twisted_chat.chat.sanitize import sanitize
from twisted_chat.doors.proxy import Opening
from twisted_chat.doors.web import Web

CUT = b"\n--\n"
PIECES = 12
PROXIES = [ip_network("192.0.2.0/24")]


class Caller:
    """Whoever sends what the script says."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.peer = Peer(house)
        self.is_gone = False

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def say(self, data: bytes) -> None:
        """Say something as a client of this door does."""
        self.send(data + b"\r\n")

    def finish(self) -> None:
        """Close the half that writes."""
        self.protocol.readConnectionLost()

    def hang_up(self) -> None:
        self.is_gone = True
        self.protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def protocol(self) -> Any:
        """What takes what comes in."""
        return self.peer.door

    @property
    def wire(self) -> Any:
        return self.peer.wire

    @property
    def is_over(self) -> bool:
        """Whether the chat has ended it."""
        return self.is_gone or self.wire.disconnecting


class JsonCaller(Caller):
    def __init__(self, house: House) -> None:
        self.house, self.is_gone = house, False
        self.peer = Program(house)


class Proxy(Caller):
    """Someone at a port to which only proxies come."""

    def __init__(self, house: House) -> None:
        chat, house.factory = house.factory, Opening(house.clock, PROXIES, house.factory)
        super().__init__(house)
        self.wire.protocol = self.peer.door
        self.wire.abortConnection = self.wire.loseConnection
        self.opening, house.factory = house.factory, chat

    @property
    def protocol(self) -> Any:
        return self.wire.protocol

    def finish(self) -> None:
        getattr(self.protocol, "readConnectionLost", self.hang_up)()

    def hang_up(self) -> None:
        super().hang_up()
        assert not len(self.opening.awaited)


class PageWire(PageLine):
    """Has no producer unregistered that is none, as a socket does, and says nothing of it."""

    def unregisterProducer(self) -> None:
        self.producer = None


class Page(Caller):
    def __init__(self, house: House) -> None:
        self.house, self.is_gone = house, False
        self._wire = PageWire(None, ADDRESS)
        self._wire.protocol = Web(house.factory).buildProtocol(ADDRESS)
        self._wire.protocol.makeConnection(self._wire)

    @property
    def protocol(self) -> Any:
        return self._wire.protocol

    @property
    def wire(self) -> Any:
        return self._wire

    def say(self, data: bytes) -> None:
        self.send(frame(data) if data else request(8080))

    def finish(self) -> None:
        getattr(self.protocol, "readConnectionLost", self.hang_up)()


def _door(caller: Callable[[House], Caller], script: bytes, house: House | None = None) -> None:
    """Play a script at a door: nobody else may notice, and nothing may be left of it."""
    house = house or House(flood=(5, 20), sendq=20_000)
    with nothing_goes_wrong():
        ann = house.enters("ann")
        someone = caller(house)
        for piece in script.split(CUT)[:PIECES]:
            if not someone.is_over:
                _play(someone, piece)
            house.clock.turn()
            _is_answered(ann)
        if not someone.is_gone:
            someone.hang_up()
        house.clock.turn()
        _is_answered(house.enters("bob"), ann)
    _is_empty(house)


def _play(someone: Caller, piece: bytes) -> None:
    if piece == b"!wait":
        someone.house.passes(1)
    elif piece == b"!long":
        someone.house.passes(61)
    elif piece == b"!finish":
        someone.finish()
    elif piece.startswith(b"!say"):
        someone.say(piece[5:])
    else:
        someone.send(piece)


def _is_answered(*people: Peer) -> None:
    """See that someone is answered, and shown nothing harmful."""
    for person in people:
        lines = person.asks("/version")
        assert [line for line in lines if line.startswith("> twisted-chat ")]
        assert [*map(sanitize, lines)] == lines
        person.house.passes(1)
    if len(people) > 1:
        for person in people:
            person.hangs_up()


def _is_empty(house: House) -> None:
    """See that nothing is left of anybody."""
    factory, rooms = house.factory, house.rooms
    house.passes(rooms.limits.grace + 1)
    rooms.tick()
    house.clock.turn()
    assert (factory.protocols, rooms.people, rooms.rooms, rooms.sessions) == (set(), {}, {}, {})
    for deadlines in (factory.silent, factory.idle, factory.handshaking, factory.closing):
        assert not len(deadlines)
    assert not len(factory.refused)


def telnet_door(script: bytes) -> None:
    _door(Caller, script)


def json_door(script: bytes) -> None:
    _door(JsonCaller, script)


def proxy_door(script: bytes) -> None:
    _door(Proxy, script)


def page_door(script: bytes) -> None:
    _door(Page, script)


class SshCaller(Caller):
    """Somebody who says a packet with each piece: its number, and what is in it."""

    def __init__(self, house: SshHouse, is_in: bool) -> None:
        self.house, self.is_gone = house, False
        kind = as_("bob")
        kind.begin = lambda peer: peer.log_in() if is_in else peer.until(lambda: peer.is_secure)
        self._line = SshLine(house)
        self.peer = kind(self._line)

    def send(self, data: bytes) -> None:
        if data:
            self.peer.client.sendPacket(data[0], data[1:])

    def say(self, data: bytes) -> None:
        self._line.sendall(data)

    def finish(self) -> None:
        self._line.breaks()

    def hang_up(self) -> None:
        self._line.close()
        assert not len(self.house.ssh.unused)

    @property
    def wire(self) -> Any:
        return self._line.wire

    @property
    def is_over(self) -> bool:
        return self._line.is_gone


@cache
def _ssh_key() -> Path:
    """Have a directory with a host key, which costs time to make."""
    directory = Path(tempfile.mkdtemp())
    SshHouse(directory)
    return directory


def ssh_door(script: bytes) -> None:
    """The first byte tells whether they have logged in."""
    house = SshHouse(_ssh_key(), flood=(5, 20), sendq=20_000)
    is_in = bool(script) and script[0] % 2 == 1
    _door(lambda house: SshCaller(house, is_in), script[1:], house)
