"""One chat goes on where another was: both in this process, on the real reactor."""

import gc
import json
import os
import socket
import struct
from types import SimpleNamespace

import pytest
import pytest_twisted
from caller import Caller, connect
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from twisted_chat.chat.limits import Limits
from twisted_chat.doors.adopting import Adopting
from twisted_chat.doors.listener import Listener
from twisted_chat.estate import Estate, gather
from twisted_chat.service import COMMAND_SECONDS, ChatService
from twisted_chat.state.memory import MemoryStore

LOOPBACK = "tcp:0:interface=127.0.0.1"
RENEWED = "the server is being renewed"
OPEN = Limits(flood=None, sendq=1 << 30, max_per_address=0)
# Twisted closes the socket of a peer that has gone only when that is collected.
forgets_its_socket = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


callers = []
"""Everyone who has connected, and is not gone yet."""


class Moving(Caller):
    """Someone whose connection moves to another process, or breaks."""

    def until(self, data):
        """Wait until something is heard, and forget all that was before."""
        return super().until(data).addCallback(lambda _: self._forget(data))

    def asks(self, line, answer):
        self.says(line)
        return self.until(answer)

    def _forget(self, data):
        self.heard = self.heard.partition(data)[2]

    def reset(self):
        """Go as one whose machine has crashed."""
        option = struct.pack("ii", 1, 0)
        self.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
        self.transport.stopReading()
        self.transport.socket.close()
        callers.remove(self)


def make(ports, limits=OPEN, store=None):
    return ChatService(reactor, ports, limits, store)


def start(*ports, store=None):
    service = make(ports or [LOOPBACK], store=store)
    service.privilegedStartService()
    service.startService()
    return service


async def call(service, number=0):
    caller = await connect(service.listeners[number].port.getHost(), Moving)
    callers.append(caller)
    await caller.until(b"tells the rest\r\n")
    return caller


async def enter(service, name, number=0):
    caller = await call(service, number)
    await caller.asks(b"/nick " + name, b"call you " + name + b"\r\n")
    await caller.asks(b"/join tea", b"> here: ")
    await caller.until(b"\r\n")
    return caller


def as_sent(estate):
    """Give an estate as another process would have it."""
    record = json.loads(json.dumps(estate.record))
    return Estate(record, estate.unsent, [os.dup(one) for one in estate.descriptors])


def see_off(service):
    """Have everything of a chat gone as at the end of its process: nothing is shut down."""
    transports = [one.transport for one in service.factory.movable()]
    for protocol in service.factory.movable():
        for deadlines in (service.factory.silent, service.factory.idle, service.factory.closing):
            deadlines.done(protocol)
    service.factory.see_off(RENEWED, RENEWED)
    for one in [*transports, *(listener.port for listener in service.listeners)]:
        one.stopReading()
        if one in transports:
            one.stopWriting()
        one.socket.close()
    service._ticking.stop()
    service._turn.close()


async def move(old, between=lambda: None):
    """Have another chat go on where this one was.

    :param between: what happens while it moves.
    """
    estate = as_sent(await old.freeze())
    new = make([listener.description for listener in old.listeners])
    new.inherit(estate)
    new.privilegedStartService()
    new.startService()
    see_off(old)
    between()
    new.move_in()
    return new


async def end(service):
    """Stop a chat, and wait until everyone has seen that."""
    await service.stopService()
    while callers:
        await callers.pop().over


def descriptors():
    gc.collect()  # others may have left some to that
    return len(os.listdir("/proc/self/fd"))


@pytest_twisted.ensureDeferred
async def test_names_rooms_settings_and_half_lines_go_on(tmp_path):
    """People go on as who they were, where they were, in the middle of a line, by both doors."""
    path = tmp_path / "door"
    old = start(LOOPBACK, f"unix:{path}")
    ann, bob, eve = await enter(old, b"ann"), await enter(old, b"bob", 1), await call(old)
    await bob.asks(b"/time on", b"> times are shown in UTC")
    await bob.asks(b"/ignore anonymous", b"> you ignore anonymous now")
    await bob.asks(b"/away tea", b"> you are marked as away")
    await ann.asks(b"/topic leaves", b"> ann set the topic: leaves")
    ann.transport.write(b"half a ")
    await eve.asks(b"/tell ann hi", b"> [you -> ann] hi")
    await ann.until(b"hi\r\n")
    await call(old)  # and says nothing
    new = await move(old)
    assert not old.factory.protocols
    assert len(new.factory.protocols) == 4
    assert len(new.factory.silent._due) == 1
    ann.transport.write(b"line\r\n")
    await bob.until(b" ann: half a line\r\n")
    await bob.asks(b"/ignore", b"you ignore: anonymous")
    await bob.asks(b"/who", b"here: ann, bob (away)")
    await ann.asks(b"/topic", b"> topic: leaves")
    await eve.asks(b"/join tea", b"> here: ann, anonymous, bob (away)")
    assert b"welcome. you are" not in ann.heard + bob.heard + eve.heard
    for number in (0, 1):
        await call(new, number)
    assert b"half a" not in bob.heard
    await end(new)
    assert not path.exists()
    assert not path.with_name("door.lock").exists()


@pytest_twisted.ensureDeferred
async def test_what_was_asked_for_is_still_asked_for():
    """A password that the next line brings is none that others see, before or after."""
    old = start()
    ann, bob = await enter(old, b"ann"), await enter(old, b"bob")
    await ann.asks(b"/register", b"type ")
    new = await move(old)
    await ann.asks(b"correct horse", b"is yours now")
    ann.transport.write(b"done\r\n")
    await bob.until(b"> ann: done\r\n")
    assert b"horse" not in bob.heard
    await end(new)


@pytest_twisted.ensureDeferred
async def test_what_was_kept_in_memory_goes_on():
    """What was said, and who has an account, is known afterwards; the order goes on."""
    old = start(store=MemoryStore())
    ann = await enter(old, b"ann")
    await ann.asks(b"/register correct horse", b"ann is yours now")
    await ann.asks(b"said\r\n/history 1", b"] ann: said\r\n")
    last = old.rooms.backplane.last
    new = await move(old)
    assert new.rooms.backplane.last >= last
    await ann.asks(b"/history 1", b"] ann: said\r\n")
    await ann.asks(b"/logout", b"> you are logged out")
    await ann.asks(b"/login ann correct horse", b"welcome back, ann")
    await end(new)


@pytest_twisted.ensureDeferred
async def test_a_slow_reader_gets_every_byte_once():
    """Megabytes that wait, the first line half sent, come whole, and so does what follows."""
    old = start()
    slow, ann = await enter(old, b"slow"), await enter(old, b"ann")
    await slow.until(b"> ann joined the room\r\n")
    slow.transport.pauseProducing()
    [session] = [one for one in old.rooms.sessions.values() if one.who.name == "slow"]
    sent = [b"%07d " % number + b"x" * 2000 + b"\r\n" for number in range(5000)]
    for line in sent:
        session.client.send(line)
    (pieces, is_begun) = session.client.unsent()
    assert is_begun
    assert sum(map(len, pieces)) > 1_000_000
    new = await move(old)
    await ann.asks(b"last\r\n/version", b"> twisted-chat")
    slow.transport.resumeProducing()
    slow.transport.write(b"/quit\r\n")
    assert await slow.over == b"".join(sent) + b"> ann: last\r\n> sad to see you go =(\r\n"
    await end(new)


@pytest_twisted.ensureDeferred
async def test_a_connection_that_closes_is_closed_over_there():
    """Who has said goodbye gets all that waits, and then the end."""
    old = start()
    slow = await enter(old, b"slow")
    slow.transport.pauseProducing()
    [session] = old.rooms.sessions.values()
    sent = [b"%07d\r\n" % number * 1000 for number in range(1000)]
    for piece in sent:
        session.client.send(piece)
    session.receive("/quit")
    assert session.ended
    new = await move(old)
    assert len(new.factory.protocols) == 1
    assert not new.rooms.people
    slow.transport.resumeProducing()
    assert await slow.over == b"".join(sent) + b"> sad to see you go =(\r\n"
    await end(new)


@forgets_its_socket
@pytest_twisted.ensureDeferred
async def test_who_went_meanwhile_has_left():
    """Whose connection broke while it moved is seen leaving; the others are not disturbed."""
    old = start()
    ann, bob, eve = [await enter(old, name) for name in (b"ann", b"bob", b"eve")]

    def go():
        bob.reset()
        eve.transport.loseConnection()

    new = await move(old, go)
    await ann.until(b"> bob has left the room")
    await ann.until(b"> eve has left the room")
    await ann.asks(b"/who", b"> here: ann\r\n")
    assert len(new.factory.protocols) == 1
    await end(new)


@pytest_twisted.ensureDeferred
async def test_what_was_said_meanwhile_is_heard_later():
    """Lines that come while everything stands still wait in the sockets, and newcomers, too."""
    old = start()
    ann, bob = await enter(old, b"ann"), await enter(old, b"bob")
    estate = await old.freeze()
    assert len(estate.descriptors) == 3
    ann.transport.write(b"meanwhile\r\n")
    coming = ensureDeferred(call(old))
    await deferLater(reactor, 0)
    await deferLater(reactor, 0)
    assert not coming.called
    assert b"meanwhile" not in bob.heard
    old.thaw()
    await bob.until(b"> ann: meanwhile\r\n")
    await coming
    bob.transport.write(b"heard\r\n")
    await ann.until(b"> bob: heard\r\n")
    await end(old)


@pytest_twisted.ensureDeferred
async def test_no_descriptor_is_left_over():
    """After a move there are as many as before, and none once everybody has gone."""
    before = descriptors()
    old = start()
    people = [await enter(old, name) for name in (b"ann", b"bob")]
    then = descriptors()
    new = await move(old)
    await people[0].asks(b"/version", b"> twisted-chat")
    assert descriptors() == then
    await end(new)
    assert descriptors() == before


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_wanted_no_more_is_closed():
    """Nobody may wait at a door that nobody opens; a new one is opened."""
    old = start(LOOPBACK)
    number = old.listeners[0].port.getHost().port
    estate = as_sent(await old.freeze())
    new = make(["tcp:0:interface=localhost"])
    new.inherit(estate)
    new.privilegedStartService()
    new.startService()
    see_off(old)
    new.move_in()
    with socket.socket() as peer, pytest.raises(ConnectionRefusedError):
        peer.connect(("127.0.0.1", number))
    await call(new)
    await end(new)


def test_who_inherits_nothing_moves_nowhere():
    """Without an estate there is nothing to be done, and nothing is."""
    service = ChatService(MemoryReactorClock())
    service.startService()
    service.move_in()
    assert service.factory.protocols == set()


# Before it moves


class SlowStore(MemoryStore):
    """Takes its time, and may fail; counts what is released and regained."""

    def __init__(self):
        super().__init__()
        self.found = Deferred()
        self.calls = []
        self.error = None

    async def history(self, room, limit, since=0.0):
        await self.found
        return []

    async def release(self):
        self.calls.append("release")
        if self.error:
            raise self.error
        return await super().release()

    def regain(self):
        self.calls.append("regain")


@pytest.fixture
def memory():
    return MemoryReactorClock()


@pytest.fixture
def slow(memory):
    service = ChatService(memory, limits=OPEN, store=SlowStore())
    service.startService()
    yield service
    service.stopService()
    for protocol in list(service.factory.protocols):
        protocol.connectionLost(Failure(ConnectionDone()))


def visit(service):
    protocol = service.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
    wire = StringTransport()
    protocol.makeConnection(wire)
    return protocol, wire


def end_turn(memory):
    for reader in memory.getReaders():
        reader.doRead()


def outcome(deferred):
    found = []
    deferred.addBoth(found.append)
    return found


def test_a_command_that_takes_too_long_is_waited_for_so_long(memory, slow):
    """After a second the chat gives up, and goes on; the command is done, and so is the next."""
    protocol, wire = visit(slow)
    protocol.dataReceived(b"/join tea\r\n/version\r\n")
    frozen = outcome(ensureDeferred(slow.freeze()))
    memory.pump([0.005] * int(0.9 * COMMAND_SECONDS / 0.005))
    assert frozen == []
    memory.advance(COMMAND_SECONDS)
    assert frozen[0].check(TimeoutError)
    assert slow.rooms.store.calls == []
    slow.thaw()
    slow.rooms.store.found.callback(None)
    memory.advance(0)
    end_turn(memory)
    assert wire.value().decode().splitlines()[-1].startswith("> twisted-chat ")


def test_a_command_that_is_done_in_time_is_part_of_what_moves(memory, slow):
    """Its answer is there, and nothing is begun after it."""
    protocol, wire = visit(slow)
    protocol.dataReceived(b"/join tea\r\n/version\r\n")
    frozen = outcome(ensureDeferred(slow.freeze()))
    slow.rooms.store.found.callback(None)
    memory.advance(0.005)
    assert isinstance(frozen[0], Estate)
    assert wire.value().endswith(b"> here: anonymous\r\n")


def test_what_was_released_is_regained_once(memory, slow):
    """A chat that stays takes its store back; one that never let go of it has no need."""
    assert isinstance(outcome(ensureDeferred(slow.freeze()))[0], Estate)
    slow.thaw()
    slow.thaw()
    assert slow.rooms.store.calls == ["release", "regain"]
    slow.rooms.store.error = OSError("disk full")
    assert outcome(ensureDeferred(slow.freeze()))[0].check(OSError)
    slow.thaw()
    assert slow.rooms.store.calls == ["release", "regain", "release"]


def test_what_cannot_be_moved_is_told_so(memory, slow):
    """A connection that is no bare socket stays out of what moves, and is let go with a word."""
    protocol, wire = visit(slow)
    estate = outcome(ensureDeferred(slow.freeze()))[0]
    assert (estate.record["connections"], list(estate.descriptors)) == ([], [])
    slow.factory.see_off(RENEWED, RENEWED)
    assert wire.value().endswith(f"> {RENEWED}\r\n".encode())
    assert wire.disconnecting
    gone = slow.factory.all_gone()
    assert not gone.called
    protocol.connectionLost(Failure(ConnectionDone()))
    assert gone.called


def test_the_family_of_a_port_is_told(memory):
    """What another process must know of a socket, whose number is all it gets."""
    port = SimpleNamespace(fileno=lambda: 7, getHost=lambda: IPv6Address("TCP", "::1", 1))
    service = ChatService(memory)
    estate = gather(service.rooms, 1.5, None, [("tcp6:1", port)], [])
    assert estate.record["ports"] == [{"description": "tcp6:1", "family": socket.AF_INET6}]
    assert (estate.record["since"], estate.descriptors) == (1.5, [7])


# Ports


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def test_what_is_no_listening_is_the_reactor_s():
    """Endpoints find everything else of a reactor where it is."""
    memory = MemoryReactorClock()
    adopting = Adopting(memory, 7, socket.AF_INET)
    assert adopting.callLater == memory.callLater
    with pytest.raises(AttributeError):
        adopting.nonsense  # noqa: B018


@pytest_twisted.ensureDeferred
async def test_a_tcp_port_is_the_one_that_is_left(server):
    """Whatever number and interface the description has."""
    port = Adopting(reactor, server.fileno(), socket.AF_INET).listenTCP(1, Factory(), 3, "::1")
    assert port.getHost().port == server.getsockname()[1]
    info = server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    assert struct.unpack_from("8x6I", info)[-1] == 3  # of a port, how many may wait
    await port.stopListening()


@pytest.mark.parametrize("is_locked", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_unix_port_keeps_its_mode_and_its_lock(tmp_path, is_locked):
    """Who may not come in must not be let in by a restart; in the end no file is left."""
    path = str(tmp_path / "door")
    with socket.socket(socket.AF_UNIX) as server:
        server.setblocking(False)
        server.bind(path)
        server.listen()
        os.chmod(path, 0o600)
        if is_locked:
            os.symlink("1", f"{path}.lock")
        adopting = Adopting(reactor, server.fileno(), socket.AF_UNIX)
        port = adopting.listenUNIX(path, Factory(), 50, 0o600, is_locked)
        assert os.stat(path).st_mode & 0o777 == 0o600
        await port.stopListening()
    assert os.listdir(tmp_path) == []


def test_a_tls_port_wraps_what_is_left(server):
    """The bytes of people there are encrypted as before."""
    tls = pytest.importorskip("twisted.protocols.tls")
    ssl = pytest.importorskip("twisted.internet.ssl")
    memory, factory = MemoryReactorClock(), Factory()
    adopting = Adopting(memory, server.fileno(), socket.AF_INET)
    adopting.listenSSL(1, factory, ssl.CertificateOptions())
    [(descriptor, family, wrapper)] = memory.adoptedPorts
    assert (descriptor, family) == (server.fileno(), socket.AF_INET)
    assert isinstance(wrapper, tls.TLSMemoryBIOFactory)
    assert wrapper.wrappedFactory is factory


@pytest_twisted.ensureDeferred
async def test_a_port_of_systemd_is_adopted_without_systemd(server):
    """Only the first process has been given it in the environment."""
    listener = Listener(reactor, "systemd:domain=INET:index=0", Factory())
    listener.inherit(server.fileno(), socket.AF_INET)
    listener.startService()
    assert listener.port.getHost().port == server.getsockname()[1]
    await listener.stopService()


def test_a_listener_without_a_port_freezes_as_well():
    """It has nobody to keep out."""
    listener = Listener(MemoryReactorClock(), "tcp:1", Factory())
    listener.freeze()
    listener.thaw()
    assert listener.port is None
