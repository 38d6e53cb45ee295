"""Ports: how the chat listens, and how a port passes from one process to the next."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_chat.doors.adopting import Adopting
from twisted_chat.doors.certificates import Renewing, stamp
from twisted_chat.doors.proxy import Network, Proxied

NO_NUMBER = "invalid literal for int()"
"""What Python says of that."""


class Listener(Service):
    """Listens on one endpoint, and keeps the port."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        description: str,
        factory: Factory,
        proxies: Sequence[Network] = (),
        door: str = "port",
    ) -> None:
        """
        :param description: a Twisted server endpoint string.
        :param proxies: where proxies are, which tell who is behind them.
        :param door: the name of the option that asks for such ports.
        """
        self.door = door
        self._reactor = reactor
        self.description = description
        self._factory = factory
        self._proxies = proxies
        self._inherited: tuple[int, int] | None = None
        self._renewing: Renewing | None = None
        self._stamp: object = None
        """What the files of the certificate were when they were read last."""
        self.port: IListeningPort | None = None

    def inherit(self, descriptor: int, family: int) -> None:
        """Listen on a socket that another process has left, instead of one of our own.

        :param family: of addresses, as `socket` has it.
        """
        self._inherited = descriptor, family

    def freeze(self) -> None:
        """Let nobody in; who comes waits."""
        if self.port:
            self.port.stopReading()  # type: ignore[attr-defined]

    def thaw(self) -> None:
        """Let people in again."""
        if self.port:
            self.port.startReading()  # type: ignore[attr-defined]

    def privilegedStartService(self) -> None:
        self._listen()

    def startService(self) -> None:
        super().startService()
        if self.port is None:  # nobody was privileged
            self._listen()

    def stopService(self) -> "Deferred[object]":
        super().stopService()
        port, self.port = self.port, None
        return maybeDeferred(port.stopListening) if port else succeed(None)

    def _listen(self) -> None:
        """Begin to listen.

        :raises ValueError: the description makes no sense.
        :raises CannotListenError: the port is taken, or not ours to take.
        """
        try:
            self._listen_or_fail()
        except CannotListenError:
            raise
        except Exception as error:  # each kind of endpoint fails in its own way
            raise ValueError(f"{self.description}: {reason(error)}") from error

    def _listen_or_fail(self) -> None:
        failures: list[Failure] = []
        self._stamp = stamp(self.description)
        if self._inherited and self.description.startswith("systemd:"):
            reactor = self._behind_proxies(self._reactor)
            self._keep(reactor.adoptStreamPort(*self._inherited, self._factory))
        else:
            listening = serverFromString(self._listener(), self.description).listen(self._factory)
            listening.addCallbacks(self._keep, failures.append)
        if failures:
            failures[0].raiseException()

    def prepare_certificate(self) -> Callable[[], None] | None:
        """Read the certificate of the port anew; give what has it served, if it is another.

        :raises ValueError: it cannot be used.
        """
        now = stamp(self.description)
        try:
            renew = self._renewing.prepare() if self._renewing else None
        except Exception as error:  # each kind of trouble is another
            raise ValueError(f"{self.description}: {reason(error)}") from error
        return partial(self._renew, renew, now) if renew else None

    def _renew(self, renew: Callable[[], None], now: object) -> None:
        renew()
        self._stamp = now

    def watch_certificate(self) -> None:
        """Have the certificate of the port served anew if its files are others by now."""
        now = stamp(self.description)
        if now == self._stamp:
            return
        self._stamp = now
        try:
            if renew := self.prepare_certificate():
                renew()
                self.log.info("renewed the certificate of {port}", port=self.description)
        except ValueError as error:
            self.log.error("goes on with the old certificate: {error}", error=error)

    def _listener(self) -> Any:
        """Give what listens: the reactor, or one that does so on the socket which was left."""
        reactor = Adopting(self._reactor, *self._inherited) if self._inherited else self._reactor
        self._renewing = Renewing(self._behind_proxies(reactor), self.description)
        return self._renewing

    def _behind_proxies(self, reactor: Any) -> Any:
        return Proxied(reactor, self._proxies) if self._proxies else reactor

    def _keep(self, port: IListeningPort) -> None:
        self.port = port


def reason(error: Exception) -> str:
    """Tell what is wrong with an endpoint; each kind of endpoint fails in its own way."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename2 or error.filename}"
    text = (str(error) or type(error).__name__).rstrip(".")
    if text.startswith(NO_NUMBER):
        return f"{text.removeprefix(NO_NUMBER).partition(': ')[2]} is no number"
    return text
