"""The doors of a chat, from the side of those who come: what they say, and what they hear."""

import asyncio
import base64
import json
import os
import re
import signal
import socket
import ssl
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

LONGEST = 1 << 20
"""Bytes in a line that is heard."""
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class GoneError(Exception):
    """The connection has ended."""


@dataclass(frozen=True)
class Heard:
    """One line, as someone hears it."""

    kind: str
    """``said``, ``told``, ``joined``, ``left``, or ``answer`` for all else."""
    who: str
    text: str
    is_past: bool = False


_LINES = {
    "said": re.compile(r"> (?P<past>\[\d{4}-[^\]]*\] )?(?P<who>[^\s:*\[]+): (?P<text>.*)"),
    "told": re.compile(r"> (?P<past>\[\d{4}-[^\]]*\] )?\[(?P<who>\S+) -> you\] (?P<text>.*)"),
    "joined": re.compile(r"> (?P<past>\Z)?(?P<who>\S+) joined the room(?P<text>)"),
    "left": re.compile(r"> (?P<past>\Z)?(?P<who>\S+) has left the room(?P<text>.*)"),
}
_ASIDE = ("here", "topic")
"""What stands before a colon and is nobody."""


def of_text(line: str) -> Heard:
    """Tell what a line says that people read."""
    for kind, pattern in _LINES.items():
        if (found := pattern.fullmatch(line)) and found["who"] not in _ASIDE:
            return Heard(kind, found["who"], found["text"], bool(found["past"]))
    return Heard("answer", "", line)


def of_message(message: Any, me: str) -> Iterable[Heard]:
    """Tell what a message says that programs read.

    :param me: the id of the one who reads; one's own lines are left out, as people are not shown
        theirs.
    """
    kind = message["type"]
    if kind == "replay":
        for line in message["lines"]:
            for heard in of_message(line, me):
                yield Heard(heard.kind, heard.who, heard.text, is_past=True)
    elif kind in ("said", "told", "joined", "left"):
        if message["who"]["person"] != me:
            yield Heard(kind, message["who"]["name"], message.get("text", ""))
    elif kind == "notice":
        yield Heard("answer", "", f"> {message['text']}")
    elif kind == "refusal":
        yield Heard("answer", "", f"err: {message['text']}")


class Door:
    """A connection of someone who reads lines."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def say(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())

    async def hear(self) -> list[Heard]:
        """Wait for the next line.

        :raises GoneError: there is none.
        """
        return [of_text((await self._read_line()).rstrip("\r\n"))]

    def drop(self) -> None:
        """End it as one that breaks: with an RST, without a FIN."""
        if sock := self._writer.get_extra_info("socket"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def finish(self) -> None:
        """Close the half that writes."""
        self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _read_line(self) -> str:
        try:
            line = await self._reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, OSError):
            raise GoneError from None
        return line.decode()


class Secure(Door):
    """The same by TLS."""

    def finish(self) -> None:
        self._writer.close()


class Program(Door):
    """A connection of a program, which speaks JSON."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        super().__init__(reader, writer)
        self._me = ""

    def say(self, *lines: str) -> None:
        for line in lines:
            self._send(json.dumps({"line": line}).encode())

    async def hear(self) -> list[Heard]:
        return self._heard(await self._read_line())

    def _heard(self, line: str) -> list[Heard]:
        message = json.loads(line)
        if message["type"] == "you":
            self._me = message["who"]["person"]
        return list(of_message(message, self._me))

    def _send(self, message: bytes) -> None:
        self._writer.write(message + b"\n")


class Page(Program):
    """A connection of a page: the JSON of programs, over a WebSocket (RFC 6455)."""

    async def open(self) -> None:
        """Shake hands.

        :raises GoneError: it is refused.
        """
        host, port = self._writer.get_extra_info("peername")
        head = (
            f"GET /ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n\r\n"
        )
        self._writer.write(head.encode())
        if not (await self._read_line()).startswith("HTTP/1.1 101 "):
            raise GoneError
        while (await self._read_line()).strip():
            pass
        self._send(b"{}")

    async def hear(self) -> list[Heard]:
        kind, payload = await self._read_frame()
        if kind == CLOSE:
            raise GoneError
        if kind == PING:
            self._send(payload, PONG)
        if kind != TEXT:
            return []
        return [one for line in payload.decode().splitlines() for one in self._heard(line)]

    def finish(self) -> None:
        self._send(struct.pack("!H", 1000), CLOSE)

    def _send(self, message: bytes, kind: int = TEXT) -> None:
        """Send a frame, masked with nothing."""
        size = len(message)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
        self._writer.write(bytes([0x80 | kind]) + length + bytes(4) + message)

    async def _read_frame(self) -> tuple[int, bytes]:
        try:
            kind, size = await self._reader.readexactly(2)
            if size > 125:
                size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8))
            return kind & 0x0F, await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError):
            raise GoneError from None


class Ssh(Door):
    """A connection by the ``ssh`` program, without a terminal."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        assert process.stdin
        super().__init__(process.stdout, process.stdin)
        self._process = process

    def drop(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):  # kill() of its own would take asyncio's status
                os.kill(self._process.pid, signal.SIGKILL)

    async def close(self) -> None:
        await super().close()
        self.drop()
        await self._process.wait()


@dataclass(frozen=True)
class Ports:
    """Where a chat listens, on 127.0.0.1."""

    text: int
    tls: int
    json: int
    web: int
    ssh: int

    async def open(self, kind: str, source: str, receive_buffer: int = 0) -> Door:
        """Come in.

        :param kind: the name of a field.
        :param source: the address to come from.
        :param receive_buffer: bytes that the system keeps for who comes, if not as many as usual.
        :raises GoneError: nobody lets them in.
        """
        port = getattr(self, kind)
        if kind == "ssh":
            return await self._open_ssh(source)
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            sock.bind((source, 0))
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            context = _any_certificate() if kind == "tls" else None
            reader, writer = await asyncio.open_connection(
                sock=sock, limit=LONGEST, ssl=context, server_hostname="" if context else None
            )
        except OSError:
            sock.close()
            raise GoneError from None
        door = {"text": Door, "tls": Secure, "json": Program, "web": Page}[kind](reader, writer)
        if isinstance(door, Page):
            await door.open()
        return door

    async def _open_ssh(self, source: str) -> Door:
        settings = (
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "PasswordAuthentication=no",
        )
        given = [word for one in settings for word in ("-o", one)]
        process = await asyncio.create_subprocess_exec(
            *("ssh", "-q", "-T", "-F", "none", *given, "-o", "PubkeyAuthentication=no"),
            *("-b", source, "-p", str(self.ssh), "-l", "anonymous", "127.0.0.1"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=LONGEST,
            start_new_session=True,
        )
        return Ssh(process)


def _any_certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
