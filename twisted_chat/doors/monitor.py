"""The door for monitors: metrics, whether the chat lives, and whether people may be sent to it."""

from collections.abc import Callable
from typing import Any

from prometheus_client import generate_latest
from twisted.application.service import Service
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request

from twisted_chat.doors.deadlines import Deadlines
from twisted_chat.doors.http import Bodiless, QuietChannel, QuietSite
from twisted_chat.doors.metrics import Observed, registry
from twisted_chat.histogram import Histogram

REQUEST_SECONDS = 15
"""In which a request and its answer have to be over."""
CONNECTIONS = 20
"""At a time."""
PULSE_SECONDS = 0.2
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WORDS_TYPE = "text/plain; charset=utf-8"


class Page(Resource):
    """A page that is made anew for each request."""

    def __init__(self, kind: str, make: Callable[[], tuple[int, bytes]]) -> None:
        """
        :param kind: the media type.
        :param make: gives the status, and what is shown.
        """
        super().__init__()
        self._kind, self._make = kind, make

    def render_GET(self, request: Request) -> bytes:
        status, content = self._make()
        request.setResponseCode(status)
        request.setHeader("Content-Type", self._kind)
        request.setHeader("Cache-Control", "no-store")
        return content


class Channel(QuietChannel):
    """One connection, for one request."""

    factory: "Monitor"

    def connectionMade(self) -> None:
        super().connectionMade()
        self.factory.open.begin(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.factory.open.done(self)

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """Tell that there will be no other request."""
        request.responseHeaders.setRawHeaders(b"connection", [b"close"])
        return False


class Monitor(QuietSite):
    """Serves ``/metrics``, ``/healthz`` and ``/readyz``."""

    protocol = Channel

    def __init__(self, chat: Observed, reactor: Any) -> None:
        self._chat = chat
        self._registry = registry(chat)
        root = Resource()
        root.putChild(b"metrics", Page(METRICS_TYPE, self._metrics))
        root.putChild(b"healthz", Page(WORDS_TYPE, lambda: (200, b"ok\n")))
        root.putChild(b"readyz", Page(WORDS_TYPE, self._readiness))
        super().__init__(root, requestFactory=Bodiless, reactor=reactor, timeout=REQUEST_SECONDS)
        self.open = Deadlines(reactor, REQUEST_SECONDS, Channel.abort)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return super().buildProtocol(addr) if len(self.open) < CONNECTIONS else None

    def _metrics(self) -> tuple[int, bytes]:
        return 200, generate_latest(self._registry)

    def _readiness(self) -> tuple[int, bytes]:
        if why := self._chat.trouble:
            return 503, f"not ready: {why}\n".encode()
        return 200, b"ready\n"


class Pulse(Service):
    """Measures how late the reactor is."""

    def __init__(self, reactor: Any, delay: Histogram) -> None:
        """
        :param delay: takes the seconds.
        """
        self._reactor = reactor
        self._delay = delay
        self._beat: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()
        self._wait()

    def stopService(self) -> None:
        super().stopService()
        if self._beat and self._beat.active():
            self._beat.cancel()

    def _wait(self) -> None:
        due = self._reactor.seconds() + PULSE_SECONDS
        self._beat = self._reactor.callLater(PULSE_SECONDS, self._take, due)

    def _take(self, due: float) -> None:
        self._delay.add(self._reactor.seconds() - due)
        self._wait()
