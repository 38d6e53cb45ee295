"""The process: ``twistd -n tcpchat``.

What belongs to a whole process is here and nowhere else: options, signal handlers, exit codes,
the limit of descriptors, the files that are read.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from twisted.cred.checkers import FilePasswordDB, ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.internet.error import CannotListenError
from twisted.python import usage

from twisted_chat.chat import duration, names
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.kept import StateError
from twisted_chat.chat.limits import REPLAYED, REPLAYED_AT_MOST, Limits
from twisted_chat.chat.sanitize import sanitize
from twisted_chat.interfaces import IStore
from twisted_chat.service import ChatService
from twisted_chat.state.sqlite import SQLiteStore

SPARE_DESCRIPTORS = 64
"""Kept for what is not a connection: logs, libraries, the reactor itself."""

STATE = "tcpchat.sqlite"
"""The file that keeps the chat, unless another is named."""
STATE_FILE = "a file of one chat, in a directory that can be written, or :memory:"
ENDPOINT = "an endpoint such as tcp:8888:interface=127.0.0.1"
CHECKER = "TYPE or TYPE:ARGUMENT such as file:/etc/passwords. --help-auth lists the types"

T = TypeVar("T")


class Options(usage.Options, AuthOptionMixin):
    """The options of ``twistd tcpchat``."""

    supportedInterfaces = (IUsernamePassword,)
    synopsis = "[options]"
    longdesc = "A chat server: people reach it with telnet."
    optParameters = [
        [
            "state",
            None,
            None,
            "file that keeps the chat; :memory: keeps nothing "
            "[default: tcpchat.sqlite in the run directory]",
        ],
        ["motd", None, None, "file with the message of the day"],
        ["max-line", None, 1024, "bytes in a line"],
        ["flood", None, "5/20", "lines a second and burst of one connection, or off"],
        ["max-connections", None, 0, "connections at a time; 0: no limit"],
        ["max-per-address", None, 64, "at a time, and new ones a minute; 0: no limit"],
        ["sendq", None, 1048576, "bytes waiting for one slow reader"],
        ["idle-timeout", None, 0, "seconds of silence; 0: never"],
        ["drain", None, 5, "seconds that a stop in order may take"],
        ["keep", None, "30d", "how long history is kept: 90s, 10m, 2h, 30d"],
        ["keep-lines", None, 1000000, "how many lines of a room are kept"],
        ["replay", None, REPLAYED, "lines of the past that who enters a room is shown"],
    ]
    limits: Limits
    keep_seconds: int
    keep_lines: int
    checkers: Sequence[ICredentialsChecker]

    def __init__(self) -> None:
        super().__init__()
        self["port"] = []
        self["operator"] = []

    def opt_port(self, port: str) -> None:
        """A port number, or a server endpoint such as unix:/run/chat.sock; repeatable
        [default: 8888]
        """
        self["port"].append(_port(port))

    opt_p = opt_port

    def opt_operator(self, name: str) -> None:
        """Name of the account of someone who runs the server; repeatable"""
        self["operator"].append(_operator(name))

    def opt_auth(self, description: str) -> None:
        """Further accounts, such as file:PATH; repeatable [default: own accounts]"""
        try:
            super().opt_auth(description)
            _keep_to_its_file(self["credCheckers"][-1])
        except (usage.UsageError, OSError):
            kind, _, _ = description.partition(":")  # what follows may be a password
            _refuse("auth", description if kind == "file" else kind, f"takes {CHECKER}")

    def opt_help_auth_type(self, authType: str) -> None:
        """Tell what --auth takes after that type"""
        try:
            super().opt_help_auth_type(authType)
        except usage.UsageError:
            _refuse("help-auth-type", authType, "takes a type that --help-auth lists")

    def opt_version(self) -> NoReturn:
        """Print the version and leave"""
        print(f"twisted-chat {version('twisted-chat')}")  # noqa: T201
        raise SystemExit(0)

    def parseArgs(self, *extra: str) -> None:
        if extra:
            raise usage.UsageError(f"{sanitize(extra[0])}: takes options only. --help lists them")

    def parseOptions(self, options: list[str] | None = None) -> None:
        # twistd would print all options before the one line that matters.
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            _give_up(str(error))

    def postOptions(self) -> None:
        self.checkers = self.get("credCheckers", ())
        self["port"] = self["port"] or ["tcp:8888"]
        # twistd may change the directory before files are opened
        if self["state"] == "":
            _refuse("state", "", "takes a file, or :memory:")
        if self["state"] not in (None, ":memory:"):
            self["state"] = str(Path(self["state"]).absolute())
        if self["motd"] is not None:
            self["motd"] = Path(self["motd"]).absolute()
            self._read("motd", _motd, "a file of UTF-8 text")
        self.limits = Limits(
            max_line=self._read("max-line", _number(16, 65536), "16 to 65536 bytes"),
            flood=self._read("flood", _flood, "RATE/BURST such as 5/20, or off"),
            max_connections=self._read("max-connections", _number(0), "a number, 0 for no limit"),
            max_per_address=self._read("max-per-address", _number(0), "a number, 0 for no limit"),
            sendq=self._read("sendq", _number(4096, 1 << 30), "4096 to 1073741824 bytes"),
            idle_timeout=self._read("idle-timeout", _seconds, "seconds, 0 for never"),
            drain=self._read("drain", _seconds, "seconds"),
            replay=self._read(
                "replay", _number(0, REPLAYED_AT_MOST), f"0 to {REPLAYED_AT_MOST} lines"
            ),
        )
        self.keep_seconds = self._read("keep", duration.parse, "a time such as 10m, 2h or 30d")
        self.keep_lines = self._read("keep-lines", _number(1, 1 << 40), "a number of lines")

    def _read(self, option: str, convert: Callable[[Any], T], takes: str) -> T:
        try:
            return convert(self[option])
        except (ValueError, OSError):
            _refuse(option, self[option], f"takes {takes}")


def makeService(options: Options, reactor: Any = None) -> ChatService:
    """Make the service that twistd runs.

    :param reactor: the global one, if left out.
    """
    if reactor is None:
        from twisted.internet import reactor  # noqa: PLC0415
    return ChatProcess(reactor, options)


class ChatProcess(ChatService):
    """A chat that is a process of its own."""

    def __init__(self, reactor: Any, options: Options) -> None:
        super().__init__(
            reactor,
            options["port"],
            options.limits,
            _store(reactor, options),
            checkers=options.checkers,
            operators=options["operator"],
        )
        self._state = options["state"] or STATE
        self._motd: Path | None = options["motd"]
        self._twistd = getattr(options, "parent", None) or {}
        self._has_terminal = False
        self._asked_to_stop = False

    def privilegedStartService(self) -> None:
        try:
            super().privilegedStartService()
        except (CannotListenError, ValueError) as error:
            self._fail_to_start(_port_words(error))

    def startService(self) -> None:
        self._has_terminal = _terminal_is_there()  # not before: a daemon has left it
        self._keep_within_descriptors()
        self._read_motd()
        try:
            super().startService()
        except StateError as error:
            self._fail_to_start(f"--state {self._state}: {error}. takes {STATE_FILE}")
        self._reactor.callWhenRunning(self._begin)

    def _begin(self) -> None:
        # The reactor has set handlers of its own just now; with those, twistd would not exit 0.
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_hangup)
        for listener in self.listeners:
            if listener.port and listener.description.startswith("tcp:"):
                host = listener.port.getHost()
                self.log.info("people reach it with: telnet localhost {host.port}", host=host)

    def _on_stop(self, _number: int, _frame: object) -> None:
        self._reactor.callFromThread(self._stop_or_hurry)

    def _on_hangup(self, _number: int, _frame: object) -> None:
        self._reactor.callFromThread(self._reload_or_stop)

    def _stop_or_hurry(self) -> None:
        if self._asked_to_stop or not self.running:
            self.factory.abort()
            return
        self._asked_to_stop = True
        self._reactor.stop()

    def _reload_or_stop(self) -> None:
        if self._has_terminal and not _terminal_is_there():
            self.log.info("the terminal went away")
            self._stop_or_hurry()
        else:
            self._read_motd()

    def _read_motd(self) -> None:
        if self._motd is None:
            return
        try:
            self.rooms.motd = _motd(self._motd)
        except (OSError, ValueError) as error:
            self.log.error("the message of the day stays as it was: {error}", error=error)

    def _keep_within_descriptors(self) -> None:
        """Allow as many descriptors as this process may have, and no more connections."""
        most = _raise_descriptor_limit()
        if most == resource.RLIM_INFINITY:
            return
        room = max(1, most - SPARE_DESCRIPTORS)
        wished = self.rooms.limits.max_connections
        if 0 < wished <= room:
            return
        self.rooms.limits = replace(self.rooms.limits, max_connections=room)
        if wished:
            self.log.warn(
                "--max-connections {wished}: the system allows {room} only, with {most} "
                "descriptors. ulimit -n raises that, or LimitNOFILE of systemd",
                wished=wished,
                room=room,
                most=most,
            )

    def _fail_to_start(self, words: str) -> NoReturn:
        if not self._twistd.get("nodaemon", True):
            # The shell waits for word from the daemon; twistd gives it, for exceptions only.
            raise RuntimeError(words) from None
        self.log.critical("cannot start: {words}", words=words)
        if pid_file := self._twistd.get("pidfile"):
            Path(pid_file).unlink(missing_ok=True)  # which twistd does for exceptions only
        _give_up(words)


def _store(reactor: Any, options: Options) -> IStore | None:
    """Make the store that the options name; None for memory.  It is opened later."""
    if options["state"] == ":memory:":
        return None
    return SQLiteStore(
        reactor,
        # relative, if it is by default: to the directory in which twistd runs by then
        Path(options["state"] or STATE),
        keep_seconds=options.keep_seconds,
        keep_lines=options.keep_lines,
    )


def _port_words(error: Exception) -> str:
    if isinstance(error, CannotListenError):
        # a lock file that is taken comes as mere text
        why = getattr(error.socketError, "strerror", None) or error.socketError
        return f"--port {error.port}: {why}. takes one that is free"
    return f"--port {str(error).rstrip('.')}. takes 0 to 65535, or {ENDPOINT}"


def _raise_descriptor_limit() -> int:
    """Allow as many descriptors as this process may have; give how many that is."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems promise more than they give
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _port(text: str) -> str:
    """Read what ``--port`` takes, as an endpoint string."""
    if ":" in text:
        return text
    try:
        return f"tcp:{_number(0, 65535)(text)}"
    except ValueError:
        _refuse("port", text, f"takes 0 to 65535, or {ENDPOINT}")


def _operator(text: str) -> str:
    """Read what ``--operator`` takes, as a name."""
    try:
        return names.nick(text).text
    except ChatError:
        _refuse("operator", text, "takes a name that people may have")


def _keep_to_its_file(checker: object) -> None:
    """Have a checker find its file wherever the process is by then.

    :raises OSError: there is none that can be read.
    """
    if not isinstance(checker, FilePasswordDB):
        return
    file = Path(checker.filename).absolute()
    if not file.is_file():  # to open a pipe may take for ever
        raise OSError
    file.open("rb").close()
    checker.filename = str(file)


def _number(least: int, most: float = float("inf")) -> Callable[[Any], int]:
    def convert(text: Any) -> int:
        number = int(text)
        if not least <= number <= most:
            raise ValueError
        return number

    return convert


def _seconds(text: Any) -> float:
    seconds = float(text)
    if not 0 <= seconds < 1e9:
        raise ValueError
    return seconds


def _flood(text: str) -> tuple[float, int] | None:
    if text == "off":
        return None
    rate, burst = text.split("/")
    if not 0.1 <= float(rate) <= 1e9 or not 3 <= int(burst) <= 1e9:
        raise ValueError
    return float(rate), int(burst)


def _motd(path: Path) -> list[str]:
    return [sanitize(line.rstrip()) for line in path.read_text("utf-8").splitlines()]


def _terminal_is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _refuse(option: str, value: object, takes: str) -> NoReturn:
    raise usage.UsageError(f"--{option} {sanitize(str(value))}: {takes}")


def _give_up(why: str) -> NoReturn:
    # By now twistd may have made a log of sys.stderr.
    print(f"tcpchat: {why}", file=sys.__stderr__)
    raise SystemExit(1)
