"""The door for SSH: a chat in each of the channels of a connection (RFC 4254)."""

import struct
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import getNS
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from twisted_chat.chat.account import Account
from twisted_chat.chat.events import Ending, Origin
from twisted_chat.chat.introduction import Introduction
from twisted_chat.chat.names import fold
from twisted_chat.chat.session import Session
from twisted_chat.doors.protocol import ChatProtocol
from twisted_chat.doors.tcp import ChatFactory
from twisted_chat.wire.telnet import Found, Signal
from twisted_chat.wire.terminal import Paper, Screen, Terminal

WINDOW = 32768
"""Bytes that a client may send ahead of what is taken."""
LEAST_PACKET = 1024
"""Bytes that a client must take at once: every packet costs some, however little is in it."""
DUMB = ("", "dumb", "unknown")
"""Terminals that can take nothing back."""


class Visitor(NamedTuple):
    """Who has come over a connection, as far as they have proved it."""

    name: str
    account: Account | None
    fingerprint: str
    """Of their key; empty without one."""

    def known_from(self, origin: Origin) -> Origin:
        """Tell how they have come; who has a key and no account is known again by the key."""
        key = ""
        if self.fingerprint and not self.account:
            key = sha256(f"ssh {fold(self.name)} {self.fingerprint}".encode()).hexdigest()
        return origin._replace(key=key, fingerprint=self.fingerprint)


class SshProtocol(ChatProtocol):
    """Somebody at a terminal, or a program that reads and writes lines as people do."""

    door = "ssh"
    is_carried = True
    transport: Any  # a Channel

    def __init__(self, factory: ChatFactory, address: IAddress | None, visitor: Visitor) -> None:
        super().__init__(factory, address)
        self._visitor = visitor
        self._is_concealed = False
        self._limit = self.longest(factory.rooms.limits)
        self._have(Paper(self._limit, self._type, echoes=False, line_end=b"\n"))

    def have_paper(self) -> None:
        """Have a terminal that can take nothing back."""
        self._have(Paper(self._limit, self._type, echoes=True, line_end=b"\r\n"))

    def have_screen(self, columns: int, rows: int) -> None:
        """Have a terminal with a screen of some size."""
        self._have(Screen(self._limit, self._type, self._prompt, columns, rows))

    def _have(self, terminal: Terminal) -> None:
        self.terminal = self._scanner = terminal

    @property
    def exposed(self) -> bool:
        return False

    def _begin(self) -> None:
        self._spoke = True  # they have proved that they are somebody
        self.factory.silent.done(self)
        super()._begin()

    def _connect(self, origin: Origin) -> Session:
        visitor = self._visitor
        return self.factory.rooms.connect(
            self,
            self._proceed,
            visitor.known_from(origin),
            introduction=Introduction(visitor.name, visitor.account),
        )

    def input_ended(self) -> None:
        """Take note that nothing more will be typed."""
        self.terminal.end()
        self.dataReceived(b"")

    def signalReceived(self, signal: Found) -> None:
        if signal is Signal.END_OF_INPUT and self._session:
            self._hold(self._session.receive("/quit"))
        else:
            super().signalReceived(signal)

    # What goes out

    def send(self, data: bytes) -> None:
        if data:
            self._outbox.send(self.terminal.beside(data))

    def _type(self, data: bytes) -> None:
        self._outbox.send(data)

    def _prompt(self) -> str:
        if self._is_concealed:
            return "[not shown] "
        return f"[{self._session.who.name}] " if self._session else ""

    def conceal(self, hidden: bool) -> None:
        self._is_concealed = hidden
        self.terminal.conceal(hidden)

    def close(self, reason: str, ending: Ending = Ending.OVER) -> None:
        self._outbox.send(self.terminal.finish())
        super().close(reason, ending)

    def _overflowed(self) -> bytes:
        return self.terminal.beside(super()._overflowed()) + self.terminal.finish()


class CommandProtocol(SshProtocol):
    """One command: what comes of it is told, and that is all.

    Whoever it is from, it is that of a guest without a name: as an account it would go on in
    the place of the connection that the account has.
    """

    def __init__(
        self, factory: ChatFactory, address: IAddress | None, visitor: Visitor, command: str
    ) -> None:
        super().__init__(factory, address, visitor)
        self._command = command
        self._is_begun = False

    def _connect(self, origin: Origin) -> Session:
        origin = origin._replace(fingerprint=self._visitor.fingerprint)
        return self.factory.rooms.connect(self, self._proceed, origin)

    def _begin(self) -> None:
        super()._begin()
        self._proceed()

    def dataReceived(self, data: bytes) -> None:
        """Heed nothing: the command is all there is."""

    def input_ended(self) -> None:
        """Nothing: it has still to be told what comes of the command."""

    def _proceed(self) -> None:
        session = self._session
        if session is None or session.ended or session.busy:
            return
        if not self._is_begun:
            self.factory.rooms.delivery.settle(session.person)
            self._is_begun = True
            session.receive(self._command)
        if not session.busy and not session.ended:
            session.end()
            self.close("that was all")

    def send(self, data: bytes) -> None:
        if self._is_begun:  # the welcome is not meant
            if b"\r\nerr: " in b"\r\n" + data:
                self.transport.status = 1
            super().send(data)


class Channel(SSHChannel):
    """One session, and the transport of the chat in it."""

    name = b"session"
    conn: Any  # a Connection
    status = 0
    """What the client's program shall end with."""

    def __init__(
        self, chat: ChatFactory, address: IAddress | None, visitor: Visitor, **how: Any
    ) -> None:
        """
        :param address: of the peer.
        :param how: what conch has of every channel.
        """
        super().__init__(localWindow=WINDOW, localMaxPacket=WINDOW, **how)
        self._factory = chat
        self._address = address
        self._visitor = visitor
        self._terminal: tuple[str, int, int] | None = None
        """Its kind, columns and rows, if there is one."""
        self._chat: SshProtocol | None = None
        self._is_begun = False
        self._producer: Any = None
        self._is_paused = self._is_choked = False

    # What is asked for

    def requestReceived(self, requestType: bytes, data: bytes) -> bool:
        asked: dict[bytes, Callable[[bytes], bool]] = {
            b"pty-req": self._get_terminal,
            b"window-change": self._resize,
            b"shell": self._open_chat,
            b"exec": self._run,
        }
        return asked[requestType](data) if requestType in asked else False

    def _get_terminal(self, data: bytes) -> bool:
        kind, rest = getNS(data)
        columns, rows = struct.unpack(">2L", rest[:8])
        self._terminal = kind.decode("ascii", "replace"), _sane(columns, 80), _sane(rows, 24)
        return self._chat is None

    def _resize(self, data: bytes) -> bool:
        columns, rows = struct.unpack(">2L", data[:8])
        if self._chat:
            self._chat.terminal.resize(_sane(columns, 80), _sane(rows, 24))
        return True

    def _open_chat(self, _data: bytes) -> bool:
        if self._chat:
            return False
        chat = SshProtocol(self._factory, self._address, self._visitor)
        if self._terminal:
            kind, columns, rows = self._terminal
            if kind in DUMB:
                chat.have_paper()
            else:
                chat.have_screen(columns, rows)
        self._chat = chat
        return True

    def _run(self, data: bytes) -> bool:
        if self._chat:
            return False
        command = getNS(data)[0].decode("utf-8", "replace")
        chat = CommandProtocol(self._factory, self._address, self._visitor, command)
        if self._terminal:
            chat.have_paper()
        self._chat = chat
        return True

    def answered(self) -> None:
        """Begin the chat, if that was asked for: the client knows by now that there is one."""
        if self._chat and not self._is_begun:
            self._is_begun = True
            self.conn.begun()
            self._chat.makeConnection(self)

    # What comes in

    def dataReceived(self, data: bytes) -> None:
        if self._chat:
            self._chat.dataReceived(data)

    def channelOpen(self, specificData: bytes) -> None:
        """Nothing: what is to happen is asked for later."""

    def extReceived(self, dataType: int, data: bytes) -> None:
        """Nothing: there is no other stream in that direction."""

    def eofReceived(self) -> None:
        if self._chat:
            self._chat.input_ended()

    def closeReceived(self) -> None:
        self.buf = b""  # which nobody will read
        self.conn.sendClose(self)

    def closed(self) -> None:
        chat, self._chat = self._chat, None
        if chat:
            chat.connectionLost(Failure(ConnectionDone()))

    def pauseProducing(self) -> None:
        self._is_paused = True

    def resumeProducing(self) -> None:
        self._is_paused = False
        self.conn.adjustWindow(self, 0)

    def room(self) -> int:
        """Give how many bytes more the client may send by now."""
        missing = self.localWindowSize - self.localWindowLeft
        return missing if not self._is_paused and missing > self.localWindowSize // 2 else 0

    # What goes out

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = producer
        self.flow()

    def unregisterProducer(self) -> None:
        self._producer = None

    def flow(self) -> None:
        """Let what is sent flow, or have it wait."""
        is_choked = self.conn.is_choked or not self.areWriting
        if self._producer is None or is_choked == self._is_choked:
            return
        self._is_choked = is_choked
        if is_choked:
            self._producer.pauseProducing()
        else:
            self._producer.resumeProducing()

    def stopWriting(self) -> None:
        self.flow()

    def startWriting(self) -> None:
        """Nothing yet: what waits in the channel goes first."""

    def addWindowBytes(self, data: int) -> None:
        super().addWindowBytes(data)
        self.flow()

    def loseConnection(self) -> None:
        if not self.closing:
            status = struct.pack(">L", self.status)
            self.conn.sendRequest(self, b"exit-status", status)
        super().loseConnection()

    def abortConnection(self) -> None:
        """End the whole connection now."""
        self.conn.abort()


def _sane(number: int, usual: int) -> int:
    """Give a number of columns or rows that there can be."""
    return min(number, 1000) or usual
