"""The door for SSH: people at terminals, programs without one, and single commands."""

from hashlib import sha256
from typing import Any, NamedTuple

from twisted.internet.interfaces import IAddress

from twisted_chat.chat.account import Account
from twisted_chat.chat.events import Ending, Origin
from twisted_chat.chat.introduction import Introduction
from twisted_chat.chat.names import fold
from twisted_chat.chat.session import Session
from twisted_chat.doors.protocol import ChatProtocol
from twisted_chat.doors.tcp import ChatFactory
from twisted_chat.wire.telnet import Found, Signal
from twisted_chat.wire.terminal import Paper, Screen, Terminal


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
        if self.terminal.is_concealed:
            return "[not shown] "
        return f"[{self._session.who.name}] " if self._session else ""

    def conceal(self, hidden: bool) -> None:
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
            self._traffic.lines += 1
            session.receive(self._command)
        if not session.busy and not session.ended:
            session.end()
            self.close("that was all", Ending.QUIT)

    def send(self, data: bytes) -> None:
        if self._is_begun:  # the welcome is not meant
            if b"\r\nerr: " in b"\r\n" + data:
                self.transport.status = 1
            super().send(data)
