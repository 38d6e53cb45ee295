"""The chat as a Twisted service."""

from collections.abc import Iterable, Sequence
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_chat.assembly import assemble
from twisted_chat.chat.limits import Limits
from twisted_chat.doors.tcp import ChatFactory
from twisted_chat.interfaces import IBackplane, IStore

FAREWELL = "the server is going down. goodbye"


class Listener(Service):
    """Listens on one endpoint, and keeps the port."""

    def __init__(self, reactor: Any, description: str, factory: Factory) -> None:
        """
        :param description: a Twisted server endpoint string.
        """
        self._reactor = reactor
        self.description = description
        self._factory = factory
        self.port: IListeningPort | None = None

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
        failures: list[Failure] = []
        listening = serverFromString(self._reactor, self.description).listen(self._factory)
        listening.addCallbacks(self._keep, failures.append)
        if failures:
            failures[0].raiseException()

    def _keep(self, port: IListeningPort) -> None:
        self.port = port


class ChatService(MultiService):
    """A chat on some ports: ``ChatService(reactor, ["tcp:8888"]).setServiceParent(application)``.

    It opens no file, handles no signal and ends no process; what it knows is in memory, unless
    a store is given.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        ports: Iterable[str] = (),
        limits: Limits | None = None,
        store: IStore | None = None,
        backplane: IBackplane | None = None,
    ) -> None:
        """
        :param ports: Twisted server endpoint strings, such as ``tcp:8888``.
        :param store: what keeps history; memory, if left out.
        :param backplane: the order of events; that of a single node, if left out.
        """
        super().__init__()
        self._reactor = reactor
        self.rooms = assemble(reactor, limits, store, backplane)
        self.factory = ChatFactory(reactor, self.rooms)
        self.listeners: Sequence[Listener] = [
            Listener(reactor, description, self.factory) for description in ports
        ]
        for listener in self.listeners:
            listener.setServiceParent(self)

    def startService(self) -> None:
        super().startService()
        for listener in self.listeners:
            self.log.info("listening on {port}", port=listener.description)

    async def _stop(self) -> None:
        """Stop in order: let nobody in, tell everyone, let out what waits, for so long."""
        await gatherResults([maybeDeferred(one.stopService) for one in self])
        self.rooms.close(FAREWELL)
        gone = self.factory.all_gone()
        hurry = self._reactor.callLater(self.rooms.limits.drain, self.factory.abort)
        await gone
        if hurry.active():
            hurry.cancel()

    def stopService(self) -> "Deferred[None]":
        self.running = 0
        return Deferred.fromCoroutine(self._stop())
