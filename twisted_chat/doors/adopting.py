"""A reactor that listens on a socket which is there already."""

from typing import Any

from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory


class Adopting:
    """Does all that a reactor does, but listens on one socket, whatever it is told.

    So every endpoint string works as it is with a socket that another process has left.
    """

    def __init__(self, reactor: Any, descriptor: int, family: int) -> None:
        """
        :param descriptor: of the socket.
        :param family: of its addresses.
        """
        self._reactor = reactor
        self._descriptor = descriptor
        self._family = family

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: Factory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        return self._adopt(factory)

    def listenUNIX(
        self, address: str, factory: Factory, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> IListeningPort:
        return self._adopt(factory)

    def listenSSL(
        self,
        port: int,
        factory: Factory,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> IListeningPort:
        from twisted.protocols.tls import TLSMemoryBIOFactory  # noqa: PLC0415  # it is an extra

        return self._adopt(TLSMemoryBIOFactory(contextFactory, False, factory))

    def _adopt(self, factory: Any) -> IListeningPort:
        return self._reactor.adoptStreamPort(  # type: ignore[no-any-return]
            self._descriptor, self._family, factory
        )
