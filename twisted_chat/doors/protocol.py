"""One connection of people at telnet and its like: lines of text over a stream."""

from math import inf
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    ISSLTransport,
)
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_chat.chat.events import Notice, Refusal
from twisted_chat.chat.limits import Limits
from twisted_chat.chat.session import Session
from twisted_chat.doors.address import host, is_afar
from twisted_chat.doors.keepalive import find_dead_peers
from twisted_chat.interfaces import IClient, IFormat
from twisted_chat.wire import http
from twisted_chat.wire.outbox import Outbox, SocketOutbox, outbox
from twisted_chat.wire.telnet import CONCEAL, REVEAL, Found, Reply, Scanner, Signal, found_record
from twisted_chat.wire.text import PLAIN

if TYPE_CHECKING:
    from twisted_chat.doors.tcp import ChatFactory

LINES_A_TURN = 512
"""How many lines of one connection are obeyed before the others get a turn."""
AT_ONCE = 1e-9
"""Seconds until the next turn: no time, but not none."""


@implementer(IClient, IHalfCloseableProtocol)
class ChatProtocol(LineReceiver):
    """One connection.

    A `LineReceiver` in contract: ``lineReceived``, ``sendLine``, and ``pauseProducing``, which
    keeps lines and their order.  Only the cutting into lines is another's: the `Scanner` knows
    telnet, and cuts a segment of short lines a hundred times as fast.
    """

    factory: "ChatFactory"
    transport: Any
    echo = False
    delimiter = b"\r\n"

    def __init__(self, factory: "ChatFactory", address: IAddress | None) -> None:
        """
        :param address: of the peer.
        """
        self.factory = factory
        self.address = address
        self.format: IFormat = PLAIN
        self._session: Session | None = None
        self._scanner = Scanner(factory.rooms.limits.max_line)
        self._found: list[Found] = []  # in reverse: the next is the last
        self._clean = False
        self._opening = b""
        self._spoke = False
        self._pause: IDelayedCall | None = None
        self._is_frozen = False

    # The connection

    def connectionMade(self) -> None:
        self._begin()
        self._session = self.factory.rooms.connect(self, self._proceed, host(self.address))

    def _begin(self) -> None:
        factory = self.factory
        factory.entered(self)
        find_dead_peers(self.transport)
        self._outbox: Outbox = outbox(
            self.transport, factory.rooms.limits.sendq, factory.waiting, self._overflowed
        )

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._found.clear()
        self._outbox.lost()
        if self._pause is not None and self._pause.active():
            self._pause.cancel()
        self._end()
        self.factory.left(self, reason.getErrorMessage() if reason else "")

    def readConnectionLost(self) -> None:
        """The peer says no more; it may still want the answers to what it said."""
        self._end()
        self.close("the peer closed its half")

    def writeConnectionLost(self) -> None:
        """Nothing: we never close one half."""

    # What comes in

    def dataReceived(self, data: bytes) -> None:
        if self._session is None or self._session.ended:
            return
        if not self._spoke:
            self._opening += data[: http.OPENING - len(self._opening)]
        if data or not self._found:
            self._take(self._scanner.feed(data))
        self._serve()

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
        if self._clean:
            wait = session.receive(line.decode("ascii"), True)
        else:
            wait = session.receive(line.decode("utf-8", "replace"))
        if wait:
            self._hold(wait)

    def _take(self, found: list[Found]) -> None:
        if not found:
            return
        self.factory.idle.begin(self)
        found.reverse()
        self._clean = self._scanner.clean and (self._clean or not self._found)
        self._found = found + self._found

    def _serve(self) -> None:
        """Obey what was found, until the rest has to wait."""
        found = self._found
        served = 0
        while found and not self.paused:
            one = found.pop()
            if one.__class__ is bytes:
                self.lineReceived(one)
            else:
                self._heed(one)
            served += 1
            if served == LINES_A_TURN:
                break
        if (found or self._scanner.behind) and not self.paused:
            self._hold(AT_ONCE)

    def _heed(self, signal: Found) -> None:
        """Deal with what a scanner finds besides lines."""
        if isinstance(signal, Reply):
            self._outbox.send(signal.data)
        elif self._session is None or self._session.ended:
            pass
        elif signal is Signal.INTERRUPT:
            self._hold(self._session.answer(Notice("/quit leaves")))
        elif not self._spoke and http.begins_request(self._opening):
            self._refuse_web()
        else:
            limit = self.factory.rooms.limits.max_line
            self._hold(self._session.answer(Refusal(f"a line holds at most {limit} bytes")))

    def _refuse_web(self) -> None:
        """Close on what looks like HTTP: a web page must not be able to talk here."""
        self._bid_farewell("this is a chat, not a web server. telnet reaches it")

    # Holding back

    def _hold(self, seconds: float) -> None:
        """Take no line for a while, or until the session wakes us."""
        if not seconds or self._session is None or self._session.ended:
            return
        if not self.paused:
            self.pauseProducing()
        if seconds != inf:
            self._pause = self.factory.clock.callLater(seconds, self._proceed)

    def _proceed(self) -> None:
        """Take lines again, if nothing stands against it."""
        if not self.paused or self._is_frozen or self._session is None or self._session.ended:
            return
        if self._pause is not None and self._pause.active():
            return
        if wait := self._session.pause():
            self._hold(wait)
        else:
            self.resumeProducing()

    # Moving to another process

    @property
    def is_movable(self) -> bool:
        """Whether another process can go on with the connection: it is a bare socket."""
        return isinstance(self._outbox, SocketOutbox)

    @property
    def is_busy(self) -> bool:
        """Whether a command is under way."""
        return self._session is not None and not self._session.ended and self._session.busy

    def freeze(self) -> None:
        """Take nothing in until `thaw`."""
        self._is_frozen = True
        self.pauseProducing()

    def thaw(self) -> None:
        """Go on as if nothing had been."""
        self._is_frozen = False
        if self._session is None or self._session.ended:
            self.resumeProducing()
        else:
            self._proceed()

    def to_record(self) -> dict[str, Any]:
        """Give all of this but what waits to be sent, as plain JSON data."""
        session = self._session
        return {
            "session": session.to_record() if session and not session.ended else None,
            "scanner": self._scanner.to_record(),
            "found": [found_record(one) for one in self._found],
            "clean": self._clean,
            "opening": self._opening.decode("latin-1"),
            "spoke": self._spoke,
        }

    def unsent(self) -> tuple[list[bytes | memoryview], bool]:
        """Give what waits to be sent, as an outbox does."""
        return self._outbox.unsent()

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
        grace = self.factory.rooms.limits.grace
        return bool(grace and session and not session.ended and session.who.account)

    def see_off(self, farewell: str) -> None:
        """Close a connection with which no other process can go on."""
        self._session = None
        self.sendLine(f"> {farewell}".encode())
        self.close(farewell)

    # What goes out

    def send(self, data: bytes) -> None:
        self._outbox.send(data)

    @property
    def exposed(self) -> bool:
        return not ISSLTransport.providedBy(self.transport) and is_afar(self.address)

    def conceal(self, hidden: bool) -> None:
        if hidden:
            self._scanner.concealed()
        self._outbox.send(CONCEAL if hidden else REVEAL)

    def sendLine(self, line: bytes) -> None:
        self._outbox.send(line + self.delimiter)

    def close(self, reason: str) -> None:
        self.factory.log.debug("closing {peer}: {reason}", peer=self.address, reason=reason)
        self._begin_to_close()
        self._outbox.close()

    def be_silent_no_longer(self) -> None:
        """End a connection that has not said a line in time."""
        self._bid_farewell("you have not said anything. goodbye")

    def be_idle_no_longer(self) -> None:
        """End a connection that has been silent for too long."""
        self._bid_farewell("you have been silent for too long. goodbye")

    def obey(self, limits: Limits) -> None:
        """Keep to other limits from now on."""
        self._scanner.allow(limits.max_line)
        self._outbox.allow(limits.sendq)

    def abort(self) -> None:
        """End the connection now, whatever still waits."""
        self.transport.abortConnection()

    def _bid_farewell(self, why: str) -> None:
        if self._session and not self._session.ended:
            self._session.show(Refusal(why))
            self._session.end()
            self.close(why)

    def _overflowed(self) -> bytes:
        """Leave the chat, as a reader who is too slow; give the last words."""
        limit = self.factory.rooms.limits.sendq
        self.factory.log.info("cut a reader that was too slow: {peer}", peer=self.address)
        self._begin_to_close()
        self._end()
        return b"err: you read too slowly: more than %d bytes were waiting. goodbye\r\n" % limit

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
