"""HTTP as all pages here speak it: without bodies, and without a word in the log."""

from typing import Any
from weakref import WeakSet

from twisted.internet.interfaces import IAddress
from twisted.web.http import HTTPChannel
from twisted.web.server import Request, Site

from twisted_chat.doors.quiet import quiet_logger


class QuietChannel(HTTPChannel):
    """A connection; what a client does in it is nothing to log."""

    transport: Any
    _log = quiet_logger()

    def abort(self) -> None:
        """End it now, unless it has become another protocol's."""
        if self.transport:
            self.transport.abortConnection()


class QuietSite(Site):
    """A site that logs no request, and can be shut."""

    noisy = False
    displayTracebacks = False
    protocol: Any = QuietChannel

    def __init__(self, *how: Any, **more: Any) -> None:
        super().__init__(*how, **more)
        self._channels: WeakSet[QuietChannel] = WeakSet()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        channel: Any = super().buildProtocol(addr)
        self._channels.add(channel)
        return channel

    def log(self, request: Any) -> None:
        """Log no request."""

    def abort(self) -> None:
        """End all connections now."""
        for channel in list(self._channels):
            channel.abort()


class Bodiless(Request):
    """A request that has no body: nothing here takes one, and it could be endless."""

    _log = quiet_logger()

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)
        if length != 0:
            self.channel.forceAbortClient()
