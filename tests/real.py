"""A real chat: ``twistd`` as a process of its own, and people at real sockets and terminals."""

import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import termios
import time
from collections import deque
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from itertools import cycle, islice, zip_longest
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from jsonlines import as_lines

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_PORTS = islice(
    cycle(range(10_000 + 2000 * _WORKER, 12_000 + 2000 * _WORKER)), os.getpid() % 2000, None
)
SECONDS = 15.0
"""For anything that should happen at once, on a machine that is busy with other things."""

WELCOME = (
    "> welcome. you are {}. /nick NAME takes a name, /join ROOM enters a room, /help tells the rest"
)
VERSION = f"> twisted-chat {version('twisted-chat')}"
"""What ``/version`` answers."""
FAREWELL = "> the server is going down. goodbye"
ANYWHERE = "tcp:0:interface=127.0.0.1"
"""An endpoint on a port that is free."""

# Become what a shell makes of a program in a terminal, or one with few descriptors; then run it.
_IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
_WITH_DESCRIPTORS = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
os.execv(sys.argv[2], sys.argv[2:])
"""


def need(program: str) -> str:
    """Give where a program is; skip the test without it, or fail where all must be there."""
    if found := shutil.which(program):
        return found
    if os.environ.get("TCPCHAT_NEED") == "all":
        pytest.fail(f"needs {program}")
    pytest.skip(f"needs {program}")


def twistd() -> str:
    """Give the ``twistd`` of the Python that runs the tests."""
    beside = Path(sys.executable).with_name("twistd")
    return str(beside) if beside.exists() else need("twistd")


def need_module(name: str) -> Any:
    """Give a module; skip the test without it, or fail where all must be there."""
    try:
        return import_module(name)
    except ImportError:
        if os.environ.get("TCPCHAT_NEED") == "all":
            pytest.fail(f"needs {name}")
        pytest.skip(f"needs {name}")


def free_port() -> int:
    """Give the number of a TCP port that nobody listens on, and that stays free.

    The system gives ports from 32768 on to whoever wants any: to those who connect, and to the
    tests that run beside these.  So it is one of those below, from the part of this process.
    """
    while True:
        port = next(_PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_until(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Wait until a condition holds, and give what it gave.

    :param what: is waited for, in the words of a failure.
    """
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.005)


def _must_be(found: list[str], expected: list[str]) -> None:
    if found == expected:
        return
    for place, (one, other) in enumerate(zip_longest(found, expected)):
        if one != other:
            before = found[max(0, place - 3) : place]
            pytest.fail(f"after {before!r:.500}\nfound    {one!r:.300}\nexpected {other!r:.300}")


class Peer:
    """Someone at a socket who reads and writes lines."""

    def __init__(self, sock: socket.socket, seconds: float = SECONDS) -> None:
        """
        :param sock: connected.
        :param seconds: that any one step may take.
        """
        self.sock = sock
        self.sock.settimeout(seconds)
        self._bytes = b""

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def say(self, *lines: str) -> None:
        self.send("".join(f"{line}\r\n" for line in lines).encode())

    def read_bytes(self, length: int) -> bytes:
        """Read so many bytes as they came."""
        while len(self._bytes) < length:
            assert self._receive(), f"the connection ended after {self._bytes!r}"
        found, self._bytes = self._bytes[:length], self._bytes[length:]
        return found

    def read(self) -> str:
        """Read one line, without its end, which must be CR LF."""
        while (end := self._bytes.find(b"\n")) < 0:
            assert self._receive(), f"the connection ended after {self._bytes!r}"
        line, self._bytes = self._bytes[: end + 1], self._bytes[end + 1 :]
        assert line.endswith(b"\r\n")
        return line[:-2].decode()

    def expect(self, *lines: str) -> None:
        """Read exactly these lines."""
        found: list[str] = []
        try:
            while len(found) < len(lines):
                found.append(self.read())
        except TimeoutError:
            found.append(f"(nothing more, but {self._bytes!r})")
        _must_be(found, list(lines))

    def asks(self, line: str, *answers: str) -> None:
        """Say something, and read exactly these lines."""
        self.say(line)
        self.expect(*answers)

    def read_to_end(self) -> bytes:
        """Read everything until the connection ends, in whatever way."""
        while self._receive():
            pass
        found, self._bytes = self._bytes, b""
        return found

    def expect_end(self, *lines: str) -> None:
        """Read exactly these lines, and the end of the connection."""
        found = self.read_to_end().decode().split("\r\n")
        _must_be(found, [*lines, ""])

    def finish(self) -> None:
        """Close the half that writes."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection as one that breaks: with an RST, without a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.sock.close()

    def _receive(self) -> bool:
        try:
            data = self.sock.recv(1 << 18)
        except (ConnectionResetError, ssl.SSLEOFError):
            return False
        self._bytes += data
        return bool(data)


class Program(Peer):
    """A program at a socket, which speaks JSON; it says and hears what a person would."""

    def __init__(self, sock: socket.socket, seconds: float = SECONDS) -> None:
        super().__init__(sock, seconds)
        self._lines: deque[str] = deque()
        self.me = ""
        """The id of the person that this is."""

    def say(self, *lines: str) -> None:
        self.send("".join(f"{json.dumps({'line': line})}\n" for line in lines).encode())

    def hear(self) -> dict[str, Any]:
        """Read one message."""
        while (end := self._bytes.find(b"\n")) < 0:
            assert self._receive(), f"the connection ended after {self._bytes!r}"
        line, self._bytes = self._bytes[:end], self._bytes[end + 1 :]
        message = json.loads(line)
        if message["type"] == "you":
            self.me = message["who"]["person"]
        return message

    def read(self) -> str:
        while not self._lines:
            self._lines += as_lines(self.hear(), self.me)
        return self._lines.popleft()

    def read_to_end(self) -> bytes:
        while self._receive():
            pass
        lines = [*self._lines]
        self._lines.clear()
        while b"\n" in self._bytes:
            lines += as_lines(self.hear(), self.me)
        return "".join(f"{line}\r\n" for line in lines).encode()


class Process:
    """A program that was started, and is gone when its tests are."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.popen = popen
        self.pid = popen.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def exit_code(self, seconds: float = SECONDS) -> int:
        """Wait for the end, and give the exit code."""
        return self.popen.wait(seconds)

    def end(self) -> None:
        """See to it that nothing is left."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(2)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(SECONDS)


class Terminal(Process):
    """A program in a terminal of its own, and someone who types there."""

    kind = "dumb"
    """What programs take it for."""

    def __init__(
        self, *command: str, cwd: Path | None = None, columns: int = 200, rows: int = 50
    ) -> None:
        """
        :param command: begins with the path of a program.
        """
        self.fd, slave = pty.openpty()
        self.resize(columns, rows)
        try:
            super().__init__(
                subprocess.Popen(
                    [sys.executable, "-c", _IN_TERMINAL, *command],
                    stdin=slave,
                    stdout=slave,
                    stderr=slave,
                    cwd=cwd,
                    start_new_session=True,
                    env={**os.environ, "TERM": self.kind},
                )
            )
        finally:
            os.close(slave)
        os.set_blocking(self.fd, False)
        self._screen = b""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        self.end()

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: bytes) -> None:
        assert os.write(self.fd, keys) == len(keys)

    def types(self, line: str) -> None:
        """Type a line; it must be on the screen before anything else happens."""
        self.press(f"{line}\r".encode())
        self.expect(line)

    def asks(self, line: str, *answers: str) -> None:
        """Type a line, and see exactly these lines."""
        self.types(line)
        self.expect(*answers)

    def sees(self) -> str:
        """Give the next line on the screen."""
        wait_until(lambda: self._look() or b"\n" in self._screen, f"a line after {self._screen!r}")
        line, _, self._screen = self._screen.partition(b"\n")
        return line.rstrip(b"\r").decode()

    def expect(self, *lines: str) -> None:
        """See exactly these lines."""
        _must_be([self.sees() for _ in lines], list(lines))

    def expect_text(self, text: str) -> None:
        """See something that need not be a whole line."""
        wait_until(
            lambda: self._look() or text.encode() in self._screen,
            f"{text!r} in {self._screen!r}",
        )
        self._screen = self._screen.partition(text.encode())[2]

    def hang_up(self) -> None:
        """Close the window."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _look(self) -> None:
        # a terminal whose last program has gone gives EIO
        with contextlib.suppress(BlockingIOError, OSError):
            self._screen += os.read(self.fd, 65536)


class Chat(Process):
    """``twistd -n tcpchat``, and everyone who is connected to it."""

    def __init__(
        self,
        directory: Path,
        *options: str,
        ports: Sequence[str] = (ANYWHERE,),
        descriptors: int = 0,
        warm: bool = True,
        prefix: Sequence[str] = (),
        logger: str = "",
    ) -> None:
        """Start it, and wait until people can come.

        :param directory: in which it runs, and keeps its log.
        :param ports: endpoint strings; the first is TCP.
        :param descriptors: that it may have; 0 for as many as we may.
        :param warm: whether someone comes and goes at once: what is made for the first
            connection is there from then on, and descriptors can be counted.
        :param prefix: of the command, which it runs.
        :param logger: of twistd.
        """
        self.directory = directory
        self._earlier = 0
        self.log_file = directory / "log"
        self._earlier = len(self.log())
        command = [twistd(), "-n", "--logfile", str(self.log_file)]
        command += [*(["--logger", logger] if logger else []), "tcpchat", *options]
        for one in ports:
            command += ["--port", one]
        if descriptors:
            command[:0] = [sys.executable, "-c", _WITH_DESCRIPTORS, str(descriptors)]
        command[:0] = prefix
        self.output = directory / "output"
        with self.output.open("wb") as output:
            super().__init__(
                subprocess.Popen(
                    command,
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )
        self._peers: list[Peer] = []
        try:
            self.ports = wait_until(lambda: self._listens(ports), "a chat that listens")
            self.port = self.ports[0]
            self.empty_descriptors = self._warm_up() if warm else 0
        except BaseException:
            self.end()
            raise

    def __enter__(self) -> "Chat":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for peer in self._peers:
            peer.close()
        self.end()

    # Coming and going

    def connect(
        self,
        name: str = "anonymous",
        address: Any = None,
        *,
        source: str = "",
        header: bytes = b"",
        tls: ssl.SSLContext | None = None,
        kind: type[Peer] = Peer,
        receive_buffer: int = 0,
        greeted: bool = True,
    ) -> Peer:
        """Connect someone, and read the greeting.

        :param name: by which they are greeted.
        :param address: a path, or a pair of host and port; where people reach it, if left out.
        :param source: the address that they come from; any, if left out.
        :param header: is sent before anything else.
        :param kind: what they speak.
        :param receive_buffer: bytes that the system keeps for them.
        :param greeted: whether to read the greeting here.
        """
        address = address or ("127.0.0.1", self.port)
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        sock = socket.socket(family)
        try:
            sock.settimeout(SECONDS)
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if source:
                sock.bind((source, 0))
            sock.connect(address)
            sock.sendall(header)
            if tls:
                sock = tls.wrap_socket(sock, server_hostname="localhost")
            peer = kind(sock)
        except BaseException:
            sock.close()
            raise
        self._peers.append(peer)
        if greeted:
            peer.expect(WELCOME.format(name))
        return peer

    def enter(self, name: str, room: str = "tea", **how: Any) -> Peer:
        """Have someone connect, take a name, enter a room, and read what is shown on entering."""
        peer = self.connect(**how, greeted=False)
        peer.read()
        peer.say(f"/nick {name}", f"/join {room}")
        peer.expect(f"> all right, I will call you {name}", f"> welcome to {room}")
        while not peer.read().startswith("> here: "):
            pass
        return peer

    def go_home(self) -> None:
        """Have everyone leave, and see that nothing of them is left."""
        for peer in self._peers:
            peer.close()
        self._peers.clear()
        self.wait_for_descriptors(self.empty_descriptors)

    # The process, seen from outside

    def log(self) -> str:
        """Give what it has logged; what another logged there before is left out."""
        if not self.log_file.exists():
            return ""
        return self.log_file.read_text("utf-8", "replace")[self._earlier :]

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def wait_for_descriptors(self, number: int) -> None:
        wait_until(lambda: self.descriptors() == number, f"{number} descriptors")

    def wait_for_log(self, text: str, times: int = 1) -> None:
        wait_until(lambda: self.log().count(text) >= times, f"{text!r} in the log")

    def cpu_seconds(self) -> float:
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sleeps(self) -> bool:
        return self._stat()[0] == "S"

    def peak_memory(self) -> int:
        """Give the most memory that was resident since `forget_peak_memory`, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+([0-9]+) kB", status)[1]) * 1024

    def forget_peak_memory(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _stat(self) -> list[str]:
        """Give the fields of its ``stat`` from the state on."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()

    def _listens(self, ports: Sequence[str]) -> list[int]:
        if self.popen.poll() is not None:
            pytest.fail(f"twistd ended: {self.output.read_text()}{self.log()}")
        found = re.findall(r"people reach it with: telnet localhost ([0-9]+)[\n\"]", self.log())
        numbered = [one for one in ports if one.startswith("tcp:")]
        return [int(port) for port in found] if len(found) == len(numbered) else []

    def _warm_up(self) -> int:
        """Have someone come, look around and go; give the number of descriptors then."""
        with self.connect() as peer:
            peer.asks("/join warm", "> welcome to warm", "> here: anonymous")
            peer.asks("/search warm", "> nothing was found")
            before = self.descriptors()
        self._peers.remove(peer)
        wait_until(lambda: self.descriptors() < before, "the end of a connection")
        return self.descriptors()
