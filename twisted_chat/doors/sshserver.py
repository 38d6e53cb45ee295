"""SSH up to where somebody has a channel: connections, keys, passwords, and limits on all that.

Algorithms are those that conch has, without the weak ones; forwarding and subsystems are not.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.transport import SSHServerTransport
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_chat.chat.answers import Refusal
from twisted_chat.chat.limits import CLOSING_SECONDS
from twisted_chat.chat.sshkeys import fingerprint
from twisted_chat.doors.deadlines import Deadlines
from twisted_chat.doors.hostkey import host_key
from twisted_chat.doors.keepalive import find_dead_peers
from twisted_chat.doors.quiet import quiet_logger
from twisted_chat.doors.ssh import Visitor
from twisted_chat.doors.sshauth import SIGNATURES, Authentication
from twisted_chat.doors.sshconnection import Connection
from twisted_chat.doors.tcp import ChatFactory, Refused
from twisted_chat.wire.text import PLAIN

LOGIN_SECONDS = 60
"""In which whoever has connected must have logged in, and asked for a chat."""
STARTING = 100
"""Connections of which nobody knows yet whose they are."""
PACKET = 40_000
"""Bytes of a packet that are waited for; none that makes sense is longer than 35,000."""
CIPHERS = (b"aes256-ctr", b"aes192-ctr", b"aes128-ctr")
MACS = (b"hmac-sha2-512", b"hmac-sha2-256")
EXCHANGES = (b"mlkem768x25519-sha256", b"curve25519-sha256", b"curve25519-sha256@libssh.org")


def _trimmed(supported: list[bytes], wanted: tuple[bytes, ...]) -> list[bytes]:
    return [one for one in wanted if one in supported]


@implementer(IPushProducer)
class Server(SSHServerTransport):
    """One connection."""

    factory: "SshFactory"
    transport: Any
    ourVersionString = b"SSH-2.0-tcpchat"
    supportedCiphers = _trimmed(SSHServerTransport.supportedCiphers, CIPHERS)
    supportedMACs = _trimmed(SSHServerTransport.supportedMACs, MACS)
    supportedKeyExchanges = _trimmed(SSHServerTransport.supportedKeyExchanges, EXCHANGES)
    supportedCompressions = [b"none"]  # what is short may become long
    address: IAddress | None = None
    """Of the peer; what it has in common with its channels, each of which is a connection."""
    _log = quiet_logger()
    avatar: Visitor
    """Who has come, once that is proved."""
    _is_full = _is_exchanging = _is_used = False

    def connectionMade(self) -> None:
        self.factory.entered(self)
        find_dead_peers(self.transport)
        self.transport.registerProducer(self, True)
        super().connectionMade()

    def connectionLost(self, reason: Failure | None = None) -> None:
        super().connectionLost(reason)
        self.factory.left(self)

    def sendExtInfo(self, extensions: list[tuple[bytes, bytes]]) -> None:
        # What conch would send are the signatures of our own key, not those that people may have.
        super().sendExtInfo([(b"server-sig-algs", b",".join(SIGNATURES))])

    # What comes in

    def dataReceived(self, data: bytes) -> None:
        if self.transport.disconnecting:
            return
        try:
            super().dataReceived(data)
        except Exception as error:  # a packet that is none, which conch takes for one
            self.factory.log.info(
                "{peer} sent no SSH: {error}",
                peer=self.address,
                door="ssh",
                error=type(error).__name__,
            )
            self.factory.log.debug("so it seems", log_failure=Failure())
            self.abort()
        if len(self.buf) > PACKET:
            self.abort()

    def dispatchMessage(self, messageNum: int, payload: bytes) -> None:
        super().dispatchMessage(messageNum, payload)
        is_exchanging = self._keyExchangeState != self._KEY_EXCHANGE_NONE
        if is_exchanging != self._is_exchanging:  # what is sent while keys are made would wait
            self._is_exchanging = is_exchanging
            self.see_to_use()
            self._flow()

    # What goes out

    @property
    def is_choked(self) -> bool:
        return self._is_full or self._is_exchanging

    def pauseProducing(self) -> None:
        self._is_full = True
        self._flow()

    def resumeProducing(self) -> None:
        self._is_full = False
        self._flow()

    def stopProducing(self) -> None:
        """Nothing: that the connection is lost is told in another way."""

    def _flow(self) -> None:
        if isinstance(self.service, Connection):
            self.service.flow()

    # How it ends

    def see_to_use(self) -> None:
        """See that somebody chats here, or will soon, and once."""
        service = self.service
        is_used = isinstance(service, Connection) and service.is_used and not self._is_exchanging
        if is_used == self._is_used:
            return
        self._is_used = is_used
        if is_used:
            self.factory.unused.done(self)
        else:
            self.factory.unused.begin(self)

    def sendDisconnect(self, reason: int, desc: bytes) -> None:
        super().sendDisconnect(reason, desc)
        self.factory.closing.begin(self)

    def abort(self) -> None:
        """End it now."""
        self.transport.abortConnection()


class SshFactory(SSHFactory):
    """Builds the connections."""

    noisy = False
    log = Logger()
    protocol = Server
    primes = None
    _log = quiet_logger()

    def __init__(self, chat: ChatFactory, key_file: Path) -> None:
        """
        :param key_file: with the key of the server; it is made if there is none.
        """
        self.chat = chat
        self.key_file = key_file
        self.privateKeys: dict[bytes, Key] = {}
        self.publicKeys: dict[bytes, Key] = {}
        self.unused = Deadlines(chat.clock, LOGIN_SECONDS, Server.abort)
        self.closing = Deadlines(chat.clock, CLOSING_SECONDS, Server.abort)
        self._servers: set[Server] = set()

    def startFactory(self) -> None:
        """Nothing: see `prepare`."""

    def prepare(self) -> None:
        """Read the key, or make it; to be called as the user as whom the chat runs.

        :raises ValueError: it is none that can be used.
        :raises OSError: the file can be neither read nor made.
        """
        key = host_key(self.key_file)
        self.privateKeys = {key.sshType(): key}
        self.publicKeys = {key.sshType(): key.public()}

    @property
    def fingerprint(self) -> str:
        """That of the server's key, as people are asked whether they know it."""
        return fingerprint(next(iter(self.publicKeys.values())).blob())

    def buildProtocol(self, addr: IAddress | None) -> Any:
        why = self.chat.admission.refusal(addr)
        if not why and len(self.unused) >= STARTING:
            words = "too many people are logging in. try again later"
            why = self.chat.admission.refuse("logins", words)
        if why:
            self.log.debug("refused {peer} at {door}: {why}", peer=addr, door="ssh", why=why)
            return Refused(self.chat, PLAIN.render(Refusal(why)))
        server: Any = super().buildProtocol(addr)
        server.address = addr
        return server

    def getService(self, transport: Server, service: bytes) -> Callable[[], Any] | None:
        is_known = hasattr(transport, "avatar")
        if service == b"ssh-userauth" and transport.service is None:
            return Authentication
        if (
            service == b"ssh-connection"
            and is_known
            and not isinstance(transport.service, Connection)
        ):
            return Connection
        return None

    def entered(self, server: Server) -> None:
        """Count a connection in."""
        self._servers.add(server)
        self.chat.admission.enter(server.address)
        self.unused.begin(server)

    def left(self, server: Server) -> None:
        """Count a connection out."""
        self._servers.discard(server)
        self.chat.admission.leave(server.address)
        for deadlines in (self.unused, self.closing):
            deadlines.done(server)

    def abort(self) -> None:
        """End all connections now, also those in which nobody chats."""
        for server in list(self._servers):
            server.abort()
