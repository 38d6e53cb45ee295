"""Someone who comes to a chat of this process over a real socket."""

from collections import deque
from typing import TypeVar

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure


class Caller(Protocol):
    """Someone who connects for real; keeps what arrives."""

    def __init__(self) -> None:
        self.heard = b""
        self.over: Deferred[bytes] = Deferred()
        """Called with all that was heard."""
        self._awaited: deque[tuple[bytes, Deferred[None]]] = deque()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        while self._awaited and self._awaited[0][0] in self.heard:
            self._awaited.popleft()[1].callback(None)

    def connectionLost(self, reason: Failure) -> None:
        self.over.callback(self.heard)

    def until(self, data: bytes) -> "Deferred[None]":
        """Wait until something has been heard."""
        heard: Deferred[None] = Deferred()
        self._awaited.append((data, heard))
        self.dataReceived(b"")
        return heard

    def says(self, *lines: bytes) -> None:
        self.transport.write(b"".join(line + b"\r\n" for line in lines))


ACaller = TypeVar("ACaller", bound=Caller)


def connect(address: IPv4Address | UNIXAddress, kind: type[ACaller]) -> "Deferred[ACaller]":
    """Have someone of some kind connect to where a port listens."""
    if isinstance(address, UNIXAddress):
        endpoint = UNIXClientEndpoint(reactor, address.name)
    else:
        endpoint = TCP4ClientEndpoint(reactor, address.host, address.port)
    return endpoint.connect(Factory.forProtocol(kind))
