"""The door for pages: the JSON of programs, over WebSocket (RFC 6455)."""

from hashlib import sha256
from typing import Any, cast

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.interfaces import IAddress, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import directlyProvides

from twisted_chat.chat.answers import Refusal
from twisted_chat.chat.events import Ending, Origin
from twisted_chat.chat.limits import Bucket
from twisted_chat.chat.session import Session
from twisted_chat.doors.json import JsonProtocol
from twisted_chat.doors.tcp import ChatFactory
from twisted_chat.doors.weborigin import is_allowed
from twisted_chat.wire.jsonlines import MESSAGE_BYTES, Hello

PING_SECONDS = 30
PENDING = 100
"""Messages that may wait to be obeyed; no page sends so many at once."""
CONTROLS = 2.0, 20
"""Control frames a second, and at once."""
FRAGMENTS = 100
"""Frames that one message may come in."""
CODES = {
    Ending.OVER: 4000,
    Ending.QUIT: 1000,
    Ending.ELSEWHERE: 4001,
    Ending.BANNED: 4002,
}
"""Of a close frame; a page comes back by itself after none but the first."""
NOT_TEXT, NO_HELLO, TOO_MANY = 4003, 4004, 4008


class PageProtocol(JsonProtocol):
    """One page: a program that says first who it was before."""

    door = "page"
    is_bot = False
    has_to_shake_hands = True
    transport: Any  # a Wire
    _hello = Hello()

    def dataReceived(self, data: bytes) -> None:
        if not self._spoke:
            self._greet(data)
        elif len(self._found) < PENDING:
            super().dataReceived(data)
        else:
            self.transport.fail(TOO_MANY, "too many messages are waiting")

    def _greet(self, data: bytes) -> None:
        try:
            self._hello = Hello.of(data)
        except ValueError as error:
            self._show(Refusal(str(error)))
            self.transport.fail(NO_HELLO, "no hello")
            return
        self._spoke = True
        self.factory.silent.done(self)
        self.handshakeCompleted()

    def _connect(self, origin: Origin) -> Session:
        key = sha256(self._hello.key.encode()).hexdigest() if self._hello.key else ""
        return self.factory.rooms.connect(
            self, self._proceed, origin._replace(key=key), self._hello.after
        )

    def close(self, reason: str, ending: Ending = Ending.OVER) -> None:
        self.transport.ending = CODES[ending], reason
        super().close(reason, ending)


class Wire:
    """The transport of a page: lines go in, messages go out."""

    def __init__(self, socket: "Socket") -> None:
        self._socket = socket
        self.ending = CODES[Ending.OVER], ""
        """Code and reason of the close frame."""
        if ISSLTransport.providedBy(socket.transport):
            directlyProvides(self, ISSLTransport)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket.transport, name)

    def write(self, data: bytes) -> None:
        """Send some lines as one message."""
        if self._socket.state == Socket.STATE_OPEN:
            # sendMessage would have what we say as short as what pages may say
            self._socket.sendFrame(opcode=Socket.MESSAGE_TYPE_TEXT, payload=data)

    def loseConnection(self) -> None:
        """Close in order, as the RFC has it."""
        self._socket.sendClose(self.ending[0], self.ending[1][:100])

    def abortConnection(self) -> None:
        """End it now."""
        self._socket.dropConnection(abort=True)

    def fail(self, code: int, reason: str) -> None:
        """Close for what the page did."""
        self.ending = code, reason
        self.loseConnection()


class Socket(WebSocketServerProtocol):
    """One WebSocket: a thin thing between its library and a `PageProtocol`."""

    factory: "SocketFactory"
    transport: Any
    address: IAddress | None = None
    """Of the peer."""
    page: Protocol | None = None

    def onConnect(self, request: ConnectionRequest) -> None:
        if not is_allowed(request.headers, self.factory.origins):
            raise ConnectionDeny(403, "a page of another site")

    def onOpen(self) -> None:
        self.transport.unregisterProducer()  # the HTTP channel, which has gone
        self._controls = Bucket(*CONTROLS, self.factory.chat.clock.seconds())
        self._fragments = 0
        self.page = self.factory.chat.build(PageProtocol, self.address)
        self.page.makeConnection(Wire(self))

    def onMessageFrameBegin(self, length: int) -> None:
        self._fragments += 1
        if self._fragments > FRAGMENTS:
            self.dropConnection(abort=True)
        else:
            super().onMessageFrameBegin(length)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self._fragments = 0
        if self.page is None:
            return
        if isBinary:
            self.sendClose(NOT_TEXT, "only text")
        else:
            self.page.dataReceived(payload.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n")

    def onPing(self, payload: bytes) -> None:
        if self._is_allowed_control():
            super().onPing(payload)

    def onPong(self, payload: bytes) -> None:
        self._is_allowed_control()

    def _is_allowed_control(self) -> bool:
        now = self.factory.chat.clock.seconds()
        if self._controls.wait(now) > 0:
            self.dropConnection(abort=True)
            return False
        self._controls.spend(1, now)
        return True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        page, self.page = self.page, None
        if page:
            page.connectionLost(reason)


class SocketFactory(WebSocketServerFactory):
    """Builds the WebSockets of pages."""

    def __init__(self, chat: ChatFactory, origins: frozenset[str]) -> None:
        """
        :param origins: of other sites whose pages may come.
        """
        super().__init__(reactor=chat.clock)
        self.protocol = cast("Any", Socket)
        self.chat, self.origins = chat, origins
        self.setProtocolOptions(
            webStatus=False,
            maxFramePayloadSize=MESSAGE_BYTES,
            maxMessagePayloadSize=MESSAGE_BYTES,
            autoPingInterval=PING_SECONDS,
            autoPingTimeout=PING_SECONDS,
            openHandshakeTimeout=10,
            closeHandshakeTimeout=10,
            allowedOrigins=["*"],  # which cannot say: the same as this
            allowNullOrigin=True,
            tcpNoDelay=True,
        )
