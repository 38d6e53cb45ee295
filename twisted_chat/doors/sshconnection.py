"""The channels of a connection: in each of them is a chat (RFC 4254)."""

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.connection import (
    MSG_CHANNEL_OPEN_FAILURE,
    OPEN_ADMINISTRATIVELY_PROHIBITED,
    OPEN_RESOURCE_SHORTAGE,
    OPEN_UNKNOWN_CHANNEL_TYPE,
    SSHConnection,
)
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from twisted_chat.doors.quiet import quiet_logger
from twisted_chat.doors.ssh import CommandProtocol, SshProtocol, Visitor
from twisted_chat.doors.tcp import ChatFactory

if TYPE_CHECKING:
    from twisted_chat.doors.sshserver import Server

CHANNELS = 4
"""Of one connection, at a time."""
WINDOW = 32768
"""Bytes that a client may send ahead of what is taken."""
LEAST_PACKET = 1024
"""Bytes that a client must take at once: every packet costs some, however little is in it."""
DUMB = ("", "dumb", "unknown")
"""Terminals that can take nothing back."""


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
        self.is_begun = False
        """Whether there is, or was, a chat."""
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
        try:
            return asked[requestType](data) if requestType in asked else False
        except struct.error:  # it is cut short
            return False

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
        if self._chat and not self.is_begun:
            self.is_begun = True
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


class Connection(SSHConnection):
    """The channels of one connection."""

    transport: "Server"
    _log = quiet_logger()

    @property
    def is_choked(self) -> bool:
        return self.transport.is_choked

    def serviceStarted(self) -> None:
        """Nothing: the visitor has no need of it."""

    def ssh_CHANNEL_OPEN(self, packet: bytes) -> None:
        kind, rest = getNS(packet)
        number, _, most = struct.unpack(">3L", rest[:12])
        if kind != b"session":
            self._refuse(number, OPEN_UNKNOWN_CHANNEL_TYPE, b"only sessions are served")
        elif len(self.channels) >= CHANNELS:
            self._refuse(number, OPEN_RESOURCE_SHORTAGE, b"too many sessions")
        elif most < LEAST_PACKET:
            self._refuse(number, OPEN_ADMINISTRATIVELY_PROHIBITED, b"packets would be too small")
        else:
            super().ssh_CHANNEL_OPEN(packet)

    def _refuse(self, number: int, code: int, why: bytes) -> None:
        start = struct.pack(">2L", number, code)
        self.transport.sendPacket(MSG_CHANNEL_OPEN_FAILURE, start + NS(why) + NS(b""))

    def getChannel(
        self, channelType: bytes, windowSize: int, maxPacket: int, data: bytes
    ) -> Channel:
        server = self.transport
        return Channel(
            server.factory.chat,
            server.address,
            server.avatar,
            remoteWindow=windowSize,
            remoteMaxPacket=maxPacket,
            conn=self,
        )

    def ssh_CHANNEL_REQUEST(self, packet: bytes) -> None:
        super().ssh_CHANNEL_REQUEST(packet)
        channel = self.channels.get(struct.unpack(">L", packet[:4])[0])
        if channel:
            channel.answered()
            self.transport.see_to_use()

    def gotGlobalRequest(self, requestType: bytes, data: bytes) -> int:
        return 0

    def adjustWindow(self, channel: Channel, bytesToAdd: int) -> None:
        if room := channel.room():
            super().adjustWindow(channel, room)

    def channelClosed(self, channel: Channel) -> None:
        super().channelClosed(channel)
        self.transport.see_to_use()

    @property
    def is_used(self) -> bool:
        """Whether somebody chats in one of the channels."""
        return any(channel.is_begun for channel in self.channels.values())

    def flow(self) -> None:
        """Let what is sent flow, or have it wait."""
        for channel in list(self.channels.values()):
            channel.flow()

    def abort(self) -> None:
        """End the connection now."""
        self.transport.abort()
