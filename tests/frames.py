"""A WebSocket client of the least kind (RFC 6455), to be as wrong as is wished."""

import base64
import json
import os
import socket
import struct
from contextlib import suppress
from typing import Any

from real import SECONDS, Program

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(
    payload: bytes, opcode: int = TEXT, *, last: bool = True, length: int | None = None
) -> bytes:
    """Give a frame as a client sends it, masked with nothing.

    :param length: that is told; that of the payload, if left out.
    """
    size = len(payload) if length is None else length
    head = bytes([opcode | (0x80 if last else 0)])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += b"\xfe" + struct.pack("!H", size)
    else:
        head += b"\xff" + struct.pack("!Q", size)
    return head + b"\0\0\0\0" + payload


def request(port: int, path: str = "/ws", **headers: str) -> bytes:
    """Give the request that opens a WebSocket."""
    lines = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()


class Page(Program):
    """A page: what it says and hears is the JSON of programs, in frames."""

    key = ""
    """By which it comes back; empty if it does not."""

    def __init__(self, sock: socket.socket, seconds: float = SECONDS) -> None:
        super().__init__(sock, seconds)
        self._raw = b""
        self.code = 0
        """Of the close frame that has come."""
        self.pings = 0
        self.sock.sendall(request(sock.getpeername()[1]))
        self.status = self._head()
        if self.status == 101:
            self.say_hello()

    def say_hello(self) -> None:
        self.tell({"key": self.key} if self.key else {})

    def tell(self, message: Any) -> None:
        self.sock.sendall(frame(json.dumps(message).encode()))

    def send(self, data: bytes) -> None:
        self.sock.sendall(frame(data))

    def say(self, *lines: str) -> None:
        for line in lines:
            self.tell({"line": line})

    def _head(self) -> int:
        while b"\r\n\r\n" not in self._raw:
            data = self.sock.recv(1 << 16)
            assert data, f"the connection ended after {self._raw!r}"
            self._raw += data
        head, self._raw = self._raw.split(b"\r\n\r\n", 1)
        return int(head.split()[1])

    def _receive(self) -> bool:
        """Read some frames, and keep what is in those of text."""
        while not (found := self._frame()):
            try:
                data = self.sock.recv(1 << 18)
            except ConnectionResetError:
                return False
            if not data:
                return False
            self._raw += data
        opcode, payload = found
        if opcode == TEXT:
            self._bytes += payload
        elif opcode == PING:  # which is not answered
            self.pings += 1
        elif opcode == CLOSE:
            self.code = struct.unpack("!H", payload[:2])[0] if payload else 1005
            self.reason = payload[2:].decode()
            with suppress(OSError):
                self.sock.sendall(frame(payload[:2], CLOSE))
        return True

    def _frame(self) -> tuple[int, bytes] | None:
        if len(self._raw) < 2:
            return None
        size, begin = self._raw[1], 2
        assert self._raw[0] & 0x80, "a message in pieces"
        if size > 125:
            begin = 4 if size == 126 else 10
            if len(self._raw) < begin:
                return None
            size = int.from_bytes(self._raw[2:begin])
        if len(self._raw) < begin + size:
            return None
        opcode, payload = self._raw[0] & 0x0F, self._raw[begin : begin + size]
        self._raw = self._raw[begin + size :]
        return opcode, payload
