"""Proxies in front of the chat: they tell who is behind them before anything else is said."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any, NamedTuple, TypeAlias

from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_chat.doors.address import ip
from twisted_chat.doors.deadlines import Deadlines
from twisted_chat.wire.proxy import Header, parse

HEADER_SECONDS = 5.0

Network: TypeAlias = IPv4Network | IPv6Network


@implementer(IAddress)
class BehindProxy(NamedTuple):
    """The address of someone, as a proxy has told it."""

    host: str
    port: int
    is_encrypted: bool = False
    """Whether nobody can read along between them and the proxy."""


class Proxied:
    """Does all that a reactor does, and has proxies say who is behind them, on every port.

    The header comes before all else, TLS too; so this is what is nearest to the socket.
    """

    def __init__(self, reactor: Any, networks: Sequence[Network]) -> None:
        """
        :param networks: where proxies are; from there, nobody else comes.
        """
        self._reactor = reactor
        self._networks = networks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: int, factory: Any, **how: Any) -> IListeningPort:
        return self._reactor.listenTCP(port, self._behind(factory), **how)  # type: ignore[no-any-return]

    def listenSSL(
        self, port: int, factory: Factory, contextFactory: Any, **how: Any
    ) -> IListeningPort:
        from twisted.protocols.tls import TLSMemoryBIOFactory  # noqa: PLC0415  # it is an extra

        return self.listenTCP(port, TLSMemoryBIOFactory(contextFactory, False, factory), **how)

    def adoptStreamPort(self, descriptor: int, family: int, factory: Factory) -> IListeningPort:
        behind = self._behind(factory)
        return self._reactor.adoptStreamPort(descriptor, family, behind)  # type: ignore[no-any-return]

    def _behind(self, factory: Any) -> "Opening":
        return Opening(self._reactor, self._networks, factory)


class Opening(Factory):
    """Builds what reads the header, and then has another factory build the protocol."""

    noisy = False
    log = Logger()

    def __init__(self, reactor: Any, networks: Sequence[Network], factory: Any) -> None:
        """
        :param factory: of what comes after the header.
        """
        self.factory = factory
        self._networks = networks
        self.awaited = Deadlines(reactor, HEADER_SECONDS, HeaderProtocol.be_awaited_no_longer)

    def doStart(self) -> None:
        self.factory.doStart()

    def doStop(self) -> None:
        self.factory.doStop()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        peer = ip(addr)
        if peer and any(peer in network for network in self._networks):
            return HeaderProtocol(self, addr)
        return self.factory.buildProtocol(addr)


class HeaderProtocol(Protocol):
    """Reads a header, and then leaves the connection to the protocol that it is for."""

    transport: Any

    def __init__(self, opening: Opening, proxy: Any) -> None:
        """
        :param proxy: its address.
        """
        self._opening = opening
        self._proxy = proxy
        self._data = b""

    def connectionMade(self) -> None:
        self._opening.awaited.begin(self)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._opening.awaited.done(self)

    def dataReceived(self, data: bytes) -> None:
        self._data += data  # no longer than a header and what is read at once
        try:
            header = parse(self._data)
        except ValueError as error:
            self._refuse(str(error))
            return
        if header:
            self._opening.awaited.done(self)
            self._go_on(header)

    def be_awaited_no_longer(self) -> None:
        """End a connection that has not shown a header in time."""
        self._refuse(f"its PROXY header has not come within {HEADER_SECONDS:g} s")

    def _refuse(self, why: str) -> None:
        self._opening.log.warn(
            "closed a connection from {proxy}: {why}", proxy=self._proxy, why=why
        )
        self.transport.abortConnection()

    def _go_on(self, header: Header) -> None:
        address = self._proxy
        if header.host:
            address = BehindProxy(header.host, header.port, header.is_encrypted)
        protocol = self._opening.factory.buildProtocol(address)
        if protocol is None:
            self.transport.abortConnection()
            return
        self.transport.protocol = protocol
        protocol.makeConnection(self.transport)
        if rest := self._data[header.length :]:
            protocol.dataReceived(rest)
