"""The door for telnet and its like, byte by byte."""

import socket

import pytest
import pytest_twisted
from caller import Caller, connect
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, ISSLTransport
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from twisted_chat import testing
from twisted_chat.chat.limits import (
    BACKLOG,
    CLOSING_SECONDS,
    FIRST_LINE_SECONDS,
    HANDSHAKE_SECONDS,
    Limits,
)
from twisted_chat.doors.lines import LINES_A_TURN
from twisted_chat.doors.tcp import ChatFactory
from twisted_chat.interfaces import IClient
from twisted_chat.state.memory import MemoryStore
from twisted_chat.testing import DelayedBackplane, ManualClock

WELCOME = "> welcome. you are anonymous. /nick NAME takes a name, /join ROOM enters a room, "
NOT_IN_ROOM = "err: you are in no room. usage: /join ROOM_NAME"
WEB = "err: this is a chat, not a web server. telnet reaches it"
IAC, DONT, DO, WONT, WILL, IP, BREAK = 255, 254, 253, 252, 251, 244, 243


class Wire(StringTransport):
    """A transport that counts how often its reading was paused, and is asked nothing when gone."""

    def __init__(self, *address):
        super().__init__(*address)
        self.pauses = 0

    def pauseProducing(self):
        self.pauses += 1
        super().pauseProducing()


class Peer:
    """Someone at the other end of a wire."""

    wire_class = Wire

    def __init__(self, house, address=None):
        self.house = house
        self.address = address or IPv4Address("TCP", "192.0.2.1", 1234)
        self.wire = self.wire_class(None, self.address)
        self.door = house.factory.buildProtocol(self.address)
        self.door.makeConnection(self.wire)

    def sends(self, data):
        """Send bytes in one segment; the turn goes on."""
        self.door.dataReceived(data)

    def types(self, *lines):
        """Send lines in one segment, and let the turn end."""
        self.sends("".join(f"{line}\r\n" for line in lines).encode())
        self.house.clock.turn()

    def reads(self):
        """Give the lines that came since the last time."""
        self.house.clock.turn()
        lines = self.wire.value().decode().split("\r\n")
        self.wire.clear()
        assert lines.pop() == ""
        return lines

    def asks(self, *lines):
        """Send lines, and give what comes of it."""
        self.reads()
        self.types(*lines)
        return self.reads()

    def hangs_up(self):
        self.door.connectionLost(Failure(ConnectionDone()))
        self.house.clock.turn()

    @property
    def is_read(self):
        return self.wire.producerState == "producing"


class House:
    """A chat behind a door, with a clock to be moved by hand."""

    def __init__(self, store=None, delayed=False, clock=None, **limits):
        self.clock = clock or ManualClock()
        limits = Limits(**{"flood": None, "max_per_address": 0, **limits})
        backplane = DelayedBackplane(self.clock) if delayed else None
        self.rooms = testing.rooms(self.clock, backplane, store, limits)
        self.factory = ChatFactory(self.clock, self.rooms)

    def comes(self, *lines):
        """Have someone connect and type lines, and read what comes of it."""
        peer = Peer(self)
        self.clock.turn()
        for line in lines:
            peer.types(line)
        peer.reads()
        return peer

    def enters(self, name, room="tea"):
        return self.comes(f"/nick {name}", f"/join {room}")

    def passes(self, seconds):
        """Let time pass."""
        self.clock.advance(seconds)
        self.clock.turn()


@pytest.fixture
def house():
    return House()


@pytest.fixture
def logged():
    """Give every event that is logged, from debug upwards."""
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


# Lines


def test_whoever_connects_is_greeted(house):
    """The first line tells who one is and what to do."""
    (welcome,) = Peer(house).reads()
    assert welcome == WELCOME + "/help tells the rest"


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r\0", b"\r"])
def test_a_line_may_end_in_any_of_four_ways(house, end):
    """CR LF, LF, CR NUL and a bare CR each end a line; answers end in CR LF."""
    peer = house.comes()
    peer.sends(b"/nick ann" + end + b"/rooms" + end)
    assert peer.reads() == [
        "> all right, I will call you ann",
        "> available rooms: none. /join NAME makes one",
    ]


def test_several_commands_in_one_segment_are_obeyed_in_order(house):
    """A segment of many lines is as good as many segments."""
    bob = house.enters("bob")
    ann = house.comes()
    ann.types("/nick ann", "/join tea", "one", "/me waves", "two", "/leave")
    assert bob.reads() == [
        "> ann joined the room",
        "> ann: one",
        "> * ann waves",
        "> ann: two",
        "> ann has left the room",
    ]


def test_a_speaker_does_not_hear_their_own_line(house):
    """The speaker's terminal has shown the line already."""
    ann, bob = house.enters("ann"), house.enters("bob")
    assert ann.asks("hello") == []
    assert bob.reads() == ["> ann: hello"]


@given(st.lists(st.integers(1, 60), max_size=10))
def test_lines_may_be_cut_anywhere(cuts):
    """However the bytes are cut into segments, the lines are the same."""
    house = House()
    ann, bob = house.enters("ann"), house.enters("bob")
    data = "/me öffnet\r\nzwei\r\0drei\nvier\r".encode()
    for cut in cuts:
        ann.sends(data[:cut])
        data = data[cut:]
    ann.sends(data)
    assert bob.reads() == ["> * ann öffnet", "> ann: zwei", "> ann: drei", "> ann: vier"]


def test_bytes_that_are_no_utf_8_are_replaced(house):
    """What cannot be decoded, and what acts on terminals, reaches nobody as it was."""
    ann, bob = house.enters("ann"), house.enters("bob")
    ann.sends(b"caf\xe9 \x1b[2J\r\n")
    assert bob.reads() == ["> ann: caf\ufffd \ufffd[2J"]


def test_a_line_that_is_too_long_is_refused_and_the_connection_lives(house):
    """The rest of a line that is too long is skipped, and the next one counts."""
    peer = house.comes()
    peer.sends(b"x" * 3000)
    peer.sends(b"x" * 3000 + b"\r\n/rooms\r\n")
    assert peer.reads() == [
        "err: a line holds at most 1024 bytes",
        "> available rooms: none. /join NAME makes one",
    ]
    assert not peer.wire.disconnecting


def test_the_longest_line_is_taken():
    """A line of as many bytes as are allowed is said."""
    house = House(max_line=20)
    ann, bob = house.enters("ann"), house.enters("bob")
    ann.types("x" * 20, "y" * 21)
    assert bob.reads() == ["> ann: " + "x" * 20]


def test_a_line_receiver_in_contract(house):
    """The protocol is a `LineReceiver` and an `IClient` that can be half closed."""
    door = house.comes().door
    assert isinstance(door, LineReceiver)
    verifyObject(IClient, door)
    verifyObject(IHalfCloseableProtocol, door)
    door.writeConnectionLost()


def test_pausing_keeps_lines_and_their_order(house):
    """Lines that arrive while the protocol is paused are obeyed when it is resumed, in order."""
    ann, bob = house.enters("ann"), house.enters("bob")
    ann.door.pauseProducing()
    ann.sends(b"one\r\ntw")
    ann.sends(b"o\r\nthree\r\n")
    assert bob.reads() == []
    assert not ann.is_read
    ann.door.resumeProducing()
    assert bob.reads() == ["> ann: one", "> ann: two", "> ann: three"]
    assert ann.is_read


def test_lines_that_waited_keep_what_is_known_of_them(house):
    """Unsafe bytes are cleaned even if plain lines wait with them, before or behind."""
    ann, bob = house.enters("ann"), house.enters("bob")
    ann.door.pauseProducing()
    ann.sends(b"\x1b\r\n")
    ann.sends(b"plain\r\n")
    ann.door.resumeProducing()
    ann.door.pauseProducing()
    ann.sends(b"plain\r\n")
    ann.sends(b"\x1b\r\n")
    ann.door.resumeProducing()
    assert bob.reads() == ["> ann: \ufffd", "> ann: plain", "> ann: plain", "> ann: \ufffd"]


def test_a_subclass_may_pause_amid_a_segment(house):
    """`lineReceived` may pause: the rest of the segment waits."""
    peer = house.comes()
    seen, receive = [], peer.door.lineReceived

    def line_received(line):
        seen.append(line)
        if line == b"stop":
            peer.door.pauseProducing()
        receive(line)

    peer.door.lineReceived = line_received
    peer.sends(b"go\r\nstop\r\nwait\r\n")
    assert seen == [b"go", b"stop"]
    peer.door.resumeProducing()
    assert seen == [b"go", b"stop", b"wait"]


def test_send_line_ends_it(house):
    """`sendLine` adds CR LF."""
    peer = house.comes()
    peer.door.sendLine(b"a line of the embedding application")
    assert peer.reads() == ["a line of the embedding application"]


# Telnet


def test_options_are_refused_and_text_goes_on(house):
    """Every DO is answered WONT and every WILL DONT; the line around them is whole."""
    peer = house.comes()
    peer.sends(b"/ro" + bytes((IAC, DO, 6, IAC, WILL, 31, IAC, DONT, 1)) + b"oms\r\n")
    assert peer.wire.value() == bytes((IAC, WONT, 6, IAC, DONT, 31))
    peer.wire.clear()
    assert peer.reads() == ["> available rooms: none. /join NAME makes one"]


@pytest.mark.parametrize("key", [IP, BREAK])
def test_ctrl_c_tells_the_way_out(house, key):
    """Who interrupts, as telnet does on Ctrl-C, is told how to leave."""
    peer = house.comes()
    peer.sends(bytes((IAC, key, IAC, DO, 6)))
    assert peer.wire.value() == bytes((IAC, WONT, 6))
    peer.wire.clear()
    assert peer.reads() == ["> /quit leaves"]


def test_nothing_is_answered_on_a_connection_that_closes(house):
    """After the end neither lines nor telnet's keys are heeded."""
    peer = house.comes()
    peer.types("/quit")
    peer.reads()
    peer.sends(bytes((IAC, IP, IAC, DO, 6)) + b"x" * 2000 + b"\r\n/rooms\r\n")
    assert peer.reads() == []


# Web pages


@pytest.mark.parametrize(
    "line", ["GET / HTTP/1.1", "POST /x HTTP/1.0", "PRI * HTTP/2.0", "OPTIONS http://h/ HTTP/1.1"]
)
def test_a_web_page_cannot_talk(house, line):
    """A connection that begins like HTTP is told off and closed; what follows is not obeyed."""
    ann = house.enters("ann")
    web = house.comes()
    web.types(line, "Host: chat", "", "/nick evil", "/join tea", "buy this")
    assert web.reads() == [WEB]
    assert web.wire.disconnecting
    assert ann.reads() == []


@pytest.mark.parametrize("start", ["POST /", "GET https://chat/"])
def test_a_web_page_cannot_talk_after_a_long_first_line(house, start):
    """A request whose first line is too long to be read is known by its beginning."""
    ann = house.enters("ann")
    web = house.comes()
    request = f"{start}{'x' * 2000} HTTP/1.1\r\nHost: chat\r\n\r\n/nick evil\r\n/join tea\r\n"
    for begin in range(0, len(request), 7):
        web.sends(request[begin : begin + 7].encode())
    assert web.reads() == [WEB]
    assert web.wire.disconnecting
    assert ann.reads() == []


def test_only_a_first_line_is_taken_for_http(house):
    """People may talk about HTTP."""
    ann, bob = house.enters("ann"), house.enters("bob")
    ann.types("GET / HTTP/1.1")
    assert bob.reads() == ["> ann: GET / HTTP/1.1"]
    peer = house.comes()
    peer.types("get / http/1.1")
    assert peer.reads() == [NOT_IN_ROOM]


# Silence


def test_who_says_nothing_at_all_is_let_go(house):
    """A connection that completes no line in five minutes is told and closed."""
    peer, talker = house.comes(), house.comes("/rooms")
    peer.sends(b"no end of line")
    house.passes(FIRST_LINE_SECONDS - 1)
    assert not peer.wire.disconnecting
    house.passes(1)
    assert peer.reads() == ["err: you have not said anything. goodbye"]
    assert peer.wire.disconnecting
    assert not talker.wire.disconnecting


def test_who_is_silent_for_too_long_is_let_go():
    """The idle time counts from the last line; the last words come after what was owed."""
    house = House(idle_timeout=60)
    ann, bob = house.enters("ann"), house.enters("bob")
    ann.reads()
    house.passes(40)
    bob.types("hello")
    assert ann.reads() == ["> bob: hello"]
    house.passes(20)
    assert ann.reads() == ["err: you have been silent for too long. goodbye"]
    assert ann.wire.disconnecting
    assert bob.reads() == ["> ann has left the room"]
    house.passes(39)
    assert not bob.wire.disconnecting
    house.passes(1)
    assert bob.wire.disconnecting


def test_last_words_do_not_overtake_the_room():
    """What was said in the same turn is seen before the farewell."""
    house = House(idle_timeout=60)
    ann, bob = house.enters("ann"), house.enters("bob")
    ann.reads()
    house.clock.advance(59)
    bob.sends(b"hello\r\n")
    house.clock.advance(1)
    assert ann.reads() == ["> bob: hello", "err: you have been silent for too long. goodbye"]


def test_nobody_is_let_go_twice():
    """Who has left already, but is not gone yet, is not told again."""
    house = House(idle_timeout=5)
    peer = house.comes("/rooms", "/quit")
    house.passes(6)
    assert peer.reads() == []
    assert not peer.wire.disconnected
    house.passes(CLOSING_SECONDS - 6)
    assert peer.wire.disconnected


# Flood


def test_a_flood_waits_its_turn_and_nothing_is_lost():
    """Lines over the allowance wait, unread, and come in order as the clock moves on."""
    house = House(flood=(5.0, 20))
    bob = house.enters("bob")
    house.passes(60)
    ann = house.enters("ann")
    bob.reads()
    house.passes(60)
    ann.types(*(f"line {number}" for number in range(50)))
    heard = bob.reads()
    assert len(heard) == 20
    assert not ann.is_read
    house.passes(0.19)
    assert bob.reads() == []
    for _ in range(30):
        house.passes(0.2)
        more = bob.reads()
        assert len(more) <= 2
        heard += more
    assert heard == [f"> ann: line {number}" for number in range(50)]
    house.passes(0.2)
    assert ann.is_read


@pytest.mark.parametrize("line", ["/join tea", "/nick ann", "/nick :", "/j tea"])
def test_joining_and_naming_cost_three(line):
    """`/join` and `/nick` use up three lines of the allowance, obeyed or refused."""
    house = House(flood=(1.0, 10))
    peer = house.comes()
    peer.types(line, *["/rooms"] * 20)
    assert sum("available rooms" in shown for shown in peer.reads()) == 7


def test_flood_control_may_be_off(house):
    """Without an allowance a thousand lines are obeyed at once."""
    ann, bob = house.enters("ann"), house.enters("bob")
    ann.types(*["hello"] * 1000)
    assert len(bob.reads()) == 1000


class SlowClock(ManualClock):
    """A clock whose every call takes a while to come, as a reactor's takes a turn."""

    def callLater(self, delay, function, *args):
        return super().callLater(delay + 0.001, function, *args)


def test_one_turn_obeys_so_many_lines_of_one_person():
    """A segment of very many lines is obeyed over turns, so that the others get theirs."""
    house = House(clock=SlowClock())
    ann, bob = house.enters("ann"), house.enters("bob")
    ann.sends(b"x\n" * (LINES_A_TURN * 2 + 1))
    for heard in (LINES_A_TURN, LINES_A_TURN, 1):
        assert len(bob.reads()) == heard
        assert ann.is_read == (heard == 1)
        house.passes(0.001)


def test_exactly_as_many_as_a_turn_obeys_are_no_reason_to_pause(house):
    """A turn's fill of lines, and no more, does not hold up the reading."""
    ann, bob = house.enters("ann"), house.enters("bob")
    ann.sends(b"x\n" * LINES_A_TURN)
    assert ann.is_read
    assert len(bob.reads()) == LINES_A_TURN


def test_a_command_that_settles_does_not_cut_a_pause_short():
    """Who is held back by the allowance stays so when a command given from within settles."""
    house = House(delayed=True, flood=(1.0, 3))
    peer = house.comes()
    peer.types(*["/rooms"] * 4)
    peer.door.lineReceived(b"/nick ann")
    assert peer.reads()[-1] == "> all right, I will call you ann"
    assert not peer.is_read
    house.passes(0.9)
    assert peer.reads() == []


def test_telnet_keys_count_as_lines_of_a_turn(house):
    """A storm of interrupts is dealt with over turns, like lines."""
    peer = house.comes()
    peer.sends(bytes((IAC, IP)) * (LINES_A_TURN + 5))
    assert not peer.is_read
    assert len(peer.reads()) == LINES_A_TURN + 5
    assert peer.is_read


def test_costly_bytes_are_scanned_over_turns(house):
    """A segment of nothing but special bytes does not hold up the others."""
    peer = house.comes()
    peer.door.dataReceived(b"a\x08" * 30000 + b"/version\r\n")
    assert not peer.is_read
    assert peer.reads() == [f"> twisted-chat {peer.door.factory.rooms.version}"]
    assert peer.is_read


def test_interrupts_count_as_lines():
    """Whoever leans on Ctrl-C is held back like who types too fast."""
    house = House(flood=(1.0, 3))
    peer = house.comes()
    peer.sends(bytes((IAC, IP)) * 10)
    assert not peer.is_read
    assert peer.reads().count("> /quit leaves") == 3
    house.passes(1)
    assert peer.reads() == ["> /quit leaves"]


def test_a_pause_ends_with_the_connection():
    """Who hangs up while held back leaves no timer behind."""
    house = House(flood=(1.0, 3))
    peer = house.comes()
    peer.types(*["/rooms"] * 10)
    assert not peer.is_read
    peer.hangs_up()
    assert house.clock.getDelayedCalls() == []


def test_quitting_amid_a_flood_closes_at_once():
    """Who quits while over the allowance is read again, as a closing TLS connection has to be."""
    house = House(flood=(1.0, 3))
    peer = house.comes()
    peer.types("/rooms", "/rooms", "/quit", "/rooms")
    assert peer.reads()[-1] == "> sad to see you go =("
    assert peer.wire.disconnecting
    assert peer.is_read


def test_being_let_go_while_held_back_ends_the_pause():
    """A deadline that passes while lines wait drops them, and reads again."""
    house = House(flood=(0.1, 3), idle_timeout=5)
    peer = house.comes()
    peer.types(*["/rooms"] * 4)
    assert not peer.is_read
    house.passes(5)
    assert peer.wire.disconnecting
    assert peer.is_read
    house.passes(60)
    assert sum("available" in line for line in peer.reads()) == 3


class SlowStore(MemoryStore):
    """A store that has as much to do as the test says."""

    backlog = 0


def test_talkers_wait_for_a_store_that_is_behind():
    """Above its bound the store slows down those who talk, and only until it has caught up."""
    store = SlowStore()
    house = House(store=store)
    ann, bob = house.enters("ann"), house.enters("bob")
    store.backlog = BACKLOG + 1
    ann.types("one", "two", "three")
    assert bob.reads() == ["> ann: one"]
    house.passes(1)
    assert bob.reads() == []
    assert not ann.is_read
    store.backlog = BACKLOG
    house.passes(0.05)
    assert bob.reads() == ["> ann: two", "> ann: three"]
    assert ann.is_read


# Commands that wait


def test_a_command_that_waits_holds_back_the_rest():
    """While a command is under way its person's lines wait, unread, and then come in order."""
    house = House(delayed=True)
    bob = house.enters("bob")
    ann = house.comes()
    ann.sends(b"/nick ann\r\n/join tea\r\none\r\ntwo\r\n")
    assert not ann.is_read
    assert bob.reads() == ["> ann joined the room", "> ann: one", "> ann: two"]
    assert ann.is_read


def test_lines_sent_before_the_arrival_is_known_wait():
    """What is typed before the backplane has the person is obeyed when it has."""
    house = House(delayed=True)
    peer = Peer(house)
    peer.sends(b"/nick ann\r\n/rooms\r\n")
    assert not peer.is_read
    assert [line[:30] for line in peer.reads()] == [
        "> welcome. you are anonymous. ",
        "> all right, I will call you a",
        "> available rooms: none. /join",
    ]
    assert peer.is_read


def test_a_command_that_settles_too_early_for_the_allowance_does_not_lift_it():
    """A person held back twice, by a command and by flood control, waits for both."""
    house = House(delayed=True, flood=(1.0, 3))
    peer = house.comes()
    peer.types("/nick ann", "/rooms")
    assert peer.reads() == ["> all right, I will call you ann"]
    assert not peer.is_read
    house.passes(1)
    assert peer.reads() == ["> available rooms: none. /join NAME makes one"]


def test_who_goes_while_a_command_waits_leaves_nothing():
    """A connection lost while its command is under way is gone when that comes back."""
    house = House(delayed=True)
    bob = house.enters("bob")
    ann = house.comes("/nick ann")
    ann.sends(b"/join tea\r\nhello\r\n")
    ann.hangs_up()
    house.clock.turn()
    assert len(house.rooms.people) == 1
    assert bob.asks("/who")[-1] == "> here: bob"


# The end


def test_quitting_amid_a_segment_ignores_the_rest(house):
    """What follows a `/quit` is not obeyed; the farewell is the last that is shown."""
    ann, bob = house.enters("ann"), house.enters("bob")
    ann.reads()
    ann.types("one", "/quit tired", "two", "/nick x")
    assert ann.reads() == ["> sad to see you go =("]
    assert ann.wire.disconnecting
    assert bob.reads() == ["> ann: one", "> ann has left the room (tired)"]
    ann.hangs_up()
    assert bob.reads() == []


def test_who_hangs_up_is_announced_once(house):
    """A lost connection is a leave, announced once, and leaves nothing behind."""
    ann, bob = house.enters("ann"), house.enters("bob")
    ann.hangs_up()
    assert bob.reads() == ["> ann has left the room"]
    assert house.factory.protocols == {bob.door}
    assert house.factory.admission.connections == 1
    bob.hangs_up()
    assert house.clock.getDelayedCalls() == []
    assert (house.rooms.people, house.rooms.rooms, house.rooms.sessions) == ({}, {}, {})


def test_a_peer_that_half_closes_gets_the_answers(house):
    """Who sends lines and the end of it gets the answers, and then the connection closes."""
    bob = house.enters("bob")
    peer = Peer(house)
    peer.sends(b"/nick ann\r\n/join tea\r\nhello\r\n/rooms\r\n")
    peer.door.readConnectionLost()
    assert peer.reads()[1:] == [
        "> all right, I will call you ann",
        "> welcome to tea",
        "> here: ann, bob",
        "> available rooms: tea",
    ]
    assert peer.wire.disconnecting
    assert bob.reads() == ["> ann joined the room", "> ann: hello", "> ann has left the room"]


def test_a_half_close_after_quitting_changes_nothing(house):
    """The end of input on a connection that closes anyway is no event."""
    peer = house.comes("/quit")
    peer.door.readConnectionLost()
    assert peer.reads() == []


def test_a_peer_that_never_takes_the_close_is_aborted(house):
    """A connection that does not come to an end is ended."""
    peer = house.comes("/quit")
    house.passes(CLOSING_SECONDS - 1)
    assert not peer.wire.disconnected
    house.passes(1)
    assert peer.wire.disconnected


def test_a_slow_reader_is_told_and_cut_and_costs_the_others_nothing(logged):
    """Who reads too slowly leaves as any other does; the log tells of it."""
    house = House(sendq=4096)
    ann, bob, slow = (house.enters(name) for name in ("ann", "bob", "slow"))
    for peer in (ann, bob):
        peer.reads()
    slow.wire.producer.pauseProducing()
    for number in range(5):
        ann.types("x" * 1000 + str(number))
    assert len(bob.reads()) == 6
    assert ann.reads() == ["> slow has left the room"]
    slow.wire.producer.resumeProducing()
    assert slow.reads() == ["err: you read too slowly: more than 4096 bytes were waiting. goodbye"]
    assert slow.wire.disconnecting
    assert any("cut a reader" in formatEvent(event) for event in logged)


def test_a_slow_reader_who_is_held_back_is_cut_as_well():
    """Being over the allowance and too slow at once ends in the same way."""
    house = House(sendq=4096, flood=(0.1, 30))
    slow = house.enters("slow")
    slow.wire.producer.pauseProducing()
    slow.types(*["/help"] * 40)
    house.passes(1)
    slow.wire.producer.resumeProducing()
    assert slow.wire.disconnecting
    assert slow.is_read


# The factory


def test_who_may_not_come_in_is_told_why():
    """A refused connection gets one line, and is closed; it is not counted."""
    house = House(max_connections=1)
    first = house.comes()
    other = Peer(house)
    assert other.reads() == ["err: the chat is full. try again later"]
    assert other.wire.disconnecting
    other.sends(b"/rooms\r\n")
    assert other.reads() == []
    other.hangs_up()
    first.hangs_up()
    assert house.comes("/rooms").wire.disconnecting is False


@implementer(ISSLTransport)
class SecureWire(Wire):
    """A wire that is encrypted, once both ends have agreed on how."""


class SecurePeer(Peer):
    wire_class = SecureWire


def test_nobody_is_there_before_the_handshake(house):
    """Who does not finish it is nobody, and is dropped after some seconds."""
    slow, quick = SecurePeer(house), SecurePeer(house)
    assert (slow.reads(), house.rooms.people) == ([], {})
    quick.door.handshakeCompleted()
    assert quick.reads()[0].startswith(WELCOME)
    house.passes(HANDSHAKE_SECONDS - 0.1)
    assert not slow.wire.disconnected
    house.passes(0.2)
    assert slow.wire.disconnected
    assert not quick.wire.disconnected
    slow.hangs_up()
    assert len(house.rooms.people) == 1


def test_nobody_comes_while_everything_stands_still(house):
    """Who was on the way in is let in once it goes on, and cannot be moved before."""
    on_the_way = SecurePeer(house)
    house.factory.freeze()
    late = Peer(house)
    on_the_way.door.handshakeCompleted()
    assert (on_the_way.reads(), late.reads(), house.rooms.people) == ([], [], {})
    assert house.factory.movable() == []
    house.factory.thaw()
    assert [len(on_the_way.reads()), len(late.reads()), len(house.rooms.people)] == [1, 1, 2]
    assert late.asks("/nick ann") == ["> all right, I will call you ann"]


def test_who_does_not_even_take_the_refusal_is_dropped():
    """A refused connection that does not end is ended."""
    house = House(max_connections=1)
    house.comes()
    other = Peer(house)
    house.passes(CLOSING_SECONDS)
    assert other.wire.disconnected


def test_addresses_are_counted():
    """From one address come as many as may; a unix socket has none to count."""
    house = House(max_per_address=2)
    assert [Peer(house).wire.disconnecting for _ in range(3)] == [False, False, True]
    assert [Peer(house, UNIXAddress(None)).wire.disconnecting for _ in range(3)] == [False] * 3


def test_a_factory_tells_when_everybody_has_gone(house):
    """Whoever asks is told when the last connection is over, or at once if there is none."""
    assert house.factory.all_gone().called
    ann, bob = house.comes(), house.comes()
    asked = [house.factory.all_gone(), house.factory.all_gone()]
    ann.hangs_up()
    assert not any(gone.called for gone in asked)
    bob.hangs_up()
    assert all(gone.called for gone in asked)


def test_a_factory_can_end_all_connections_now(house):
    """Aborting ends every connection, whatever still waits."""
    peers = [house.comes() for _ in range(3)]
    house.factory.abort()
    assert all(peer.wire.disconnected for peer in peers)


# The log


def test_nothing_typed_is_logged(logged):
    """What people say, ask or are called leaves no trace in the log."""
    house = House(idle_timeout=100)
    ann, bob = house.enters("ann-secret"), house.enters("bob")
    ann.types("a secret", "/tell bob secret", "/me secret", "/nope secret", "/topic secret")
    ann.sends(b"secret" * 1000 + b"\r\n\xff\xfesecret\r\n")
    ann.types("/quit secret")
    ann.hangs_up()
    web = house.comes()
    web.types("GET /secret HTTP/1.1")
    web.hangs_up()
    bob.sends(b"half a secret")
    bob.hangs_up()
    texts = [formatEvent(event) for event in logged] + [repr(event) for event in logged]
    assert len(texts) > 10
    assert not [text for text in texts if "secret" in text]


@pytest.mark.parametrize("text", ["{0} {log_source} {peer!r}", "x\nforged line", "%s %(x)s {"])
def test_a_log_line_cannot_be_forged(house, logged, text):
    """Neither a typed format nor a line break in it makes a log line, or breaks one."""
    ann = house.comes()
    ann.sends(text.encode() + b"\r\n")
    ann.types(f"/nick {text}", f"/quit {text}")
    ann.hangs_up()
    lines = [formatEvent(event) for event in logged if event["log_level"] >= LogLevel.debug]
    assert [line.partition(":")[0] for line in lines] == [
        "connected",
        f"closing {ann.address} as {ann.door.id}",
        "disconnected",
    ]
    assert not any("\n" in line or "forged" in line for line in lines)


# Real sockets


async def listen():
    factory = ChatFactory(reactor)
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    return factory, port


async def hang_up(factory, port):
    await port.stopListening()
    gone = factory.all_gone()
    factory.abort()
    await gone


@pytest_twisted.ensureDeferred
async def test_dead_peers_are_found_by_the_kernel():
    """Keepalive and its times are set on the socket itself, and lines are not delayed."""
    factory, port = await listen()
    caller = await connect(port.getHost(), Caller)
    await caller.until(b"welcome")
    (protocol,) = factory.protocols
    option = protocol.transport.socket.getsockopt
    assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert option(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
    assert option(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 15
    assert option(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 4
    assert option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 120_000
    await hang_up(factory, port)
    await caller.over


@pytest_twisted.ensureDeferred
async def test_a_real_peer_that_half_closes_gets_all_the_answers():
    """A pipe into `nc` gets everything that it asked for, megabytes if need be."""
    factory, port = await listen()
    factory.rooms.limits = Limits(flood=None, sendq=1 << 30)
    caller = await connect(port.getHost(), Caller)
    caller.transport.write(b"/help\r\n" * 2000 + b"/version\r\n")
    caller.transport.loseWriteConnection()
    heard = await caller.over
    assert heard.count(b"/quit [REASON] - ") == 2000
    assert heard.endswith(b"> twisted-chat %s\r\n" % factory.rooms.version.encode())
    await port.stopListening()
    await factory.all_gone()


class GoneSocket:
    """A socket whose peer has gone before it could be set up."""

    family = socket.AF_INET

    def setsockopt(self, *option):
        raise OSError("Invalid argument")


def test_a_peer_that_is_gone_already_is_no_trouble(house):
    """A socket that takes no options any more is let be: its end will be noticed."""
    door = house.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
    wire = StringTransport()
    wire.socket = GoneSocket()
    door.makeConnection(wire)
    house.clock.turn()
    assert wire.value().startswith(b"> welcome")


def test_a_system_without_an_option_does_without_it(house, monkeypatch):
    """Where the kernel has no such option the others are set all the same."""
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")
    door = house.factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
    wire = StringTransport()
    with socket.socket() as wire.socket:
        door.makeConnection(wire)
        assert wire.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 4


def test_a_connection_that_could_not_be_let_in_is_counted_out(house, monkeypatch):
    """Should the chat fail to take someone, the door has forgotten them when they go."""
    monkeypatch.setattr(house.rooms, "connect", lambda *how: 1 / 0)
    door = house.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
    with pytest.raises(ZeroDivisionError):
        door.makeConnection(StringTransport())
    door.dataReceived(b"/rooms\r\n" + bytes((IAC, IP)))
    door.connectionLost(Failure(ConnectionDone()))
    assert house.factory.protocols == set()
    assert house.factory.admission.connections == 0
