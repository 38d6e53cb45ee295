"""The process: ``twistd -n tcpchat``.

What belongs to a whole process is here and nowhere else: signal handlers, exit codes, the limit of
descriptors, the files that are there by default.
"""

import os
import resource
import signal
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.python import usage

from twisted_chat import heir, preflight
from twisted_chat.chat.kept import StateError
from twisted_chat.chat.limits import Limits
from twisted_chat.chat.sanitize import sanitize
from twisted_chat.discovery import installed
from twisted_chat.handover import Handover, Inheritance
from twisted_chat.interfaces import IStore
from twisted_chat.node import Node
from twisted_chat.notify import Notifier, crowd
from twisted_chat.reload import Reload
from twisted_chat.service import HOST_KEY, ChatService
from twisted_chat.settings import Settings
from twisted_chat.state.sqlite import SQLiteStore
from twisted_chat.values import Mistakes

SPARE_DESCRIPTORS = 64
"""Kept for what is not a connection: logs, libraries, the reactor itself."""

DOORS = ("port", "json", "web", "ssh", "metrics")
"""The options that tell of ports."""
STATE = "tcpchat.sqlite"
"""The file that keeps the chat, unless another is named."""

HEADING = (
    "The options of twisted-chat {version}, with the values in force. twistd -n tcpchat --config "
    "FILE takes this as it stands. What is a default is a comment."
)
HOW_TO_REACH = {
    "port": "people reach it with: telnet localhost {host.port}",
    "web": "browsers reach it at: http://localhost:{host.port}/",
    "ssh": "people reach it with: ssh -p {host.port} NAME@localhost",
    "metrics": "monitors reach it at: http://localhost:{host.port}/metrics",
}
RENEWED = "the server is being renewed. please connect again"
RENEWED_FOR = "the server is being renewed: reconnect within {:.0f} seconds, your place is kept"


class Options(Settings):
    """The options of ``twistd tcpchat``."""

    synopsis = "[options]"
    longdesc = "A chat server: people reach it with telnet."
    optFlags = [
        ["check", None, "tell whether the chat could start like this, and leave"],
        ["print-config", None, "write a file of options with what is in force, and leave"],
    ]

    def opt_version(self) -> NoReturn:
        """Print the version and leave"""
        _leave_with(f"twisted-chat {_version()}\n")

    def parseOptions(self, options: list[str] | None = None) -> None:
        # twistd would print all options before the one line that matters.
        try:
            self.parse(sys.argv[1:] if options is None else options, Path.cwd())
        except Mistakes as mistakes:
            _give_up(*mistakes.lines)
        if self["print-config"]:
            _leave_with(self.written(HEADING.format(version=_version())))
        if self["check"]:
            _leave_with("tcpchat: all is well\n")

    def finish(self) -> None:
        super().finish()
        if self["check"]:
            with self.noting_mistakes():
                self._look_further()

    def _look_further(self) -> None:
        """Look for what else would be found only at the start; start nothing.

        :raises UsageError: something is wrong.
        """
        from twisted.internet import reactor  # noqa: PLC0415

        with _in_run_directory(self.parent["rundir"] if self.parent else "."):
            dry = preflight.Dry(reactor)
            for option in DOORS:
                for port in self[option]:
                    with self.noting_mistakes():
                        preflight.check_port(dry, option, port)
            if self.redis is None:
                with self.noting_mistakes():
                    preflight.check_state(self["state"] or STATE)
            if self["ssh"]:
                with self.noting_mistakes():
                    preflight.check_host_key(_host_key(self))


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
            json=options["json"],
            web=options["web"],
            web_origins=options["web-origin"],
            ssh=options["ssh"],
            ssh_host_key=_host_key(options),
            metrics=options["metrics"],
            proxies=[ip_network(one) for one in options["proxy-from"]],
            node=_node(reactor, options),
            checkers=options.checkers,
            operators=options["operator"],
            plugins=installed(self.log),
        )
        self._state = options["state"] or STATE
        self._host_key = _host_key(options)
        self.rooms.motd = options.motd
        self._options = options
        self.reload = Reload(self, options, self._within_descriptors)
        self._twistd = getattr(options, "parent", None) or {}
        self._has_terminal = False
        self._asked_to_stop = False
        self._signals: deque[int] = deque()
        """Those that have come, and nobody has taken yet."""
        channel = heir.channel()
        self._inheritance = Inheritance(channel) if channel else None
        self._is_first = channel is None
        self._is_handing_over = False
        self._notifier = Notifier(
            os.environ, reactor, self._crowd, is_heir=self._inheritance is not None
        )

    def privilegedStartService(self) -> None:
        with self._inheriting():
            if self._inheritance:
                self._inheritance.receive(self)
            try:
                super().privilegedStartService()
            except (CannotListenError, ValueError) as error:
                failed = next(one for one in self.listeners if one.port is None)
                self._fail_to_start(preflight.wrong_port(failed.door, error))

    def startService(self) -> None:
        if log := heir.log_file(self._twistd, self._options.directory):
            heir.share_log(log)
        self._has_terminal = _terminal_is_there()  # not before: a daemon has left it
        self.rooms.limits = self._within_descriptors(self.rooms.limits)
        with self._inheriting():
            try:
                super().startService()
            except StateError as error:
                self._fail_to_start(str(preflight.wrong_state(self._state, error)))
            if self._inheritance:
                self._inheritance.accept()
        self.move_in()
        self._reactor.callWhenRunning(self._begin)

    def _prepare_doors(self) -> None:
        try:
            super()._prepare_doors()
        except (ValueError, OSError) as error:
            self._fail_to_start(str(preflight.wrong_host_key(self._host_key, error)))

    @contextmanager
    def _inheriting(self) -> Iterator[None]:
        """Tell the process before this one, if there is one, what went wrong."""
        try:
            yield
        except (Exception, SystemExit) as error:
            if self._inheritance:
                self._inheritance.refuse(error)
            raise

    def _begin(self) -> None:
        # The reactor has set handlers of its own just now; with those, twistd would not exit 0.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
            signal.signal(number, self._on_signal)
        heir.let_signals_in()
        for listener in self.listeners:
            words = HOW_TO_REACH.get(listener.door)
            if listener.port and words and listener.description.startswith("tcp:"):
                self.log.info(words, host=listener.port.getHost())
        self._notifier.ready()

    def stopService(self) -> "Deferred[None]":
        self._notifier.stopping()
        return super().stopService()

    def _crowd(self) -> str:
        return crowd(len(self.rooms.people), len(self.rooms.rooms))

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signals.append(number)
        self._reactor.callFromThread(self._take_signal)

    def _take_signal(self) -> None:
        if not self._signals:  # another process was given it
            return
        number = self._signals.popleft()
        if number == signal.SIGUSR2:
            self._renew()
        elif number == signal.SIGHUP:
            self._reload_or_stop()
        else:
            self._stop_or_hurry()

    def _renew(self) -> None:
        """Have the code as it is now go on in another process."""
        if self._is_handing_over or not self.running:
            return
        self._is_handing_over = True
        self.rooms.start(self._hand_over())

    async def _hand_over(self) -> None:
        arguments, directory = self._options.arguments, self._options.directory
        try:
            new = heir.Heir(heir.command(self._twistd, arguments, directory), directory)
            is_done = await Handover(self._reactor, self).to(new)
        except OSError as error:
            self.log.error("cannot start a new process: {error}", error=error)
            is_done = False
        finally:
            self._is_handing_over = False
        if is_done:
            self._notifier.silence()
            await self._see_off(new)
            heir.go(new, self._is_first, self._twistd.get("pidfile") or "")

    async def _see_off(self, new: heir.Heir) -> None:
        """Let the new process go on, and those go whose connections it cannot have."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
            signal.signal(number, lambda number, _frame: new.send_signal(number))
        while self._signals:  # nobody here has taken those
            new.send_signal(self._signals.popleft())
        new.channel.close()
        self.factory.see_off(RENEWED, RENEWED_FOR.format(self.rooms.limits.grace))
        hurry = self._reactor.callLater(self.rooms.limits.drain, self.factory.abort)
        await self.factory.all_gone()
        if hurry.active():
            hurry.cancel()

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
        elif self.running:
            with self._notifier.reloading():
                self.reload.run()

    def _within_descriptors(self, limits: Limits) -> Limits:
        """Allow as many descriptors as this process may have, and no more connections."""
        most = _raise_descriptor_limit()
        if most == resource.RLIM_INFINITY:
            return limits
        room = max(1, most - SPARE_DESCRIPTORS)
        wished = limits.max_connections
        if 0 < wished <= room:
            return limits
        if wished:
            self.log.warn(
                "--max-connections {wished}: the system allows {room} only, with {most} "
                "descriptors. ulimit -n raises that, or LimitNOFILE of systemd",
                wished=wished,
                room=room,
                most=most,
            )
        return replace(limits, max_connections=room)

    def _fail_to_start(self, words: str) -> NoReturn:
        if not self._twistd.get("nodaemon", True):
            # The shell waits for word from the daemon; twistd gives it, for exceptions only.
            raise RuntimeError(words) from None
        self.log.critical("cannot start: {words}", words=words)
        if pid_file := self._twistd.get("pidfile"):
            Path(pid_file).unlink(missing_ok=True)  # which twistd does for exceptions only
        _give_up(words)


@contextmanager
def _in_run_directory(directory: str) -> Iterator[None]:
    """Be for a while where twistd would be.

    :raises UsageError: there is no such place.
    """
    try:
        with chdir(directory):
            yield
    except OSError as error:
        why = f"{error.strerror}. takes a directory"
        raise usage.UsageError(f"--rundir {sanitize(directory)}: {why}") from None


def _host_key(options: Options) -> str:
    """Give the file with the key for SSH: in the directory in which twistd runs, by default."""
    return options["ssh-host-key"] or HOST_KEY


def _store(reactor: Any, options: Options) -> IStore | None:
    """Make the store that the options name; None for memory.  It is opened later."""
    if options["state"] == ":memory:" or options.redis:
        return None
    return SQLiteStore(
        reactor,
        # relative, if it is by default: to the directory in which twistd runs by then
        Path(options["state"] or STATE),
        keep_seconds=options.keep_seconds,
        keep_lines=options.keep_lines,
    )


def _node(reactor: Any, options: Options) -> Node | None:
    """Make the node that the options name; None for a chat of its own."""
    if options.redis is None:
        return None
    return Node(
        reactor,
        options.redis,
        options["node"],
        keep_seconds=options.keep_seconds,
        keep_lines=options.keep_lines,
    )


def _raise_descriptor_limit() -> int:
    """Allow as many descriptors as this process may have; give how many that is."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems promise more than they give
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _terminal_is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _version() -> str:
    return version("twisted-chat")


def _leave_with(words: str) -> NoReturn:
    print(words, end="")  # noqa: T201
    raise SystemExit(0)


def _give_up(*why: str) -> NoReturn:
    for line in why:
        # By now twistd may have made a log of sys.stderr.
        print(f"tcpchat: {line}", file=sys.__stderr__)
    raise SystemExit(1)
