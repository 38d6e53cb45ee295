"""Bounded output: over a socket that takes what the test lets it, over real ones, over TLS."""

from datetime import UTC, datetime, timedelta

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor, ssl, tcp
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from twisted_chat.wire.outbox import CHUNK, SocketOutbox, StreamOutbox, Waiting, outbox

WORDS = b"err: too slow\r\n"
PLENTY = 1 << 30


class KernelSocket:
    """What a pipe is to a socket: where bytes are sent."""

    def __init__(self, pipe):
        self.send = pipe.take

    def __getattr__(self, name):
        return lambda *args: 0


class Writer(Protocol):
    """Has an outbox, and hears how the connection ends."""

    outbox = None
    lost = None

    def connectionLost(self, reason):
        self.lost = reason.type
        if self.outbox:
            self.outbox.lost()


class Pipe(tcp.Connection):
    """A bare connection that takes as many bytes as the test gives room for."""

    def __init__(self, room=PLENTY, protocol=None):
        self.clock = MemoryReactorClock()
        super().__init__(KernelSocket(self), protocol or Writer(), self.clock)
        self.connected = 1
        self.writer = self.protocol
        self.room = room
        self.written = b""
        self.calls = 0
        self.error = None

    def take(self, data):
        """Do what the kernel does with bytes that are sent."""
        self.calls += 1
        if self.error and data:
            raise self.error
        if not self.room and data:
            raise BlockingIOError
        taken = bytes(data[: self.room])
        self.room -= len(taken)
        self.written += taken
        return len(taken)

    def drain(self, room=PLENTY):
        """Give room for so many bytes, and do what the reactor does."""
        self.room = room
        while self in self.clock.getWriters():
            room = self.room
            if result := self.doWrite():
                self.connectionLost(Failure(result))
                return
            if self.room == room:
                return


class Wrapped(ProtocolWrapper):
    """Forwards every attribute it does not have to the transport below, as TLS does."""


def bare(room=PLENTY, limit=PLENTY, waiting=None, overflowed=lambda: WORDS):
    """Make a connection and its outbox."""
    pipe = Pipe(room)
    box = outbox(pipe, limit, waiting or Waiting(PLENTY), overflowed)
    pipe.protocol.outbox = box
    return pipe, box


def streaming(limit=PLENTY, waiting=None):
    """Make a transport that is not bare, and its outbox."""
    transport = StringTransport()
    return transport, outbox(transport, limit, waiting or Waiting(PLENTY), lambda: WORDS)


def drain_stream(transport):
    """Do what a transport does when room has come up, if somebody cares."""
    if transport.producer:
        transport.producer.resumeProducing()


# Which one


def test_a_bare_socket_is_written_to_directly():
    """A plain TCP connection gets an outbox that writes at once."""
    assert isinstance(bare()[1], SocketOutbox)


def test_a_socket_that_has_begun_tls_is_not_bare():
    """After ``startTLS`` the same class of connection is written to through its transport."""
    pipe = Pipe()
    pipe.TLS = True
    pipe.registerProducer = lambda producer, streaming: None
    assert isinstance(outbox(pipe, 1, Waiting(1), bytes), StreamOutbox)


def test_a_wrapper_is_not_bare_whatever_it_forwards():
    """A wrapper has ``writeSomeData`` of the socket below; it is not used."""
    wrapper = Wrapped(WrappingFactory(Factory()), Protocol())
    pipe = Pipe(protocol=wrapper)
    wrapper.makeConnection(pipe)
    assert wrapper.writeSomeData == pipe.writeSomeData
    assert isinstance(outbox(wrapper, 1, Waiting(1), bytes), StreamOutbox)


# A bare socket


def test_what_the_kernel_takes_at_once_leaves_at_once():
    """While nothing waits a send is one write, and no round through the reactor."""
    pipe, box = bare()
    box.send(b"one")
    assert (pipe.written, pipe.calls, box.size) == (b"one", 1, 0)
    assert pipe.producer is None
    assert pipe not in pipe.clock.getWriters()


@pytest.mark.parametrize("room", [0, 1, 3, 6])
def test_what_the_kernel_does_not_take_follows_in_order(room):
    """After a partial write, or none, the rest goes out before what was sent later."""
    pipe, box = bare(room)
    box.send(b"first ")
    box.send(b"second ")
    box.send(b"third")
    assert pipe.written == b"first second third"[:room]
    assert box.size == 18 - room
    pipe.drain(2)
    pipe.drain(0)
    pipe.drain()
    assert pipe.written == b"first second third"
    assert box.size == 0
    assert pipe.producer is None


def test_after_a_queue_was_written_sends_are_direct_again():
    """An outbox that had to wait once writes at once again afterwards."""
    pipe, box = bare(0)
    box.send(b"a")
    pipe.drain()
    box.send(b"b")
    assert pipe.written == b"ab"
    assert pipe not in pipe.clock.getWriters()


def test_many_small_pieces_leave_in_few_writes():
    """Pieces that wait are joined up to a size that is worth a system call."""
    pipe, box = bare(0)
    for _ in range(1000):
        box.send(b"x" * 100)
    pipe.calls = 0
    pipe.drain()
    assert len(pipe.written) == 100_000
    assert pipe.calls <= 2 * (100_000 // CHUNK + 2)


@pytest.mark.parametrize("waits", [False, True])
def test_a_write_that_fails_aborts_the_connection(waits):
    """An error of the socket ends the connection, once, though the reactor may not see it."""
    pipe, box = bare(0 if waits else PLENTY)
    if waits:
        box.send(b"waits")
    pipe.error = ConnectionResetError()
    box.send(b"lost")
    pipe.drain()
    box.send(b"lost too")
    pipe.clock.advance(0)
    assert pipe.writer.lost is ConnectionAborted
    box.send(b"nobody is there")
    assert (pipe.written, box.size) == (b"", 0)


# Too much


def test_exactly_the_bound_may_wait():
    """As many bytes as are allowed may wait, and all of them arrive."""
    pipe, box = bare(0, limit=10)
    box.send(b"12345")
    box.send(b"67890")
    assert box.size == 10
    pipe.drain()
    assert pipe.written == b"1234567890"
    assert not pipe.disconnecting


def test_one_byte_more_than_the_bound_is_told_and_cut():
    """A reader over the bound gets the last words, no more of the rest, and is closed."""
    pipe, box = bare(3, limit=10)
    box.send(b"abcdefghijklm")
    assert not pipe.disconnecting
    box.send(b"n")
    box.send(b"never")
    pipe.drain()
    assert pipe.written == b"abcdefghijklm" + WORDS
    assert pipe.writer.lost is ConnectionDone
    assert box.size == 0


def test_no_line_is_torn_by_a_cut():
    """A line that is half written is finished; whole lines that wait are dropped."""
    pipe, box = bare(4, limit=20)
    box.send(b"half written\r\n")
    box.send(b"dropped\r\n")
    box.send(b"one too many\r\n")
    pipe.drain()
    assert pipe.written == b"half written\r\n" + WORDS


def test_what_is_not_begun_is_not_finished():
    """While the reader takes nothing at all, a cut drops all that waits."""
    pipe, box = bare(0, limit=20)
    box.send(b"dropped\r\n")
    pipe.drain(0)
    box.send(b"dropped too\r\n")
    pipe.drain()
    assert pipe.written == WORDS


def test_what_is_begun_stays_so_when_the_reader_stalls_again():
    """A half-written line is remembered as such, however often nothing could be written."""
    pipe, box = bare(4, limit=20)
    box.send(b"half written\r\n")
    box.send(b"dropped\r\n")
    pipe.drain(0)
    box.send(b"one too many\r\n")
    pipe.drain()
    assert pipe.written == b"half written\r\n" + WORDS


def test_a_single_piece_over_the_bound_is_cut_at_once():
    """What is too much in one piece is cut without having waited before."""
    pipe, box = bare(0, limit=4)
    box.send(b"12345")
    pipe.drain()
    assert pipe.written == WORDS
    assert pipe.writer.lost is ConnectionDone


def test_last_words_are_asked_for_when_nothing_more_is_taken():
    """Whoever gives the last words may send meanwhile: it goes nowhere."""
    pipe, box = bare(0, limit=4, overflowed=lambda: box.send(b"in between") or WORDS)
    box.send(b"12345")
    pipe.drain()
    assert pipe.written == WORDS


def test_a_second_cut_does_without_words():
    """Who does not even read the last words is dropped."""
    pipe, box = bare(0, limit=4)
    box.send(b"12345")
    box.overflow()
    assert box.size == 0
    pipe.clock.advance(0)
    assert pipe.writer.lost is ConnectionAborted


def test_an_idle_outbox_can_be_cut():
    """Cutting someone for whom nothing waits tells and closes as well."""
    pipe, box = bare()
    box.overflow()
    pipe.drain()
    # nothing waited that would have called for the reactor: the words go with the close
    assert pipe.disconnecting


# All together


def test_the_largest_goes_first_when_all_together_is_too_much():
    """Past the total the one who holds most is cut, and nobody else."""
    waiting = Waiting(100)
    small, large, other = (bare(0, waiting=waiting) for _ in range(3))
    small[1].send(b"s" * 20)
    large[1].send(b"l" * 70)
    other[1].send(b"o" * 10)
    assert waiting.total == 100
    other[1].send(b"o")
    assert [pipe.disconnecting for pipe, _ in (small, large, other)] == [0, 1, 0]
    for pipe, _ in (small, large, other):
        pipe.drain()
    assert small[0].written == b"s" * 20
    assert other[0].written == b"o" * 11
    assert large[0].writer.lost is not None
    assert waiting.total == 0


def test_enforcing_the_total_ends_even_if_words_are_too_much():
    """When the last words alone are over the total, they are dropped too."""
    waiting = Waiting(5)
    pipes = [bare(0, waiting=waiting) for _ in range(3)]
    for _, box in pipes:
        box.send(b"1234")
    assert waiting.total <= 5
    for pipe, _ in pipes:
        pipe.drain()
        pipe.clock.advance(0)
    assert waiting.total == 0


def test_what_waited_is_not_counted_when_the_connection_is_gone():
    """A lost connection gives back its part of the total."""
    waiting = Waiting(100)
    pipe, box = bare(0, waiting=waiting)
    box.send(b"x" * 60)
    pipe.connectionLost(Failure(ConnectionDone()))
    assert (box.size, waiting.total) == (0, 0)
    other = bare(0, waiting=waiting)
    other[1].send(b"x" * 100)
    assert not other[0].disconnecting


# The end


def test_closing_waits_for_what_is_queued():
    """A close lets out all that was sent before it, and nothing that comes later."""
    pipe, box = bare(2)
    box.send(b"all of this")
    box.close()
    box.send(b"not this")
    assert pipe.writer.lost is None
    pipe.drain(3)
    assert pipe.writer.lost is None
    pipe.drain()
    assert pipe.written == b"all of this"
    assert pipe.writer.lost is ConnectionDone


def test_closing_is_at_once_when_nothing_waits():
    """With an empty queue the transport is closed without further ado; again changes nothing."""
    pipe, box = bare()
    box.send(b"bye")
    box.close()
    box.close()
    box.send(b"more")
    pipe.drain()
    assert pipe.written == b"bye"
    assert pipe.writer.lost is ConnectionDone


def test_nothing_is_sent_or_closed_after_the_connection_is_lost():
    """A lost connection has neither socket nor protocol: the outbox touches neither."""
    pipe, box = bare(0)
    box.send(b"waits")
    pipe.connectionLost(Failure(ConnectionDone()))
    calls = pipe.calls
    box.send(b"more")
    box.close()
    assert (box.size, pipe.calls) == (0, calls)


@given(
    st.lists(
        st.tuples(st.booleans(), st.one_of(st.integers(1, 100), st.integers(CHUNK - 5, 2 * CHUNK))),
        max_size=30,
    )
)
def test_any_partial_writes_give_exactly_what_was_sent(steps):
    """However sends and partial writes follow each other, the bytes arrive once and in order."""
    pipe, box = bare(0)
    sent = b""
    for number, (is_send, size) in enumerate(steps):
        if is_send:
            piece = number.to_bytes() * size
            sent += piece
            box.send(piece)
        else:
            pipe.drain(size)
        assert len(pipe.written) + box.size == len(sent)
        assert sent.startswith(pipe.written)
    pipe.drain()
    assert pipe.written == sent


# Any other transport


def test_a_stream_is_written_to_until_it_has_had_enough():
    """Between pause and resume everything waits, and then goes out in order."""
    transport, box = streaming()
    assert transport.streaming
    box.send(b"one ")
    transport.producer.pauseProducing()
    box.send(b"two ")
    box.send(b"three ")
    assert (transport.value(), box.size) == (b"one ", 10)
    drain_stream(transport)
    box.send(b"four")
    assert (transport.value(), box.size) == (b"one two three four", 0)


def test_a_stream_that_pauses_amid_the_queue_keeps_the_rest():
    """A transport may have had enough again before the queue is empty."""
    transport, box = streaming()
    transport.producer.pauseProducing()
    piece = b"x" * CHUNK
    for _ in range(3):
        box.send(piece)
    write = transport.write

    def write_and_pause(data):
        write(data)
        transport.producer.pauseProducing()

    transport.write = write_and_pause
    drain_stream(transport)
    assert box.size == 2 * CHUNK
    drain_stream(transport)
    drain_stream(transport)
    assert transport.value() == 3 * piece
    assert box.size == 0


def test_a_stream_has_the_same_bound():
    """Past the bound a stream's reader is told and cut as well, once there is room to tell."""
    transport, box = streaming(limit=10)
    transport.producer.pauseProducing()
    box.send(b"1234567890")
    assert not box._shut
    box.send(b"1")
    box.send(b"never")
    assert not transport.disconnecting
    drain_stream(transport)
    assert transport.value() == WORDS
    assert transport.disconnecting


def test_a_stream_that_never_resumes_is_dropped_at_the_second_cut():
    """A stream that is stuck is ended without its last words."""
    transport, box = streaming(limit=10)
    transport.producer.pauseProducing()
    box.send(b"1" * 11)
    box.overflow()
    assert transport.disconnected
    assert (transport.value(), box.size) == (b"", 0)


def test_closing_a_stream_waits_for_what_is_queued():
    """A close of a paused stream is done once it has resumed and all is written."""
    transport, box = streaming()
    transport.producer.pauseProducing()
    box.send(b"wait for me")
    box.close()
    assert not transport.disconnecting
    drain_stream(transport)
    assert transport.value() == b"wait for me"
    assert transport.disconnecting
    assert transport.producer is None


def test_closing_a_stream_with_nothing_queued_is_at_once():
    """A close with nothing queued is done now; a second one changes nothing."""
    transport, box = streaming()
    box.send(b"bye")
    box.close()
    box.close()
    box.send(b"more")
    assert transport.disconnecting
    assert transport.value() == b"bye"


def test_a_lost_stream_drops_what_waits():
    """The transport stops its producer when it goes: nothing is kept or counted."""
    waiting = Waiting(100)
    transport, box = streaming(waiting=waiting)
    transport.producer.pauseProducing()
    box.send(b"x" * 50)
    transport.producer.stopProducing()
    assert (box.size, waiting.total) == (0, 0)


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=50), st.booleans()), max_size=30))
def test_any_pauses_give_exactly_what_was_sent(steps):
    """However a stream pauses and resumes, the bytes arrive once and in order."""
    transport, box = streaming()
    sent = b""
    for step in steps:
        if isinstance(step, bytes):
            sent += step
            box.send(step)
        elif step:
            transport.producer.resumeProducing()
        else:
            transport.producer.pauseProducing()
    transport.producer.resumeProducing()
    assert transport.value() == sent


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Make a certificate that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(pem)
    )
    return ssl.DefaultOpenSSLContextFactory(file, file)


class Greeter(Writer):
    """Says something before the handshake, as a chat does."""

    def connectionMade(self):
        self.outbox = outbox(self.transport, PLENTY, Waiting(PLENTY), lambda: WORDS)
        self.outbox.send(b"a greeting in the clear\r\n")


class Listener(Protocol):
    """Keeps what it hears."""

    def __init__(self):
        self.heard = b""

    def dataReceived(self, data):
        self.heard += data


class TlsPair:
    """A TLS server on a bare socket, and a TLS client; the test carries the bytes."""

    def __init__(self, certificate):
        self.clock = MemoryReactorClock()
        self.server = self._side(Greeter, certificate, is_client=False)
        self.client = self._side(Listener, ssl.CertificateOptions(), is_client=True)
        self.pipe = Pipe(protocol=self.server)
        self.wire = StringTransport(lenient=True)
        self.carried = 0
        self.greeter = self.server.wrappedProtocol
        self.listener = self.client.wrappedProtocol
        self.server.makeConnection(self.pipe)
        self.client.makeConnection(self.wire)

    def _side(self, protocol, context, is_client):
        factory = TLSMemoryBIOFactory(context, is_client, Factory.forProtocol(protocol), self.clock)
        return factory.buildProtocol(None)

    @property
    def outbox(self):
        return self.greeter.outbox

    @property
    def heard(self):
        return self.listener.heard

    def exchange(self, room=PLENTY):
        """Let both sides say all they have to say."""
        for _ in range(10):
            self.clock.advance(1)
            self.pipe.drain(room)
            said, self.carried = self.pipe.written[self.carried :], len(self.pipe.written)
            if said:
                self.client.dataReceived(said)
            answer = self.wire.value()
            self.wire.clear()
            if answer:
                self.server.dataReceived(answer)


@pytest.fixture
def tls(certificate):
    return TlsPair(certificate)


def test_nothing_leaves_a_tls_port_unencrypted(tls):
    """What is sent before, during and after the handshake reaches the socket only encrypted."""
    tls.clock.advance(1)
    tls.pipe.drain()
    assert tls.pipe.written == b""
    tls.exchange()
    tls.outbox.send(b"a secret\r\n")
    tls.exchange()
    assert tls.heard == b"a greeting in the clear\r\na secret\r\n"
    assert b"greeting" not in tls.pipe.written
    assert b"secret" not in tls.pipe.written


def test_a_tls_reader_that_is_slow_gets_everything_in_order(tls):
    """A TLS transport that had enough pauses the outbox; what waited follows, then the close."""
    tls.exchange()
    sent = b"".join(b"%d\r\n" % number for number in range(50_000))
    tls.pipe.room = 0
    for begin in range(0, len(sent), 1000):
        tls.outbox.send(sent[begin : begin + 1000])
        tls.clock.advance(1)
    assert tls.outbox.size > 0
    tls.outbox.close()
    tls.exchange()
    assert tls.heard.partition(b"clear\r\n")[2] == sent
    assert tls.greeter.lost is not None


# Real sockets


class Accepting(Factory):
    """Gives the first connection an outbox."""

    def __init__(self):
        self.accepted = Deferred()
        self.gone = Deferred()

    def buildProtocol(self, addr):
        return RealWriter(self)


class RealWriter(Writer):
    def __init__(self, factory):
        self.factory = factory

    def connectionMade(self):
        self.outbox = outbox(self.transport, PLENTY, Waiting(PLENTY), lambda: WORDS)
        self.factory.accepted.callback(self)

    def connectionLost(self, reason):
        super().connectionLost(reason)
        self.factory.gone.callback(reason.type)


class Reader(Protocol):
    """Reads on demand, and tells when it is over."""

    def __init__(self):
        self.heard = []
        self.over = Deferred()

    def connectionMade(self):
        self.transport.pauseProducing()

    def dataReceived(self, data):
        self.heard.append(data)

    def connectionLost(self, reason):
        self.over.callback(b"".join(self.heard))


@pytest_twisted.ensureDeferred
async def test_a_real_socket_gets_all_of_it_in_order():
    """Over loopback, a reader that begins late gets megabytes whole, and then the close."""
    factory = Accepting()
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    reader = await TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port).connect(
        Factory.forProtocol(Reader)
    )
    writer = await factory.accepted
    assert isinstance(writer.outbox, SocketOutbox)
    pieces = [b"%07d\n" % number * 1000 for number in range(2000)]
    for piece in pieces:
        writer.outbox.send(piece)
    assert writer.outbox.size > 0
    writer.outbox.close()
    reader.transport.resumeProducing()
    assert await reader.over == b"".join(pieces)
    assert await factory.gone is ConnectionDone
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_real_peer_that_resets_is_noticed_while_writing():
    """A reset met by a write ends the connection and leaves nothing waiting."""
    factory = Accepting()
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    reader = await TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port).connect(
        Factory.forProtocol(Reader)
    )
    writer = await factory.accepted
    writer.transport.pauseProducing()
    writer.outbox.send(b"x" * 20_000_000)
    reader.transport.abortConnection()
    await reader.over
    assert await factory.gone is ConnectionLost
    assert writer.outbox.size == 0
    await port.stopListening()
