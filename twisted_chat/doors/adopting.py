"""A reactor that listens on a socket which is there already."""

import os
from contextlib import suppress
from socket import SOCK_STREAM, fromfd
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
        return self._adopt(factory, backlog)

    def listenUNIX(
        self, address: str, factory: Factory, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> IListeningPort:
        port: Any = self._adopt(factory, backlog)
        os.chmod(address, mode)  # adopting has let everyone in
        if wantPID:
            port.lockFile = _Lock(f"{address}.lock")
        return port  # type: ignore[no-any-return]

    def listenSSL(
        self,
        port: int,
        factory: Factory,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> IListeningPort:
        from twisted.protocols.tls import TLSMemoryBIOFactory  # noqa: PLC0415  # it is an extra

        return self._adopt(TLSMemoryBIOFactory(contextFactory, False, factory), backlog)

    def _adopt(self, factory: Any, backlog: int) -> IListeningPort:
        port = self._reactor.adoptStreamPort(self._descriptor, self._family, factory)
        with fromfd(self._descriptor, self._family, SOCK_STREAM) as same:
            same.listen(backlog)  # adopting has set it to what is usual
        return port  # type: ignore[no-any-return]


class _Lock:
    """The lock of a socket's file, which another process has left with its own number in it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def unlock(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._name)
