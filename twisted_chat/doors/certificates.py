"""Certificates that are renewed while the chat runs: for ``ssl:`` ports."""

from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory


class Renewable:
    """A context factory, as ``listenSSL`` takes it, that can be exchanged for another."""

    def __init__(self, factory: Any) -> None:
        self.factory = factory

    def getContext(self) -> Any:
        """Give the context of the certificate as it is now; asked for each connection."""
        return self.factory.getContext()


class Renewing:
    """Does all that a reactor does, and keeps hold of the certificate of an ``ssl:`` port."""

    def __init__(self, reactor: Any, description: str) -> None:
        """
        :param description: the server endpoint string of the port.
        """
        self._reactor = reactor
        self._description = description
        self._certificate: Renewable | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenSSL(
        self, port: int, factory: Factory, contextFactory: Any, **how: Any
    ) -> IListeningPort:
        self._certificate = Renewable(contextFactory)
        return self._reactor.listenSSL(port, factory, self._certificate, **how)  # type: ignore[no-any-return]

    def prepare(self) -> Callable[[], None] | None:
        """Read the certificate as it is now; give what has it served, if it is another.

        :raises Exception: it cannot be used; each kind of trouble is another.
        """
        certificate = self._certificate
        if certificate is None:
            return None
        new = _read(self._description)
        new.getContext()
        if _same(new, certificate.factory):
            return None
        return lambda: setattr(certificate, "factory", new)


class _Reader:
    """A reactor that does not listen, and keeps what it was to listen with."""

    found: Any = None

    def listenSSL(self, port: int, factory: Factory, contextFactory: Any, **how: Any) -> None:
        self.found = contextFactory


def _read(description: str) -> Any:
    """Give the context factory that an endpoint string makes by now."""
    reader = _Reader()
    serverFromString(reader, description).listen(Factory())
    return reader.found


def _same(one: Any, other: Any) -> bool:
    from OpenSSL import crypto  # noqa: PLC0415  # it is an extra

    return _dump(crypto, one) == _dump(crypto, other)


def _dump(crypto: Any, options: Any) -> list[bytes]:
    certificates = [options.certificate, *(options.extraCertChain or ())]
    return [crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in certificates]
