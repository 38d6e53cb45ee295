"""Certificates that are renewed while the chat runs: of ``ssl:`` and ``tls:`` ports."""

import os
import re
from collections.abc import Callable
from typing import Any

from twisted.internet import interfaces
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory
from zope.interface import classImplements


class _Context:
    """A context factory, as ``listenSSL`` takes it, that can be exchanged for another."""

    def __init__(self, current: Any) -> None:
        self.current = current

    def getContext(self) -> Any:
        """Give the context of the certificate as it is now; asked for each connection."""
        return self.current.getContext()


if found := getattr(interfaces, "IOpenSSLContextFactory", None):  # newer than what we need
    classImplements(_Context, found)  # type: ignore[misc]


class _Factory(Factory):
    """A factory of connections that are encrypted, which can be exchanged for another."""

    noisy = False

    def __init__(self, current: Any) -> None:
        self.current = current

    def doStart(self) -> None:
        self.current.doStart()

    def doStop(self) -> None:
        self.current.doStop()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self.current.buildProtocol(addr)


class Renewing:
    """Does all that a reactor does, and keeps hold of what has the certificate of a port."""

    def __init__(self, reactor: Any, description: str) -> None:
        """
        :param description: the server endpoint string of the port.
        """
        self._reactor = reactor
        self._description = description
        self._factory: Factory
        self._held: _Context | _Factory | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenSSL(
        self, port: int, factory: Factory, contextFactory: Any, **how: Any
    ) -> IListeningPort:
        self._factory, self._held = factory, _Context(contextFactory)
        return self._reactor.listenSSL(port, factory, self._held, **how)  # type: ignore[no-any-return]

    def listenTCP(self, port: int, factory: Any, **how: Any) -> IListeningPort:
        if self._description.startswith("tls:"):
            self._factory, self._held = factory.wrappedFactory, _Factory(factory)
            factory = self._held
        return self._reactor.listenTCP(port, factory, **how)  # type: ignore[no-any-return]

    def prepare(self) -> Callable[[], None] | None:
        """Read the certificate as it is now; give what has it served, if it may be another.

        :raises Exception: it cannot be used; each kind of trouble is another.
        """
        held = self._held
        if held is None:
            return None
        reader = _Reader()
        serverFromString(reader, self._description).listen(self._factory)
        new = reader.found
        if isinstance(held, _Context):
            new.getContext()
            if _dump(new) == _dump(held.current):
                return None
        return lambda: setattr(held, "current", new)


class _Reader:
    """A reactor that does not listen, and keeps what it was to listen with."""

    found: Any = None

    def listenSSL(self, port: int, factory: Factory, contextFactory: Any, **how: Any) -> None:
        self.found = contextFactory

    def listenTCP(self, port: int, factory: Factory, **how: Any) -> None:
        self.found = factory


def stamp(description: str) -> list[tuple[str, int, int]]:
    """Give what is another once a file that an endpoint string names has been written anew.

    :param description: a server endpoint string; whatever of it names a file or a folder counts.
    """
    # Texts: this is done again and again, and Python interns what a Path is made of.
    fields = re.split(r"(?<!\\):", description)[1:]
    named = [re.sub(r"\\(.)", r"\1", field).rpartition("=")[2] for field in fields]
    return [
        (file, found.st_mtime_ns, found.st_ino)
        for one in named
        for file in _files(one)
        if os.path.isfile(file) and (found := os.stat(file))
    ]


def _files(name: str) -> list[str]:
    """Give what is in a folder; what is none, as it is."""
    if not os.path.isdir(name):
        return [name]
    return [os.path.join(name, one) for one in sorted(os.listdir(name))]


def _dump(options: Any) -> list[bytes]:
    from OpenSSL import crypto  # noqa: PLC0415  # it is an extra

    certificates = [options.certificate, *(options.extraCertChain or ())]
    return [crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in certificates]
