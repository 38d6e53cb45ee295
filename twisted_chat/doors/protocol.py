"""One connection of people at telnet and its like: lines of text over a stream."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IHandshakeListener,
    ISSLTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_chat.chat.answers import Notice, Refusal, Shown
from twisted_chat.chat.events import Ending, Origin, Reason
from twisted_chat.chat.limits import Limits
from twisted_chat.chat.session import Session
from twisted_chat.doors.address import host, is_afar
from twisted_chat.doors.keepalive import find_dead_peers
from twisted_chat.doors.lines import HeldLines
from twisted_chat.doors.outcome import OUTCOMES, Outcome
from twisted_chat.interfaces import IClient, IFormat
from twisted_chat.wire import http
from twisted_chat.wire.outbox import Outbox, SocketOutbox, outbox
from twisted_chat.wire.telnet import CONCEAL, REVEAL, Found, Reply, Signal
from twisted_chat.wire.text import PLAIN

if TYPE_CHECKING:
    from twisted_chat.doors.tcp import ChatFactory

Unsent = tuple[Sequence[bytes | memoryview], bool]
"""What waits to be sent, as `Outbox.unsent` gives it."""


@implementer(IClient, IHalfCloseableProtocol, IHandshakeListener)
class ChatProtocol(HeldLines):
    """One connection."""

    factory: "ChatFactory"
    door = "telnet"
    """What the door is called in records."""
    id = ""
    """What the connection is called in the log, from its beginning to its end."""
    echo = False
    is_bot = False
    is_carried = False
    """Whether it comes over a connection that is counted by itself."""
    format: IFormat = PLAIN
    outcome: Outcome | None = None
    """How the connection ends, once it does; None for one that breaks."""

    def __init__(self, factory: "ChatFactory", address: IAddress | None) -> None:
        """
        :param address: of the peer.
        """
        super().__init__(factory.clock, self.longest(factory.rooms.limits), factory.traffic)
        self.factory = factory
        self.address = address
        self._session: Session | None = None
        self._left: tuple[Mapping[str, Any], Unsent] | None = None
        self._is_early = False
        """Whether they have come while everything stands still, and nobody knows them yet."""

    # What differs from door to door

    @staticmethod
    def longest(limits: Limits) -> int:
        """Give how many bytes a line may hold."""
        return limits.max_line

    def _obey(self, session: Session, line: bytes) -> float:
        """Obey a line; give what `Session.receive` does."""
        if self._clean:
            return session.receive(line.decode("ascii"), True)
        return session.receive(line.decode("utf-8", "replace"))

    # The connection

    @property
    def story(self) -> dict[str, Any]:
        """What everything that is logged about the connection has."""
        return {"connection": self.id, "door": self.door, "peer": self.address}

    def connectionMade(self) -> None:
        factory = self.factory
        self.id = self.id or factory.rooms.new_id()
        factory.entered(self)
        find_dead_peers(self.transport)
        self._outbox: Outbox = outbox(
            self.transport, factory.rooms.limits.sendq, factory.waiting, self._overflowed
        )
        if self._left:
            self._go_on(*self._left)
        elif self.has_to_shake_hands:
            factory.handshaking.begin(self)
        else:
            self._begin()

    @property
    def has_to_shake_hands(self) -> bool:
        """Whether nobody is there before `handshakeCompleted`."""
        return ISSLTransport.providedBy(self.transport)

    def handshakeCompleted(self) -> None:
        """Begin: only now is there somebody who can read."""
        self.factory.handshaking.done(self)
        self._begin()

    def _begin(self) -> None:
        self._is_early = self._is_frozen
        if self._is_early:
            return
        self._session = self._connect(Origin(host(self.address), self.is_bot))

    def _connect(self, origin: Origin) -> Session:
        return self.factory.rooms.connect(self, self._proceed, origin)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._forget_lines()
        self._outbox.lost()
        self._end()
        self.factory.left(self, reason.getErrorMessage() if reason else "")

    def readConnectionLost(self) -> None:
        """The peer says no more; it may still want the answers to what it said."""
        self._end()
        self._ends_as(Outcome.LOST)
        self.close("the peer closed its half")

    def writeConnectionLost(self) -> None:
        """Nothing: we never close one half."""

    # What comes in

    @property
    def is_listening(self) -> bool:
        return self._session is not None and not self._session.ended

    def linesFound(self) -> None:
        self.factory.idle.begin(self)

    def pauseWanted(self) -> float:
        return self._session.pause() if self._session else 0.0

    def lineReceived(self, line: bytes) -> None:
        session = self._session
        if session is None:
            return
        if not self._spoke:
            self._spoke = True
            self.factory.silent.done(self)
            if http.is_request(line):
                self._refuse_web()
                return
        if wait := self._obey(session, line):
            self._hold(wait)

    def signalReceived(self, signal: Found) -> None:
        if isinstance(signal, Reply):
            self._outbox.send(signal.data)
        elif self._session is None or self._session.ended:
            pass
        elif signal is Signal.INTERRUPT:
            self._hold(self._session.answer(Notice("/quit leaves")))
        elif not self._spoke and http.begins_request(self._opening):
            self._refuse_web()
        else:
            limit = self.longest(self.factory.rooms.limits)
            words = f"a line holds at most {limit} bytes"
            self._hold(self._session.refuse(words, Reason.TOO_LONG))

    def _refuse_web(self) -> None:
        """Close on what looks like HTTP: a web page must not be able to talk here."""
        self._bid_farewell("this is a chat, not a web server. telnet reaches it", Outcome.HTTP)

    # Moving to another process

    @property
    def is_moved(self) -> bool:
        """Whether the connection was another process's before."""
        return self._left is not None

    @property
    def is_movable(self) -> bool:
        """Whether another process can go on with the connection: it is a bare socket."""
        return isinstance(self._outbox, SocketOutbox) and not self._is_early

    @property
    def is_busy(self) -> bool:
        """Whether a command is under way."""
        return self._session is not None and not self._session.ended and self._session.busy

    def thaw(self) -> None:
        super().thaw()
        if self._is_early:
            self._begin()

    def to_record(self) -> dict[str, Any]:
        """Give all of this but what waits to be sent, as plain JSON data."""
        session = self._session
        return {
            "id": self.id,
            "session": session.to_record() if session and not session.ended else None,
            **self._lines_record(),
        }

    def unsent(self) -> tuple[list[bytes | memoryview], bool]:
        """Give what waits to be sent, as an outbox does."""
        return self._outbox.unsent()

    def inherit(self, record: Mapping[str, Any], unsent: Unsent) -> None:
        """Go on, once connected, with what one in another process has left: greet nobody again.

        :param record: what `to_record` gave.
        :param unsent: what `unsent` gave.
        """
        self._left = record, unsent
        self.id = record["id"]
        self._lines_from(record, self.longest(self.factory.rooms.limits))

    def _go_on(self, record: Mapping[str, Any], unsent: Unsent) -> None:
        if self._spoke:
            self.factory.silent.done(self)
        pieces, is_begun = unsent
        if pieces:
            self._outbox.refill(map(bytes, pieces), is_begun)
        if record["session"] is None:  # it was about to close
            self.close("moved while it was closing")
            return
        self._session = Session.from_record(
            record["session"], self, self.factory.rooms, self._proceed
        )
        self.pauseProducing()
        self._proceed()

    def abandon(self) -> None:
        """Do nothing more: another process has gone on with the connection."""
        self._session = None
        self._outbox.lost()
        self.factory.closing.done(self)
        # It may have been about to close, which would shut down the socket of the other as well.
        self.transport.stopReading()
        self.transport.stopWriting()

    @property
    def has_place(self) -> bool:
        """Whether the person finds everything as it was when they come back in time."""
        session = self._session
        if not self.factory.rooms.limits.grace or session is None or session.ended:
            return False
        return bool(session.who.account or session.person.origin.key)

    def see_off(self, farewell: str) -> None:
        """Close a connection with which no other process can go on."""
        self._session = None
        self._show(Notice(farewell))
        self.close(farewell)

    # What goes out

    def send(self, data: bytes) -> None:
        self._outbox.send(data)

    def _show(self, shown: Shown) -> None:
        self.send(self.format.render(shown))

    @property
    def exposed(self) -> bool:
        is_encrypted = ISSLTransport.providedBy(self.transport) or getattr(
            self.address, "is_encrypted", False
        )
        return not is_encrypted and is_afar(self.address)

    def conceal(self, hidden: bool) -> None:
        if hidden:
            self._scanner.concealed()
        self._outbox.send(CONCEAL if hidden else REVEAL)

    def sendLine(self, line: bytes) -> None:
        self._outbox.send(line + self.delimiter)

    def close(self, reason: str, ending: Ending = Ending.OVER) -> None:
        self.factory.log.debug(
            "closing {peer} as {connection}: {reason}", reason=reason, **self.story
        )
        self._ends_as(OUTCOMES[ending])
        self._begin_to_close()
        self._outbox.close()

    def be_silent_no_longer(self) -> None:
        """End a connection that has not said a line in time."""
        self._bid_farewell("you have not said anything. goodbye", Outcome.SILENT)

    def be_idle_no_longer(self) -> None:
        """End a connection that has been silent for too long."""
        self._bid_farewell("you have been silent for too long. goodbye", Outcome.IDLE)

    def obey(self, limits: Limits) -> None:
        """Keep to other limits from now on."""
        self._scanner.allow(self.longest(limits))
        self._outbox.allow(limits.sendq)

    def abort(self) -> None:
        """End the connection now, whatever still waits."""
        self.transport.abortConnection()

    def be_awaited_no_longer(self) -> None:
        """End a connection that has not shaken hands in time."""
        self._ends_as(Outcome.SILENT)
        self.abort()

    def _bid_farewell(self, why: str, outcome: Outcome) -> None:
        if self._session and not self._session.ended:
            self._ends_as(outcome)
            self._session.show(Refusal(why))
            self._session.end()
            self.close(why, Ending.QUIT)

    def _overflowed(self) -> bytes:
        """Leave the chat, as a reader who is too slow; give the last words."""
        limit = self.factory.rooms.limits.sendq
        self.factory.log.info(
            "cut a reader that was too slow: {peer} as {connection}", **self.story
        )
        self._ends_as(Outcome.SLOW)
        self._begin_to_close()
        self._end()
        why = f"you read too slowly: more than {limit} bytes were waiting. goodbye"
        return self.format.render(Refusal(why))

    def _ends_as(self, outcome: Outcome) -> None:
        """Take note of how the connection ends; what was first is why."""
        self.outcome = self.outcome or outcome

    def _begin_to_close(self) -> None:
        """Heed nothing more; what the peer still sends is read, or TLS could not close."""
        self._found.clear()
        self.factory.closing.begin(self)
        if self.paused:
            self.resumeProducing()

    def _end(self) -> None:
        """The session is over, whatever becomes of the connection."""
        if self._session:
            self._session.lose()
