"""Proxies in front: the header that they send, and what becomes of the connection after it."""

from ipaddress import ip_address, ip_network

import pytest
from doors import binary_header, text_header
from hypothesis import given
from hypothesis import strategies as st
from real import need_module
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactor, StringTransport

from twisted_chat.doors.address import host, is_afar, origin
from twisted_chat.doors.proxy import HEADER_SECONDS, BehindProxy, Opening, Proxied
from twisted_chat.wire.proxy import LONGEST_REST, LONGEST_TEXT, SIGNATURE, Header, parse

TLS = b"\x20\x00\x05\x01\x00\x00\x00\x00"
"""What proxies add of those who came over TLS, in short."""
NOT_TLS = b"\x20\x00\x05\x00\x00\x00\x00\x00"


def binary(command=0x21, family=0x11, rest=b"", length=None):
    size = len(rest) if length is None else length
    return SIGNATURE + bytes((command, family)) + size.to_bytes(2) + rest


# The header


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (text_header("203.0.113.7", 5), ("203.0.113.7", 5, False)),
        (text_header("2001:db8::7", 65535), ("2001:db8::7", 65535, False)),
        (b"PROXY UNKNOWN\r\n", ("", 0, False)),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ("", 0, False)),
        (binary_header("203.0.113.7", 5), ("203.0.113.7", 5, False)),
        (binary_header("2001:db8::7", 5), ("2001:db8::7", 5, False)),
        (binary_header("203.0.113.7", 5, TLS), ("203.0.113.7", 5, True)),
        (binary_header("203.0.113.7", 5, NOT_TLS), ("203.0.113.7", 5, False)),
        (binary_header("203.0.113.7", 5, b"\x01\x00\x02h2" + TLS), ("203.0.113.7", 5, True)),
        (binary_header("203.0.113.7", 5, b"\x20\x00"), ("203.0.113.7", 5, False)),
        (binary_header("203.0.113.7", 5, b"\x20\x00\x00"), ("203.0.113.7", 5, False)),
        (binary_header("203.0.113.7", 5, b"\x20\xff\xff\x01"), ("203.0.113.7", 5, True)),
        (binary(0x20, 0x00), ("", 0, False)),
        (binary(0x20, 0x11, b"\0" * 12), ("", 0, False)),
        (binary(0x21, 0x00), ("", 0, False)),
        (binary(0x21, 0x31, b"\0" * 216), ("", 0, False)),
    ],
)
def test_a_header_cut_anywhere(data, told):
    """It is read once all of it is there, and not before; what follows it is left alone."""
    assert [parse(data[:end]) for end in range(len(data))] == [None] * len(data)
    assert parse(data) == parse(data + b"/nick bob\r\n") == Header(len(data), *told)


@pytest.mark.parametrize(
    "data",
    [
        b"h",
        b"hello\r\n",
        b"\r\n\r\nhello",
        b"PROXX",
        b"PROXY\r\n",
        b"PROXY \r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP4 203.0.113.7 127.0.0.1 5\r\n",
        b"PROXY TCP4 203.0.113.7 127.0.0.1 5 6 7\r\n",
        b"PROXY TCP4  203.0.113.7 127.0.0.1 5 6\r\n",
        b"PROXY TCP4 2001:db8::7 ::1 5 6\r\n",
        b"PROXY TCP6 203.0.113.7 127.0.0.1 5 6\r\n",
        b"PROXY TCP4 203.0.113.7 127.0.0.1 65536 6\r\n",
        b"PROXY TCP4 203.0.113.7 127.0.0.1 -1 6\r\n",
        b"PROXY TCP4 203.0.113.7 127.0.0.1 \xd9\xa3 6\r\n",
        b"PROXY TCP4 203.0.113.07 127.0.0.1 5 6\r\n",
        b"PROXY UDP4 203.0.113.7 127.0.0.1 5 6\r\n",
        b"PROXY TCP4 \xff 127.0.0.1 5 6\r\n",
        b"PROXY UNKNOWN" + b"x" * LONGEST_TEXT,
        binary(0x11),
        binary(0x22),
        binary(0x31),
        binary(rest=b"\0" * 11),
        binary(0x21, 0x21, b"\0" * 35),
        binary(length=LONGEST_REST + 1),
    ],
)
def test_what_is_no_header(data):
    """It is refused as soon as that is known, in words for a log."""
    with pytest.raises(ValueError, match="PROXY header"):
        parse(data)


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE]))
def test_anything_is_one_or_none_or_not_yet(data, start):
    """Whatever comes, it is decided within a bound, and cutting it changes nothing."""

    def read(data):
        try:
            return parse(data)
        except ValueError:
            return "none"

    found = read(start + data)
    if isinstance(found, Header):
        assert 0 < found.length <= len(start + data)
        assert found.host == "" or ip_address(found.host)
    first = next(
        (one for end in range(len(start + data)) if (one := read((start + data)[:end]))), found
    )
    assert first == found or (isinstance(found, Header) and first.length == found.length)
    assert read(start + data + b"\0" * (LONGEST_REST + 200)) is not None


# The connection


class Kept(Protocol):
    """Keeps what comes."""

    def __init__(self, address):
        self.address = address
        self.data = b""
        self.ended = False

    def dataReceived(self, data):
        self.data += data

    def connectionLost(self, reason=None):
        self.ended = True


class Keeper(Factory):
    """Builds these, and keeps them."""

    def __init__(self):
        self.built = []
        self.refuses = False

    def buildProtocol(self, addr):
        if self.refuses:
            return None
        self.built.append(Kept(addr))
        return self.built[-1]


class Port:
    """A port behind a proxy at 10.0.0.1."""

    def __init__(self):
        self.clock, self.keeper = Clock(), Keeper()
        networks = [ip_network("10.0.0.0/30"), ip_network("2001:db8::/64")]
        self.opening = Opening(self.clock, networks, self.keeper)

    def connects(self, address):
        """Have someone connect; give the transport, whose protocol is whoever reads."""
        protocol = self.opening.buildProtocol(address)
        transport = StringTransport(peerAddress=address)
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return transport


def ipv4(host):
    return IPv4Address("TCP", host, 7000)


@pytest.fixture
def port():
    return Port()


@pytest.mark.parametrize(
    "address",
    [
        ipv4("10.0.0.1"),
        IPv6Address("TCP", "2001:db8::5", 1),
        IPv6Address("TCP", "::ffff:10.0.0.1", 1),
    ],
)
@pytest.mark.parametrize("header", [text_header("203.0.113.7"), binary_header("203.0.113.7")])
def test_who_is_behind_a_proxy(port, address, header):
    """Nobody is there before the header is; then it is as if they had come by themselves."""
    data = header + b"/nick bob\r\n"
    for cut in range(1, len(data)):
        transport = port.connects(address)
        for part in (data[:cut], data[cut:]):
            if part:
                transport.protocol.dataReceived(part)
        protocol = port.keeper.built[-1]
        assert protocol is transport.protocol
        assert protocol.transport is transport
        assert protocol.address == BehindProxy("203.0.113.7", 4242)
        assert protocol.data == b"/nick bob\r\n"
    assert len(port.keeper.built) == len(data) - 1


def test_nobody_is_there_before_the_header(port):
    """A connection that ends before is nobody's."""
    transport = port.connects(ipv4("10.0.0.1"))
    transport.protocol.dataReceived(b"PROXY TCP4 203")
    transport.protocol.connectionLost(None)
    port.clock.advance(HEADER_SECONDS)
    assert port.keeper.built == []
    assert not transport.disconnecting


def test_a_proxy_that_speaks_for_itself(port):
    """Its own address counts: it looks whether the chat is there."""
    transport = port.connects(ipv4("10.0.0.1"))
    transport.protocol.dataReceived(binary(0x20, 0x00) + b"hi")
    [protocol] = port.keeper.built
    assert (protocol.address, protocol.data) == (ipv4("10.0.0.1"), b"hi")


@pytest.mark.parametrize(
    "address", [ipv4("10.0.0.4"), UNIXAddress(b""), IPv6Address("TCP", "::1", 1)]
)
def test_who_is_no_proxy_is_not_believed(port, address):
    """What they say is theirs, and they are who they are."""
    transport = port.connects(address)
    transport.protocol.dataReceived(text_header("203.0.113.7"))
    [protocol] = port.keeper.built
    assert (protocol.address, protocol.data) == (address, text_header("203.0.113.7"))


@pytest.mark.parametrize("data", [b"/nick bob\r\n", b"PROXY TCP4 x\r\n", b"\x16\x03\x01"])
def test_a_wrong_header_ends_the_connection(port, log_lines, data):
    """The log tells which proxy it was."""
    transport = port.connects(ipv4("10.0.0.2"))
    transport.protocol.dataReceived(data)
    assert transport.disconnecting
    assert port.keeper.built == []
    [line] = log_lines
    assert "10.0.0.2" in line
    assert "PROXY header" in line


def test_a_header_that_does_not_come(port, log_lines):
    """The connection ends after some seconds, counted from its beginning."""
    transport = port.connects(ipv4("10.0.0.1"))
    for byte in text_header("203.0.113.7")[:5]:
        port.clock.advance(HEADER_SECONDS / 5 - 0.01)
        transport.protocol.dataReceived(bytes((byte,)))
        assert not transport.disconnecting
    port.clock.advance(0.1)
    assert transport.disconnecting
    assert "has not come within 5 s" in log_lines[0]


def test_a_header_in_time(port):
    """The limit is none for what comes after it."""
    transport = port.connects(ipv4("10.0.0.1"))
    transport.protocol.dataReceived(text_header("203.0.113.7"))
    port.clock.advance(10 * HEADER_SECONDS)
    assert not transport.disconnecting


def test_who_is_not_built_for(port):
    """If there is no protocol for them, the connection ends."""
    port.keeper.refuses = True
    transport = port.connects(ipv4("10.0.0.1"))
    transport.protocol.dataReceived(text_header("203.0.113.7"))
    assert transport.disconnecting


@pytest.mark.parametrize("kind", ["tcp", "ssl", "adopted"])
def test_every_port_is_behind_it(kind):
    """However the chat listens, the header comes first; all else is the reactor's."""
    reactor = MemoryReactor()
    adopted = []
    reactor.adoptStreamPort = lambda *port: adopted.append(port)
    proxied = Proxied(reactor, [ip_network("10.0.0.1")])
    if kind == "tcp":
        proxied.listenTCP(1, Keeper(), interface="::")
        [(number, factory, _, interface)] = reactor.tcpServers
        assert (number, interface) == (1, "::")
    elif kind == "ssl":
        need_module("OpenSSL")
        from twisted.internet.ssl import CertificateOptions

        proxied.listenSSL(1, Keeper(), CertificateOptions())
        factory = reactor.tcpServers[0][1]
    else:
        proxied.adoptStreamPort(7, 2, Keeper())
        [(*socket, factory)] = adopted
        assert socket == [7, 2]
    assert isinstance(factory, Opening)
    assert proxied.callWhenRunning == reactor.callWhenRunning


def test_the_address_is_one_like_others():
    """Limits and bans take it as they would that of a bare connection."""
    behind = BehindProxy("::ffff:203.0.113.7", 1)
    assert (host(behind), origin(behind)) == ("203.0.113.7", "203.0.113.7")
    assert is_afar(behind)
    assert not is_afar(BehindProxy("127.0.0.1", 1))
