"""The chat as a service of an application, on a reactor in memory and on the real one."""

import os

import pytest
import pytest_twisted
from caller import Caller, connect
from real import need_module
from twisted.application.service import Application, IService, MultiService
from twisted.cred.checkers import AllowAnonymousAccess
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from twisted_chat.chat.events import ChatError
from twisted_chat.chat.limits import Limits
from twisted_chat.service import ChatService
from twisted_chat.state.sqlite import SQLiteStore
from twisted_chat.testing import RecordingClient

LOOPBACK = "tcp:0:interface=127.0.0.1"
# Twisted closes the socket of a port that it could not have only when that is collected.
forgets_its_socket = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
FAREWELL = "> the server is going down. goodbye"


async def call(listener):
    """Connect to a port and wait for the greeting."""
    caller = await connect(listener.port.getHost(), Caller)
    await caller.until(b"welcome")
    return caller


async def enter(service, name):
    caller = await call(service.listeners[0])
    caller.says(b"/nick " + name, b"/join tea")
    await caller.until(b"here:")
    return caller


def start(*ports, **limits):
    service = ChatService(reactor, ports or [LOOPBACK], Limits(**limits))
    service.privilegedStartService()
    service.startService()
    return service


def end_turn(memory):
    for reader in memory.getReaders():
        reader.doRead()


def visit(memory, number=0):
    """Connect to a port of a reactor in memory."""
    protocol = memory.tcpServers[number][1].buildProtocol(None)
    wire = StringTransport()
    protocol.makeConnection(wire)
    return protocol, wire


# Starting


def test_it_is_a_service_of_an_application():
    """Embedding is one line, and the application's start is the chat's."""
    memory = MemoryReactorClock()
    application = Application("embedding")
    service = ChatService(memory, ["tcp:8888"])
    service.setServiceParent(application)
    verifyObject(IService, service)
    assert memory.tcpServers == []
    IService(application).startService()
    assert [server[0] for server in memory.tcpServers] == [8888]


@pytest.mark.parametrize("privileged", [True, False])
def test_each_port_is_listened_on_once(privileged):
    """With or without a privileged start before, every endpoint is listened on just once."""
    memory = MemoryReactorClock()
    service = ChatService(memory, ["tcp:8888", "tcp:9999:interface=127.0.0.1", "unix:/run/chat"])
    if privileged:
        service.privilegedStartService()
        assert len(memory.tcpServers) == 2
    service.startService()
    assert [(server[0], server[3]) for server in memory.tcpServers] == [
        (8888, ""),
        (9999, "127.0.0.1"),
    ]
    assert [server[0] for server in memory.unixServers] == ["/run/chat"]


def test_everybody_is_in_the_same_chat_whatever_the_port():
    """All ports lead to the same rooms, and so does a client within the process."""
    memory = MemoryReactorClock()
    service = ChatService(memory, ["tcp:1", "tcp:2"])
    service.startService()
    wires = []
    for number, name in enumerate(("ann", "bob")):
        protocol, wire = visit(memory, number)
        protocol.dataReceived(f"/nick {name}\r\n/join tea\r\n".encode())
        wires.append(wire)
    bot = RecordingClient()
    service.rooms.connect(bot).receive("/join tea")
    end_turn(memory)
    assert wires[0].value().endswith(b"> bob joined the room\r\n> anonymous joined the room\r\n")
    assert bot.lines()[-1] == "> here: ann, anonymous, bob"


@pytest.mark.parametrize(
    "description",
    ["tcp:abc", "tcp:99999999", "tcp:1:nonsense=2", "tcp:", "nonsense:1", "ssl:1:privateKey=/no"],
)
@forgets_its_socket
@pytest.mark.parametrize("start", ["startService", "privilegedStartService"])
def test_a_port_that_makes_no_sense_raises(description, start):
    """A wrong endpoint string is a `ValueError` that names it, whatever is wrong with it."""
    service = ChatService(reactor, [description])
    with pytest.raises(ValueError, match=f"^{description}: .") as raised:
        getattr(service, start)()
    assert "\n" not in str(raised.value)


@forgets_its_socket
@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_raises():
    """A taken port raises at once; a stop gives back the ports that were free."""
    first = start()
    number = first.listeners[0].port.getHost().port
    second = ChatService(reactor, [LOOPBACK, f"tcp:{number}:interface=127.0.0.1"])
    with pytest.raises(CannotListenError):
        second.startService()
    assert second.listeners[0].port is not None
    await second.stopService()
    assert [listener.port for listener in second.listeners] == [None, None]
    await first.stopService()


@pytest_twisted.ensureDeferred
async def test_two_services_share_nothing():
    """Two chats in one process have rooms, names and limits of their own, and stop alone."""
    one, other = start(), start(max_line=16)
    ann = await enter(one, b"ann")
    same = await enter(other, b"ann")
    same.says(b"x" * 17)
    await same.until(b"a line holds at most 16 bytes")
    await one.stopService()
    assert FAREWELL.encode() in await ann.over
    same.says(b"/version")
    await same.until(b"> twisted-chat ")
    assert FAREWELL.encode() not in same.heard
    await other.stopService()
    await same.over


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"checkers": [AllowAnonymousAccess()]}, ValueError),
        ({"operators": ["ann", "server"]}, ChatError),
    ],
)
def test_what_makes_no_sense_raises_at_once(wrong, error):
    """A checker that checks no passwords, and an operator whom nobody can be, are refused."""
    with pytest.raises(error):
        ChatService(MemoryReactorClock(), **wrong)


# Changing what holds, while people are here


def test_other_limits_hold_for_those_who_are_here():
    """Lines, floods, slow readers and silence are judged by the new limits from now on."""
    memory = MemoryReactorClock()
    service = ChatService(memory, ["tcp:1"], Limits(flood=None))
    service.startService()
    protocol, wire = visit(memory)
    service.obey(Limits(max_line=16, flood=(1, 3), sendq=4096, idle_timeout=60))
    protocol.dataReceived(b"x" * 17 + b"\r\n" + b"/version\r\n" * 5)
    end_turn(memory)
    heard = wire.value().decode().splitlines()[1:]
    assert heard[0] == "err: a line holds at most 16 bytes"
    assert len(heard) == 3
    service.obey(Limits(flood=None))
    memory.advance(1)
    end_turn(memory)
    assert len(wire.value().decode().splitlines()[1:]) == 6
    service.obey(Limits(flood=None, sendq=4096, idle_timeout=60))
    memory.advance(60)
    end_turn(memory)
    assert wire.value().decode().splitlines()[-1].startswith("err: you have been silent")


def test_a_slow_reader_who_is_here_is_cut_by_the_new_limit():
    """What waits for someone counts against the limit that holds now."""
    memory = MemoryReactorClock()
    service = ChatService(memory, ["tcp:1"], Limits(flood=None))
    service.startService()
    protocol, wire = visit(memory)
    wire.producer.pauseProducing()
    service.obey(Limits(flood=None, sendq=4096))
    protocol.dataReceived(b"/help\r\n" * 20)
    end_turn(memory)
    wire.producer.resumeProducing()
    assert b"more than 4096 bytes were waiting. goodbye" in wire.value()


def test_a_bot_has_the_new_limits_too():
    """Also who came through no door is held to the new flood control."""
    service = ChatService(MemoryReactorClock(), limits=Limits(flood=None))
    service.startService()
    session = service.rooms.connect(RecordingClient())
    service.obey(Limits(flood=(1, 3)))
    assert [bool(session.receive("/version")) for _ in range(3)] == [False, False, True]


# Stopping


@pytest_twisted.ensureDeferred
async def test_a_stop_tells_everyone_and_nothing_else(tmp_path):
    """Everybody gets the farewell, nobody hears of the others leaving, all ports are closed."""
    service = start(LOOPBACK, f"unix:{tmp_path / 'door'}")
    callers = [await enter(service, name) for name in (b"ann", b"bob")]
    callers.append(await call(service.listeners[1]))
    await callers[0].until(b"bob joined the room")
    callers[1].says(b"just before")
    await callers[0].until(b"just before")
    await service.stopService()
    for caller in callers:
        heard = (await caller.over).decode()
        assert heard.splitlines()[-1] == FAREWELL
        assert "has left" not in heard
    assert [listener.port for listener in service.listeners] == [None, None]
    assert not (tmp_path / "door").exists()
    assert service.factory.protocols == set()


def test_first_nobody_gets_in_and_then_people_are_told():
    """While ports are still closing, nobody is sent away; afterwards everybody is."""
    memory = MemoryReactorClock()
    service = ChatService(memory, ["tcp:1"])
    service.startService()
    closed = Deferred()
    service.listeners[0].port.stopListening = lambda: closed
    _, wire = visit(memory)
    stopped = service.stopService()
    assert not service.running
    assert not wire.disconnecting
    closed.callback(None)
    assert wire.value().decode().splitlines()[-1] == FAREWELL
    assert wire.disconnecting
    assert not stopped.called


def test_a_stop_waits_for_output_and_aborts_who_does_not_take_it():
    """What waits may leave until the time for it is over; who is stuck is aborted."""
    memory = MemoryReactorClock()
    service = ChatService(memory, ["tcp:1"], Limits(drain=3))
    service.startService()
    quick, stuck = visit(memory), visit(memory)
    for _, wire in (quick, stuck):
        wire.producer.pauseProducing()
    stopped = service.stopService()
    assert not quick[1].disconnecting
    quick[1].producer.resumeProducing()
    assert quick[1].disconnecting
    quick[0].connectionLost()
    memory.advance(2.9)
    assert not stuck[1].disconnected
    assert not stopped.called
    memory.advance(0.1)
    assert stuck[1].disconnected
    stuck[0].connectionLost()
    assert stopped.called
    assert FAREWELL.encode() not in stuck[1].value()


def test_a_stop_leaves_nothing_in_the_reactor():
    """After a stop there is no timer, no reader and no descriptor left."""
    before = len(os.listdir("/proc/self/fd"))
    memory = MemoryReactorClock()
    service = ChatService(memory, ["tcp:1"], Limits(idle_timeout=10))
    service.startService()
    protocol, _ = visit(memory)
    assert memory.getReaders()
    stopped = service.stopService()
    protocol.connectionLost()
    assert stopped.called
    assert (memory.getDelayedCalls(), memory.getReaders()) == ([], [])
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("asked", [b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_stop_leaves_no_browser_waiting(asked):
    """Connections of browsers and monitors end as well, whatever they have asked for."""
    need_module("autobahn")
    need_module("prometheus_client")
    memory = MemoryReactorClock()
    service = ChatService(memory, web=["tcp:1"], metrics=["tcp:2"])
    service.startService()
    lines = [visit(memory, number) for number in (0, 1)]
    for protocol, _ in lines:
        protocol.dataReceived(asked)
    assert service.stopService().called
    for protocol, wire in lines:
        assert wire.disconnecting
        protocol.connectionLost(Failure(ConnectionDone()))
    assert memory.getDelayedCalls() == []


@pytest.mark.parametrize("asked", [b"HEAD /healthz?I-said-this HTTP/1.1\r\nHost: x\r\n\r\n", b""])
def test_what_is_asked_over_http_is_not_logged(log_lines, asked):
    """A stranger could fill the disk with it; nor is that a connection was silent for too long."""
    need_module("autobahn")
    need_module("prometheus_client")
    memory = MemoryReactorClock()
    service = ChatService(memory, web=["tcp:1"], metrics=["tcp:2"])
    service.startService()
    for number in (0, 1):
        protocol, wire = visit(memory, number)
        protocol.dataReceived(asked)
        assert bool(asked) is (b"200 OK" in wire.value())
        memory.pump([1] * 40)
        assert wire.disconnecting
        protocol.connectionLost(Failure(ConnectionDone()))
    assert [line for line in log_lines if "listening" not in line] == []


def test_with_nobody_there_a_stop_is_at_once():
    """A stop waits for nothing when there is nothing to wait for; a second one neither."""
    memory = MemoryReactorClock()
    service = ChatService(memory, ["tcp:1"])
    service.startService()
    assert service.stopService().called
    assert service.stopService().called
    assert memory.getDelayedCalls() == []


def test_who_asks_twice_for_a_stop_is_told_twice():
    """Two that wait for the stop both hear of its end."""
    memory = MemoryReactorClock()
    service = ChatService(memory, ["tcp:1"])
    service.startService()
    protocol, wire = visit(memory)
    stops = [service.stopService(), service.stopService()]
    protocol.connectionLost()
    assert [stop.called for stop in stops] == [True, True]
    assert wire.value().count(FAREWELL.encode()) == 1


@pytest_twisted.ensureDeferred
async def test_a_second_stop_does_not_wait_for_the_disk_again(tmp_path, log_lines):
    """Its store is closed already; an application stops what is in it once more."""
    office = MultiService()
    chat = ChatService(reactor, [LOOPBACK], store=SQLiteStore(reactor, tmp_path / "state"))
    chat.setServiceParent(office)
    office.startService()
    await chat.stopService()
    await office.stopService()
    assert not [line for line in log_lines if "does not answer" in line]


def test_clients_in_the_process_are_told_as_well():
    """A bot gets the farewell and is closed like everybody."""
    memory = MemoryReactorClock()
    service = ChatService(memory)
    service.startService()
    bot = RecordingClient()
    service.rooms.connect(bot)
    service.stopService()
    assert bot.lines()[-1] == FAREWELL
    assert bot.closed


def test_who_comes_to_a_chat_that_was_stopped():
    """They are told and let go, as at the stop, by whichever way they come, and nothing is kept."""
    memory = MemoryReactorClock()
    service = ChatService(memory, ["tcp:1"])
    service.startService()
    visit(memory)
    stopped = service.stopService()
    for is_over in (False, True):
        if is_over:
            memory.advance(service.rooms.limits.drain)
            for protocol in [*service.factory.protocols]:
                protocol.connectionLost()
        assert stopped.called is is_over
        protocol, wire = visit(memory)
        assert wire.value().decode().splitlines() == [FAREWELL]
        assert wire.disconnecting
        protocol.dataReceived(b"/join tea\r\nhello\r\n")
        protocol.connectionLost()
        bot = RecordingClient()
        session = service.rooms.connect(bot)
        session.receive("/join tea")
        session.lose()
        assert bot.lines() == [FAREWELL]
        assert bot.closed
    assert service.rooms.people == service.rooms.sessions == service.rooms.rooms == {}
    assert (memory.getDelayedCalls(), memory.getReaders()) == ([], [])


@pytest.mark.parametrize("start", ["startService", "privilegedStartService"])
def test_a_chat_that_was_stopped_cannot_be_started_again(start):
    """A second start is refused in clear words, and listens on nothing."""
    memory = MemoryReactorClock()
    service = ChatService(memory, ["tcp:1"])
    service.startService()
    service.stopService()
    with pytest.raises(RuntimeError, match="stays stopped"):
        getattr(service, start)()
    assert service.listeners[0].port is None


def test_what_the_embedder_added_is_started_and_stopped_too():
    """A service put into the chat's lives as long as it, and the stop waits for it."""
    memory = MemoryReactorClock()
    service, ended = ChatService(memory), Deferred()

    class Child(ChatService):
        def stopService(self):
            self.running = 0
            return ended

    child = Child(memory)
    child.setServiceParent(service)
    service.startService()
    assert child.running
    stopped = ensureDeferred(service.stopService())
    assert not stopped.called
    ended.callback(None)
    assert stopped.called
