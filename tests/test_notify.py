"""Under systemd: what it is told, the port that it keeps, and the unit files."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from configparser import RawConfigParser
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import pytest
from real import (
    FAREWELL,
    SECONDS,
    WELCOME,
    Chat,
    Peer,
    Process,
    need,
    twistd,
    wait_until,
)
from twisted.internet.task import Clock
from twisted.scripts.twistd import ServerOptions

from twisted_chat.notify import STATUS_SECONDS, Notifier, crowd

DEPLOY = Path(__file__).parent.parent / "deploy"
UNITS = ("tcpchat.service", "tcpchat.socket")
INSTALLED = "/opt/tcpchat/bin/twistd"
HALF = 1_000_000
"""Half of the microseconds after which a stand-in for systemd loses patience."""

# Become what systemd makes of a service with one socket and MemoryDenyWriteExecute=, where the
# kernel knows that; then run a program.
_ACTIVATED = """
import ctypes, os, sys
os.dup2(int(sys.argv[1]), 3)
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
"""


class Manager:
    """Stands in for systemd: keeps the socket, and hears what it is told."""

    def __init__(self, address: str) -> None:
        """
        :param address: a path, or an abstract name after ``@``.
        """
        self.wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.wire.setblocking(False)
        self.wire.bind(address.replace("@", "\0", 1))
        self.address = address
        self._heard: list[str] = []

    def __enter__(self) -> "Manager":
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def hears(self) -> list[str]:
        """Give what it was told since it was last asked, each message as one line."""
        self._listen()
        heard, self._heard = self._heard, []
        return heard

    def waits_for(self, beginning: str) -> list[str]:
        """Give what it is told, up to the first message with such a beginning."""
        told: list[str] = []

        def is_told() -> bool:
            self._listen()
            while self._heard:
                told.append(self._heard.pop(0))
                if told[-1].startswith(beginning):
                    return True
            return False

        wait_until(is_told, f"{beginning} from the chat")
        return told

    def _listen(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._heard.append(self.wire.recv(4096).decode().replace("\n", " "))


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with Manager(str(tmp_path / "notify")) as manager:
        yield manager


class Teller:
    """A notifier, with the time and the crowd that it is told of."""

    def __init__(self, address: str, *, is_heir: bool = False, **environment: str) -> None:
        self.clock = Clock()
        self.status = "0 people in 0 rooms"
        # that nobody can change: it is also for the next process
        self.environment = MappingProxyType({"NOTIFY_SOCKET": address, **environment})
        self.notifier = Notifier(
            self.environment,
            self.clock,
            lambda: self.status,
            is_heir=is_heir,
            nanoseconds=lambda: 7_654_321_999,
        )


# What is told


@pytest.mark.parametrize(
    ("people", "rooms", "words"),
    [
        (0, 0, "0 people in 0 rooms"),
        (1, 1, "1 person in 1 room"),
        (12, 3, "12 people in 3 rooms"),
    ],
)
def test_the_crowd(people, rooms, words):
    """One is one person and one room."""
    assert crowd(people, rooms) == words


def test_nothing_is_told_before_the_chat_is_ready(manager):
    """To be made says nothing; to be ready says so, and how many are there."""
    teller = Teller(manager.address)
    teller.clock.advance(60)
    assert manager.hears() == []
    teller.notifier.ready()
    assert manager.hears() == ["READY=1 STATUS=0 people in 0 rooms"]


def test_an_abstract_socket():
    """A name after ``@`` is that of a socket without a file."""
    with Manager(f"@tcpchat-test-{os.getpid()}") as manager:
        Teller(manager.address).notifier.ready()
        assert manager.hears() == ["READY=1 STATUS=0 people in 0 rooms"]


def test_the_status_is_told_when_it_has_changed(manager):
    """Not each change, but how things are every few seconds, and nothing if they are the same."""
    teller = Teller(manager.address)
    teller.notifier.ready()
    manager.hears()
    teller.clock.pump([STATUS_SECONDS] * 3)
    assert manager.hears() == []
    for number in range(2, 9):
        teller.status = f"{number} people in 1 room"
        teller.clock.advance(STATUS_SECONDS / 10)
    assert manager.hears() == []
    teller.clock.advance(STATUS_SECONDS)
    assert manager.hears() == ["READY=1 STATUS=8 people in 1 room"]


def test_a_reload(manager):
    """It begins with the time of the system's clock in microseconds, and ends with being ready."""
    teller = Teller(manager.address)
    teller.notifier.ready()
    manager.hears()
    with teller.notifier.reloading():
        assert manager.hears() == ["RELOADING=1 MONOTONIC_USEC=7654321"]
        teller.status = "1 person in 1 room"
        teller.clock.advance(2 * STATUS_SECONDS)
        assert manager.hears() == []
    assert manager.hears() == ["READY=1 STATUS=1 person in 1 room"]


def test_a_reload_that_fails(manager):
    """The chat is ready again, whatever went wrong."""
    teller = Teller(manager.address)
    teller.notifier.ready()
    with pytest.raises(OSError, match="no such thing"), teller.notifier.reloading():
        raise OSError("no such thing")
    assert manager.hears()[-1] == "READY=1 STATUS=0 people in 0 rooms"


def test_a_stop(manager):
    """After it is told, nothing else is but that the chat lives, though it be asked to reload."""
    teller = Teller(manager.address, WATCHDOG_USEC=str(2 * HALF))
    teller.notifier.ready()
    manager.hears()
    teller.notifier.stopping()
    assert manager.hears() == ["STOPPING=1 STATUS=letting people go"]
    teller.status = "1 person in 1 room"
    with teller.notifier.reloading():
        pass
    teller.notifier.ready()
    teller.clock.pump([1] * 10)
    assert manager.hears() == ["WATCHDOG=1"] * 10


def test_signs_of_life(manager):
    """They come at half of the time that is allowed, from the beginning on."""
    teller = Teller(manager.address, WATCHDOG_USEC=str(2 * HALF))
    teller.notifier.ready()
    assert manager.hears()[1:] == ["WATCHDOG=1"]
    teller.clock.advance(0.9)
    assert manager.hears() == []
    teller.clock.advance(0.1)
    assert manager.hears() == ["WATCHDOG=1"]
    with teller.notifier.reloading():
        manager.hears()
        teller.clock.advance(1)
        assert manager.hears() == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    ("whose", "is_heir", "lives"),
    [
        ("ours", False, True),
        ("another", False, False),
        ("another", True, True),
        ("nobody", False, True),
    ],
)
def test_whose_signs_of_life(manager, whose, is_heir, lives):
    """Those of a process that is not meant are not sent, unless it is the heir of that one."""
    named = {"ours": str(os.getpid()), "another": "1", "nobody": None}[whose]
    environment = {"WATCHDOG_PID": named} if named else {}
    teller = Teller(manager.address, is_heir=is_heir, WATCHDOG_USEC="1000000", **environment)
    teller.notifier.ready()
    assert ("WATCHDOG=1" in manager.hears()) is lives


@pytest.mark.parametrize("microseconds", ["", "0", "-1", "soon"])
def test_no_signs_of_life(manager, microseconds):
    """Where they are not asked for in a way that makes sense there are none."""
    teller = Teller(manager.address, WATCHDOG_USEC=microseconds)
    teller.notifier.ready()
    teller.clock.pump([1] * 100)
    assert manager.hears() == ["READY=1 STATUS=0 people in 0 rooms"]


def test_the_main_process(manager):
    """It is named by its number."""
    Teller(manager.address).notifier.main_pid(42)
    assert manager.hears() == ["MAINPID=42"]


def test_silence(manager):
    """Who has handed over says nothing any more, nor comes back."""
    teller = Teller(manager.address, WATCHDOG_USEC="1000000")
    teller.notifier.ready()
    manager.hears()
    teller.notifier.silence()
    teller.status = "1 person in 1 room"
    teller.clock.pump([1] * 10)
    with teller.notifier.reloading():
        pass
    teller.notifier.stopping()
    teller.notifier.silence()
    assert manager.hears() == []
    assert teller.clock.getDelayedCalls() == []


# Where nobody listens


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234"])
def test_nobody_is_named(address):
    """Without a socket that sd_notify(3) allows, nothing is done, now or later."""
    teller = Teller(address, WATCHDOG_USEC="1000000")
    teller.notifier.ready()
    with teller.notifier.reloading():
        pass
    teller.notifier.main_pid(1)
    assert teller.clock.getDelayedCalls() == []
    teller.notifier.stopping()


@pytest.mark.parametrize("address", ["/missing/notify", f"/{'x' * 200}", "@missing"])
def test_nobody_listens(address):
    """A socket that is not there, or cannot be, harms nobody."""
    teller = Teller(address, WATCHDOG_USEC="1000000")
    teller.notifier.ready()
    teller.clock.pump([1] * 10)
    teller.notifier.stopping()


def test_a_socket_that_is_full(manager):
    """Nobody waits for it; that the chat is ready, and how it is, is told again later."""
    teller = Teller(manager.address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                other.sendto(b"X=1", manager.address)
        teller.notifier.ready()
    assert set(manager.hears()) == {"X=1"}
    teller.clock.advance(STATUS_SECONDS)
    assert manager.hears() == ["READY=1 STATUS=0 people in 0 rooms"]


# The process


@pytest.mark.real
@pytest.mark.long
def test_the_process_tells_how_it_is(manager, monkeypatch, tmp_path):
    """Ready, alive, how many are there, a reload and the end: each is told in its time."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    with Chat(tmp_path, warm=False) as chat:
        assert manager.waits_for("READY=1 ") == ["READY=1 STATUS=0 people in 0 rooms"]
        for _ in range(3):
            assert manager.waits_for("WATCHDOG=1") == ["WATCHDOG=1"]
        chat.enter("ann")
        manager.waits_for("READY=1 STATUS=1 person in 1 room")
        began = time.monotonic_ns() // 1000
        chat.signal(signal.SIGHUP)
        reloading = manager.waits_for("RELOADING=1 ")[-1]
        microseconds = int(reloading.partition(" MONOTONIC_USEC=")[2])
        assert began < microseconds < time.monotonic_ns() // 1000
        assert manager.waits_for("READY=1 ")[-1] == "READY=1 STATUS=1 person in 1 room"
        chat.signal(signal.SIGTERM)
        assert chat.exit_code() == 0
        told = [one for one in manager.hears() if one != "WATCHDOG=1"]
        assert told == ["STOPPING=1 STATUS=letting people go"]


@pytest.mark.real
def test_a_start_that_fails_is_not_ready(manager, monkeypatch, tmp_path):
    """Where a port is taken, systemd is told nothing by a chat that is not there."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        command = [twistd(), "-n", "--pidfile=", "tcpchat", "--port", port]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, timeout=SECONDS, check=False
        )
    assert done.returncode == 1
    assert not [one for one in manager.hears() if "READY" in one]


# The units


def unit(name: str) -> RawConfigParser:
    """Read a unit file, in which an option may stand more than once."""
    parser = RawConfigParser(strict=False, comment_prefixes=("#",), delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string((DEPLOY / name).read_text().replace("\\\n", " "))
    return parser


def command(state: Path) -> list[str]:
    """Give the command of the service, with the directory that systemd would have made."""
    return shlex.split(unit("tcpchat.service")["Service"]["ExecStart"].replace("%S", str(state)))


def test_the_command_of_the_service(tmp_path):
    """It parses, stays in the foreground, takes the port of the socket unit, and writes no pid."""
    program, *arguments = command(tmp_path)
    assert program == INSTALLED
    options = ServerOptions()
    options.parseOptions(arguments)
    assert (options["nodaemon"], options["pidfile"]) == (True, "")
    assert options.subCommand == "tcpchat"
    name = unit("tcpchat.socket")["Socket"]["FileDescriptorName"]
    assert options.subOptions["port"] == [f"systemd:domain=INET6:name={name}"]
    assert options.subOptions["state"] == str(tmp_path / "tcpchat" / "tcpchat.sqlite")


def test_a_stop_has_the_time_that_it_takes(tmp_path):
    """It leaves time for slow readers, and then for a disk that does not answer."""
    options = ServerOptions()
    options.parseOptions(command(tmp_path)[1:])
    patience = float(unit("tcpchat.service")["Service"]["TimeoutStopSec"])
    assert patience > options.subOptions.limits.drain + 10


@pytest.fixture(params=["IPv4", "both"] if socket.has_dualstack_ipv6() else ["IPv4"])
def port(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A port as systemd has it on a machine with IPv6, and on one without."""
    if request.param == "IPv4":
        port = socket.create_server(("", 0))
    else:
        port = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    with port:
        yield port


@pytest.mark.real
def test_socket_activation(port, manager, monkeypatch, tmp_path):
    """Who comes before the chat waits in the port and is let in; at its end the port remains."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    address = ("127.0.0.1", port.getsockname()[1])
    (tmp_path / "tcpchat").mkdir()
    name = unit("tcpchat.socket")["Socket"]["FileDescriptorName"]
    launcher = [sys.executable, "-c", _ACTIVATED, str(port.fileno()), name, twistd()]
    with (
        Peer(socket.create_connection(address, SECONDS)) as ann,
        (tmp_path / "log").open("w") as log,
    ):
        process = Process(
            subprocess.Popen(
                [*launcher, *command(tmp_path)[1:]],
                cwd=tmp_path / "tcpchat",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[port.fileno()],
            )
        )
        try:
            manager.waits_for("READY=1 ")
            ann.expect(WELCOME.format("anonymous"))
            ann.say("/nick ann", "/register battery staple")
            ann.expect(
                "> all right, I will call you ann",
                "> ann is yours now. /login ann brings you back",
            )
            process.signal(signal.SIGTERM)
            ann.expect_end(FAREWELL)
            assert process.exit_code() == 0
        finally:
            process.end()
    assert {file.name for file in (tmp_path / "tcpchat").iterdir()} == {
        "tcpchat.sqlite",
        "tcpchat.sqlite.lock",
    }
    socket.create_connection(address, SECONDS).close()


def complaints(folder: Path) -> list[str]:
    """Give what systemd finds wrong with the units in a folder."""
    files = [str(folder / name) for name in UNITS]
    done = subprocess.run(
        [need("systemd-analyze"), "verify", "--man=no", "--recursive-errors=no", *files],
        capture_output=True,
        text=True,
        timeout=4 * SECONDS,
        check=False,
    )
    # it also looks at units of the system, which are not ours to judge
    found = [line for line in (done.stdout + done.stderr).splitlines() if "tcpchat" in line]
    return found if found or not done.returncode else [done.stderr]


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copy the units, with a program that is there in place of the one to be installed."""
    for name in UNITS:
        text = (DEPLOY / name).read_text()
        (tmp_path / name).write_text(text.replace(INSTALLED, twistd()))
    return tmp_path


@pytest.mark.real
def test_the_units_are_sound(units):
    """All that they say is known to systemd."""
    assert complaints(units) == []


@pytest.mark.real
@pytest.mark.parametrize(
    ("right", "wrong"),
    [("Restart=on-failure", "Restart=now"), ("PrivateTmp=", "PrivateTemp="), (" -HUP", "/x -HUP")],
)
def test_units_that_are_wrong(units, right, wrong):
    """What is misspelt would be found: the test above is one."""
    file = units / "tcpchat.service"
    text = file.read_text()
    assert right in text
    file.write_text(text.replace(right, wrong))
    assert complaints(units)
