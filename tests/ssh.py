"""An SSH client of the least kind, to be as wrong as is wished: conch's, over a plain socket."""

import socket
import struct
from typing import Any

from real import SECONDS, Peer
from twisted.conch.ssh import userauth
from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.transport import SSHClientTransport
from twisted.internet.defer import Deferred, succeed

WINDOW = 1 << 21


def new_key(kind: str = "ed25519") -> Key:
    """Make a private key."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    private = {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "small rsa": lambda: rsa.generate_private_key(65537, 1024),
    }[kind]()
    return Rsa(private) if kind.endswith("rsa") else Key(private)


class Rsa(Key):
    """A key that signs with SHA-2, which conch's client would not."""

    def sshType(self) -> bytes:
        return b"rsa-sha2-512" if self.type() == "RSA" else super().sshType()

    def public(self) -> Key:
        return Rsa(super().public()._keyObject)

    def sign(self, data: bytes, signatureType: bytes | None = None) -> bytes:
        return super().sign(data, signatureType or b"rsa-sha2-512")


class Wire:
    """What conch takes for a transport."""

    disconnecting = False

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.is_over = False

    def write(self, data: bytes) -> None:
        self._sock.sendall(data)

    def loseConnection(self) -> None:
        self.is_over = True

    def getPeer(self) -> None:
        return None

    getHost = getPeer

    def logPrefix(self) -> str:
        return "test"


class Client(SSHClientTransport):
    """The client's side of a connection."""

    def __init__(self, peer: "Ssh") -> None:
        self.peer = peer

    def verifyHostKey(self, hostKey: bytes, fingerprint: str) -> "Deferred[int]":
        self.peer.host_key = hostKey
        return succeed(1)

    def connectionSecure(self) -> None:
        self.peer.is_secure = True

    def receiveError(self, reasonCode: int, description: bytes) -> None:
        self.peer.disconnected = description.decode()


class Login(userauth.SSHUserAuthClient):
    """Tells who comes, as far as that is asked."""

    preferredOrder = [b"publickey", b"keyboard-interactive", b"password"]

    def __init__(self, peer: "Ssh", connection: SSHConnection) -> None:
        super().__init__(peer.user.encode(), connection)
        self.peer = peer
        self._keys = list(peer.keys)

    def getPublicKey(self) -> Key | None:
        self._key = self._keys.pop(0) if self._keys else None
        return self._key.public() if self._key else None

    def getPrivateKey(self) -> "Deferred[Key]":
        return succeed(self._key)

    def getPassword(self, prompt: Any = None) -> Any:
        self.peer.asked.append("password")
        return succeed(self.peer.password.encode()) if self.peer.password else None

    def getGenericAnswers(self, name: bytes, instruction: bytes, prompts: Any) -> Any:
        self.peer.asked.append("; ".join(prompt.decode() for prompt, _ in prompts))
        return succeed([self.peer.password] * len(prompts))

    def ssh_USERAUTH_BANNER(self, packet: bytes) -> None:
        self.peer.banner += getNS(packet)[0].decode()


class Connection(SSHConnection):
    def __init__(self, peer: "Ssh") -> None:
        super().__init__()
        self.peer = peer

    def serviceStarted(self) -> None:
        self.peer.is_in = True


class Channel(SSHChannel):
    name = b"session"

    def __init__(self, peer: "Ssh", **how: Any) -> None:
        super().__init__(localWindow=WINDOW, localMaxPacket=1 << 15, **how)
        self.peer = peer
        self.is_open = self.is_closed = False
        self.refused = ""
        self.status: int | None = None

    def channelOpen(self, specificData: bytes) -> None:
        self.is_open = True

    def openFailed(self, reason: Any) -> None:
        self.refused = getattr(reason, "value", b"") or str(reason)

    def dataReceived(self, data: bytes) -> None:
        self.peer.take(data)

    def request_exit_status(self, data: bytes) -> bool:
        self.status = struct.unpack(">L", data)[0]
        return True

    def closed(self) -> None:
        self.is_closed = True


class Ssh(Peer):
    """Someone who comes by SSH, without a terminal, unless one is asked for."""

    user = "anonymous"
    password = ""
    keys: tuple[Key, ...] = ()
    terminal: tuple[str, int, int] | None = None
    """Kind, columns and rows."""
    command = ""
    """What is run, instead of a chat."""

    def __init__(self, sock: socket.socket, seconds: float = SECONDS) -> None:
        super().__init__(sock, seconds)
        self.host_key = b""
        self.is_secure = self.is_in = False
        self.disconnected = self.banner = ""
        self.asked: list[str] = []
        self.channel: Channel | None = None
        self.wire = Wire(sock)
        self.client = Client(self)
        self.client.makeConnection(self.wire)  # type: ignore[arg-type]
        self.begin()

    def begin(self) -> None:
        """Log in, and begin a chat."""
        self.log_in()
        self.open()

    def log_in(self) -> None:
        self.until(lambda: self.is_secure)
        self.connection = Connection(self)
        self.client.requestService(Login(self, self.connection))
        self.until(lambda: self.is_in)

    def open(self) -> Channel:
        """Open a channel, and ask for what is to be in it."""
        channel = self.open_channel()
        assert channel.is_open, channel.refused
        self.channel = channel
        if self.terminal:
            kind, columns, rows = self.terminal
            modes = NS(kind.encode()) + struct.pack(">4L", columns, rows, 0, 0) + NS(b"\0")
            assert self.request(b"pty-req", modes)
        if self.command:
            assert self.request(b"exec", NS(self.command.encode()))
        else:
            assert self.request(b"shell")
        return channel

    def open_channel(self, **how: Any) -> Channel:
        channel = Channel(self, **how)
        self.connection.openChannel(channel)
        self.until(lambda: channel.is_open or channel.refused)
        return channel

    def request(self, kind: bytes, data: bytes = b"") -> bool:
        """Ask for something; tell whether it was granted."""
        answers: list[bool] = []
        asked = self.connection.sendRequest(self.channel, kind, data, wantReply=True)
        asked.addCallbacks(lambda _: answers.append(True), lambda _: answers.append(False))
        self.until(lambda: answers)
        return answers[0]

    def resize(self, columns: int, rows: int) -> None:
        data = struct.pack(">4L", columns, rows, 0, 0)
        self.connection.sendRequest(self.channel, b"window-change", data)

    def take(self, data: bytes) -> None:
        """Take what has come."""
        self._bytes += data if self.terminal else data.replace(b"\n", b"\r\n")

    def send(self, data: bytes) -> None:
        assert self.channel
        self.channel.write(data)

    def finish(self) -> None:
        self.connection.sendEOF(self.channel)

    def until(self, condition: Any) -> None:
        """Go on until a condition holds."""
        while not condition():
            assert self._take_in(), f"the connection ended: {self.disconnected or self.banner!r}"

    def _receive(self) -> bool:
        length = len(self._bytes)
        while len(self._bytes) == length:
            if self.channel is None or self.channel.is_closed or not self._take_in():
                return False
        return True

    def _take_in(self) -> bool:
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionResetError:
            return False
        self.client.dataReceived(data)
        return bool(data)


def as_(user: str, *keys: Key, password: str = "", **how: Any) -> type[Ssh]:
    """Give the kind of those who come by SSH under a name."""
    return type("Ssh", (Ssh,), {"user": user, "keys": keys, "password": password, **how})
