"""Those who come in: counted, watched, and let go together, through whichever door they came."""

from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_chat.assembly import assemble
from twisted_chat.chat.answers import Refusal
from twisted_chat.chat.limits import (
    CLOSING_SECONDS,
    FIRST_LINE_SECONDS,
    HANDSHAKE_SECONDS,
    WAITING_OUTPUT,
    Limits,
)
from twisted_chat.chat.rooms import Rooms
from twisted_chat.doors.address import Admission
from twisted_chat.doors.deadlines import Deadlines
from twisted_chat.doors.lines import Traffic
from twisted_chat.doors.outcome import Outcome
from twisted_chat.doors.protocol import ChatProtocol
from twisted_chat.wire.outbox import Waiting


class Refused(Protocol):
    """Someone who may not come in: told why, and let go."""

    transport: Any

    def __init__(self, factory: "ChatFactory", words: bytes) -> None:
        self.factory = factory
        self._words = words

    def connectionMade(self) -> None:
        self.factory.refused.begin(self)
        self.transport.write(self._words)
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.factory.refused.done(self)

    def abort(self) -> None:
        """End the connection now: they do not take even that line."""
        self.transport.abortConnection()


class ChatFactory(Factory):
    """Builds the protocols, and holds the registry of rooms that they share.

    By itself it is a whole chat that keeps nothing: ``endpoint.listen(ChatFactory(reactor))``.
    """

    noisy = False
    log = Logger()

    def __init__(self, reactor: Any, rooms: Rooms | None = None) -> None:
        """
        :param reactor: gives the time, and calls later.
        :param rooms: shared with other doors; if left out, a chat of its own.
        """
        self.clock = reactor
        self.rooms = rooms or assemble(reactor)
        self.waiting = Waiting(WAITING_OUTPUT)
        self.traffic = Traffic()
        self.protocols: set[ChatProtocol] = set()
        self.opened: Counter[str] = Counter()
        """How many connections have come, by door."""
        self.ended: Counter[tuple[str, Outcome]] = Counter()
        """How many are over, by door and by how they ended."""
        self.admission = Admission(lambda: self.rooms.limits, reactor.seconds)
        self.silent = Deadlines(reactor, FIRST_LINE_SECONDS, ChatProtocol.be_silent_no_longer)
        self.idle = Deadlines(
            reactor, self.rooms.limits.idle_timeout, ChatProtocol.be_idle_no_longer
        )
        self.handshaking = Deadlines(reactor, HANDSHAKE_SECONDS, ChatProtocol.be_awaited_no_longer)
        self.closing = Deadlines(reactor, CLOSING_SECONDS, ChatProtocol.abort)
        self.refused = Deadlines(reactor, CLOSING_SECONDS, Refused.abort)
        self._gone: Deferred[None] | None = None
        self._is_frozen = False

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return self.build(ChatProtocol, addr)

    def build(self, kind: type[ChatProtocol], addr: IAddress | None) -> Protocol:
        """Build the protocol of a door, unless whoever comes may not come in."""
        if why := self.admission.refusal(addr):
            self.log.debug("refused {peer} at {door}: {why}", peer=addr, door=kind.door, why=why)
            return Refused(self, kind.format.render(Refusal(why)))
        return kind(self, addr)

    def entered(self, protocol: ChatProtocol) -> None:
        """Count a connection in."""
        self.protocols.add(protocol)
        if not protocol.is_moved:
            self.opened[protocol.door] += 1
        if not protocol.is_carried:
            self.admission.enter(protocol.address)
        self.silent.begin(protocol)
        self.idle.begin(protocol)
        began = "goes on" if protocol.is_moved else "connected"
        self.log.debug(began + ": {peer} as {connection} at {door}", **protocol.story)
        if self._is_frozen:  # it was let in before, and is only now known to be somebody's
            protocol.freeze()

    def left(self, protocol: ChatProtocol, reason: str) -> None:
        """Count a connection out."""
        self.protocols.discard(protocol)
        self.ended[protocol.door, protocol.outcome or Outcome.LOST] += 1
        if not protocol.is_carried:
            self.admission.leave(protocol.address)
        for deadlines in (self.silent, self.idle, self.handshaking, self.closing):
            deadlines.done(protocol)
        words = "disconnected: {peer} as {connection}: {reason}"
        self.log.debug(words, reason=reason, **protocol.story)
        if self._gone and not self.protocols:
            gone, self._gone = self._gone, None
            gone.callback(None)

    def obey(self, limits: Limits) -> None:
        """Keep to other limits from now on, with those who are here as well."""
        self.rooms.obey(limits)
        self.idle.change(limits.idle_timeout, self.protocols)
        for protocol in self.protocols:
            protocol.obey(limits)

    def freeze(self) -> None:
        """Take nothing in, from anybody, until `thaw`."""
        self._is_frozen = True
        for protocol in self.protocols:
            protocol.freeze()

    def thaw(self) -> None:
        """Go on as if nothing had been."""
        self._is_frozen = False
        for protocol in list(self.protocols):
            protocol.thaw()

    def is_busy(self) -> bool:
        """Tell whether a command is under way."""
        return any(protocol.is_busy for protocol in self.protocols)

    def movable(self) -> list[ChatProtocol]:
        """Give those with whose connections another process can go on."""
        return [protocol for protocol in self.protocols if protocol.is_movable]

    def see_off(self, farewell: str, to_return: str) -> None:
        """Let go of all connections: those that were moved, and those that cannot be.

        :param farewell: what those hear who have to begin anew.
        :param to_return: what those hear whose place is kept.
        """
        for protocol in list(self.protocols):
            try:
                self._see_off(protocol, to_return if protocol.has_place else farewell)
            except Exception:  # the others have to be let go all the same
                self.log.failure("cannot see off {peer} as {connection}", **protocol.story)
                protocol.abort()

    def _see_off(self, protocol: ChatProtocol, farewell: str) -> None:
        if protocol.is_movable:
            protocol.abandon()
            self.protocols.discard(protocol)
        else:
            protocol.see_off(farewell)

    def all_gone(self) -> "Deferred[None]":
        """Tell when the last connection is over."""
        if not self.protocols:
            return succeed(None)
        if self._gone is None:
            self._gone = Deferred()
        return self._gone

    def abort(self) -> None:
        """End all connections now, whatever still waits."""
        for protocol in list(self.protocols):
            protocol.abort()


class Door(Factory):
    """Builds the protocols of another door to the same chat."""

    noisy = False

    def __init__(self, chat: ChatFactory, kind: type[ChatProtocol]) -> None:
        self._chat = chat
        self._kind = kind

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return self._chat.build(self._kind, addr)
