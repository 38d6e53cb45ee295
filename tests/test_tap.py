"""The process: options, signals, files and exit codes, without a process."""

import io
import os
import resource
import select
import signal
import socket
import sys
import time
from fcntl import F_GETFL, fcntl
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_twisted
from twisted.cred.checkers import (
    FilePasswordDB,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import UsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import ensureDeferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from twisted_chat import tap
from twisted_chat.chat.charter import Rank
from twisted_chat.chat.events import ChatError, LoggedIn
from twisted_chat.chat.limits import Limits
from twisted_chat.reload import Change
from twisted_chat.service import ChatService
from twisted_chat.testing import RecordingClient

NUMBER = "a number, 0 for no limit"
ENDPOINT = "an endpoint such as tcp:8888:interface=127.0.0.1"
PORT = f"takes 0 to 65535, or {ENDPOINT}"
CHECKER = "takes TYPE or TYPE:ARGUMENT such as file:/etc/passwords. --help-auth lists the types"


def parse(*arguments):
    options = tap.Options()
    options.parseOptions(list(arguments))
    return options


def refusal(capfd, *arguments):
    """Give the only line with which options are refused."""
    with pytest.raises(SystemExit) as left:
        parse(*arguments)
    assert left.value.code == 1
    return capfd.readouterr().err.splitlines()[-1]  # what is logged may come before


def only_line(capfd):
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line


@pytest.fixture
def logged():
    """Give the words of everything that is logged."""
    texts = []

    def keep(event):
        texts.append(formatEvent(event))

    globalLogPublisher.addObserver(keep)
    yield texts
    globalLogPublisher.removeObserver(keep)


class Machine:
    """What of the machine a process would change: signals, descriptors and the terminal."""

    def __init__(self):
        self.handlers = {}
        self.descriptors = (1024, 4096)
        self.limit_is_kept = False
        self.has_terminal = False

    def setrlimit(self, kind, limits):
        assert kind == resource.RLIMIT_NOFILE
        if self.limit_is_kept:
            raise ValueError("current limit exceeds maximum limit")
        self.descriptors = limits


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    machine = Machine()
    monkeypatch.setattr(tap.signal, "signal", machine.handlers.__setitem__)
    monkeypatch.setattr(tap.resource, "getrlimit", lambda kind: machine.descriptors)
    monkeypatch.setattr(tap.resource, "setrlimit", machine.setrlimit)
    monkeypatch.setattr(tap, "_terminal_is_there", lambda: machine.has_terminal)
    return machine


class Reactor(MemoryReactorClock):
    """A reactor in memory that can be stopped, and called from a signal handler."""

    def __init__(self):
        super().__init__()
        self.stops = 0
        self.called = []

    def stop(self):
        self.stops += 1

    def callFromThread(self, function, *args):
        self.called.append((function, args))

    def turn(self):
        """Do what was asked for from elsewhere, and begin to run if that has not been."""
        hooks, self.whenRunningHooks = self.whenRunningHooks, []
        for function, args, keywords in hooks:
            function(*args, **keywords)
        called, self.called = self.called, []
        for function, args in called:
            function(*args)
        for reader in select.select(self.getReaders(), [], [], 0)[0]:
            reader.doRead()


class Process:
    """A chat that is started as twistd does it."""

    def __init__(self, machine, *arguments):
        self.machine = machine
        self.reactor = Reactor()
        self.service = tap.makeService(parse("--state", ":memory:", *arguments), self.reactor)

    def starts(self):
        self.service.privilegedStartService()
        self.service.startService()
        self.reactor.turn()
        return self

    def closes_the_file(self):
        """Let the threads of the store end."""
        closing = ensureDeferred(self.service.rooms.store.close())
        deadline = time.monotonic() + 15
        while not closing.called:
            assert time.monotonic() < deadline
            self.reactor.turn()

    def gets(self, number):
        """Get a signal, and let the turn end."""
        self.machine.handlers[number](number, None)
        self.reactor.turn()

    def visit(self):
        """Have someone connect."""
        address = IPv4Address("TCP", "192.0.2.1", 1)
        protocol = self.reactor.tcpServers[0][1].buildProtocol(address)
        wire = StringTransport()
        protocol.makeConnection(wire)
        self.reactor.turn()
        return protocol, wire


# Options


def test_everything_may_be_left_out():
    """Without options the chat is on port 8888, with the limits of the manual."""
    options = parse()
    assert options["port"] == ["tcp:8888"]
    assert options["motd"] is None
    assert options["state"] is None
    assert options["operator"] == []
    assert list(options.checkers) == []
    assert (options.keep_seconds, options.keep_lines) == (30 * 86400, 1_000_000)
    assert options.limits == Limits(
        max_line=1024,
        flood=(5.0, 20),
        max_connections=0,
        max_per_address=64,
        sendq=1048576,
        idle_timeout=0,
        drain=5,
        replay=10,
    )


def test_the_port_is_repeatable_and_may_be_an_endpoint():
    """A bare number means TCP; anything with a colon is an endpoint as it stands."""
    options = parse(
        "-p", "0", "--port", "65535", "-p", "unix:/run/chat", "-p", "tcp:1:interface=::1"
    )
    assert options["port"] == ["tcp:0", "tcp:65535", "unix:/run/chat", "tcp:1:interface=::1"]


def test_options_of_two_parses_share_nothing():
    """Ports, operators and checkers given once are not there the next time."""
    parse("-p", "1", "--operator", "ann", "--auth", "memory:ann:secret")
    assert parse("-p", "2")["port"] == ["tcp:2"]
    assert parse()["operator"] == parse()["port"][1:] == list(parse().checkers) == []


@pytest.mark.parametrize(
    ("option", "value", "limit", "means"),
    [
        ("max-line", "16", "max_line", 16),
        ("max-line", "65536", "max_line", 65536),
        ("flood", "off", "flood", None),
        ("flood", "0.1/3", "flood", (0.1, 3)),
        ("flood", "1000/1000000", "flood", (1000.0, 1000000)),
        ("max-connections", "0", "max_connections", 0),
        ("max-connections", "100000", "max_connections", 100000),
        ("max-per-address", "0", "max_per_address", 0),
        ("max-per-address", "1", "max_per_address", 1),
        ("sendq", "4096", "sendq", 4096),
        ("sendq", "1073741824", "sendq", 1 << 30),
        ("idle-timeout", "0.5", "idle_timeout", 0.5),
        ("idle-timeout", "86400", "idle_timeout", 86400),
        ("drain", "0", "drain", 0),
        ("drain", "2.5", "drain", 2.5),
        ("state", ":memory:", "drain", 5),
        ("replay", "0", "replay", 0),
        ("replay", "200", "replay", 200),
    ],
)
def test_good_values(option, value, limit, means):
    """Each option takes its range up to both ends."""
    assert getattr(parse(f"--{option}", value).limits, limit) == means


def test_a_node_of_a_cluster(tmp_path):
    """The server is named on the command line, or in a file that others cannot read."""
    options = parse("--redis", "redis://chat.example:7000/3", "--node", "a")
    assert (str(options.redis), options["node"]) == ("redis://chat.example:7000/3", "a")
    (tmp_path / "secret").write_text("redis://ann:correct%20horse@localhost\n")
    options = parse("--redis-file", str(tmp_path / "secret"))
    assert options.redis.password == "correct horse"
    assert parse().redis is None
    service = tap.makeService(options, MemoryReactorClock())
    assert service.rooms.store.form == "redis 1"


@pytest.mark.parametrize("url", ["", "nonsense", "http://localhost", "redis://a:sesame@h:x"])
def test_a_wrong_server(capfd, tmp_path, url):
    """The line tells what is wrong, and never a password."""
    for option in ("redis", "redis-file"):
        (tmp_path / "secret").write_text(url)
        value = url if option == "redis" else str(tmp_path / "secret")
        line = refusal(capfd, f"--{option}", value)
        assert line.startswith(f"tcpchat: --{option}: ")
        assert "redis://" in line
        assert "sesame" not in line


def test_what_redis_needs_is_there(capfd, monkeypatch):
    """What is not installed, or a file of certificates that is missing, is told in one line."""
    line = refusal(capfd, "--redis", "rediss://localhost?ca=/missing")
    assert line == "tcpchat: --redis: /missing: there is no such file"
    monkeypatch.setattr("twisted_chat.settings.find_spec", lambda name: None)
    line = refusal(capfd, "--redis", "redis://a:sesame@localhost")
    assert line == (
        "tcpchat: --redis redis://localhost:6379/0: "
        "takes what pip install 'twisted-chat[redis]' installs"
    )


def test_a_node_has_no_file(capfd):
    """Redis keeps it all, so a file is a misunderstanding."""
    line = refusal(capfd, "--redis", "redis://localhost", "--state", "chat.sqlite")
    assert line.endswith("chat.sqlite: is not for a node of a cluster: Redis keeps it all")
    line = refusal(capfd, "--redis", "redis://localhost", "--node", "a.b")
    assert line == "tcpchat: --node a.b: takes 1 to 32 letters, digits and dashes"


@pytest.mark.parametrize(
    ("option", "takes", "values"),
    [
        ("port", PORT, ["", "x", "-1", "65536", "8888.5", "1 2", "9" * 5000]),
        ("json", PORT, ["", "x", "-1", "65536"]),
        ("web", PORT, ["", "x", "-1", "65536"]),
        (
            "web-origin",
            "takes an origin such as https://example.org",
            ["", "*", "example.org", "https://example.org/chat", "null"],
        ),
        (
            "proxy-from",
            "takes an address or a network such as 10.0.0.0/8",
            ["", "proxy", "10.0.0.1/8", "10.0.0.0/33", "::/129"],
        ),
        ("max-line", "takes 16 to 65536 bytes", ["", "x", "15", "65537", "1k", "-1", "1.5"]),
        (
            "flood",
            "takes RATE/BURST such as 5/20, or off",
            ["", "5", "5/", "/20", "x/20", "5/x", "5/2", "0/20", "nan/20", "inf/20", "5/20/1"],
        ),
        ("max-connections", f"takes {NUMBER}", ["", "x", "-1", "1.5"]),
        ("max-per-address", f"takes {NUMBER}", ["", "many", "-1"]),
        ("sendq", "takes 4096 to 1073741824 bytes", ["", "x", "4095", "1073741825"]),
        ("idle-timeout", "takes seconds, 0 for never", ["", "x", "-1", "nan", "inf", "1e9"]),
        ("drain", "takes seconds", ["", "soon", "-0.1", "nan", "inf"]),
        ("keep", "takes a time such as 10m, 2h or 30d", ["", "30", "0d", "1w", "-1d", "d"]),
        ("keep-lines", "takes a number of lines", ["", "0", "-1", "many", "1.5"]),
        ("replay", "takes 0 to 200 lines", ["", "201", "-1", "x"]),
        ("state", "takes a file, or :memory:", [""]),
        ("operator", "takes a name that people may have", ["", "a:b", "a b", "server", "x" * 33]),
        (
            "auth",
            CHECKER,
            ["", "nonsense", "sshkey", "anonymous", "file", "file:", "file:/", "file:/missing"],
        ),
        ("help-auth-type", "takes a type that --help-auth lists", ["", "nonsense"]),
        ("redis-file", "takes a file with the URL of a Redis server", ["/missing"]),
    ],
)
def test_bad_values(capfd, option, takes, values):
    """A wrong value is one line with the option, the value and what it takes, and exit 1."""
    for value in values:
        assert refusal(capfd, f"--{option}={value}") == f"tcpchat: --{option} {value}: {takes}"


def test_a_password_in_a_bad_value_is_not_shown(capfd):
    """What follows the type of a checker may be one."""
    assert refusal(capfd, "--auth=memory:ann") == f"tcpchat: --auth memory: {CHECKER}"


def test_a_bad_value_cannot_act_on_the_terminal(capfd):
    """Control characters in a value are shown as what they are not."""
    line = refusal(capfd, "--drain", "\x1b[2J")
    assert line == "tcpchat: --drain \ufffd[2J: takes seconds"


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--drain"], ["word"], ["--help=me"]])
def test_what_is_no_option_is_one_line_too(capfd, arguments):
    """An unknown option, a missing value, a word too many: one line, not the option list."""
    assert refusal(capfd, *arguments).startswith("tcpchat: ")


def test_version_is_ours(capfd):
    """``--version`` prints the version of the chat, and leaves in peace."""
    with pytest.raises(SystemExit) as left:
        parse("--version")
    assert left.value.code == 0
    assert capfd.readouterr().out == f"twisted-chat {version('twisted-chat')}\n"


def test_every_option_is_explained(capfd):
    """``--help`` has a line for each option."""
    with pytest.raises(SystemExit) as left:
        parse("--help")
    assert left.value.code == 0
    shown = capfd.readouterr().out
    for option in (
        "port",
        "json",
        "web",
        "web-origin",
        "ssh",
        "ssh-host-key",
        "proxy-from",
        "state",
        "motd",
        "max-line",
        "flood",
        "sendq",
        "drain",
        "keep",
        "replay",
        "operator",
        "auth",
        "help-auth",
        "help-auth-type",
        "config",
        "check",
        "print-config",
    ):
        assert f"--{option}" in shown


def test_further_doors_and_proxies_are_repeatable():
    """A number is a TCP port; an address is a network of one."""
    options = parse("--json", "8889", "--json", "unix:/run/bots")
    assert options["json"] == ["tcp:8889", "unix:/run/bots"]
    options = parse("--proxy-from", "10.0.0.0/8", "--proxy-from", "::1")
    assert options["proxy-from"] == ["10.0.0.0/8", "::1/128"]
    assert parse()["json"] == parse()["proxy-from"] == []


@pytest.mark.parametrize("door", ["web", "ssh", "metrics"])
def test_a_door_takes_an_extra(capfd, monkeypatch, door):
    """Without it one line tells which, before anything is started."""
    monkeypatch.setattr("twisted_chat.settings.find_spec", lambda name: None)
    line = refusal(capfd, f"--{door}", "8080")
    assert line == f"tcpchat: --{door} 8080: takes what pip install 'twisted-chat[{door}]' installs"


def test_metrics_are_for_this_machine(capfd):
    """A number is a port that only this machine reaches; an endpoint is taken as it stands."""
    options = parse("--metrics", "9100", "--metrics", "tcp:9101", "--metrics", "unix:metrics.sock")
    assert options["metrics"] == ["tcp:9100:interface=127.0.0.1", "tcp:9101", "unix:metrics.sock"]
    line = refusal(capfd, "--metrics", "x")
    assert line == f"tcpchat: --metrics x: {PORT}"


def test_operators_are_repeatable():
    """Each is a name, as a nick is."""
    assert parse("--operator", "ann", "--operator", "\uff22ob")["operator"] == ["ann", "Bob"]


def test_checkers_are_repeatable(tmp_path):
    """Each is spelled as Twisted does it, and is asked in this order."""
    file = tmp_path / "passwords"
    file.touch()
    options = parse("--auth", "memory:ann:secret", "--auth", f"file:{file}")
    assert [type(one) for one in options.checkers] == [
        InMemoryUsernamePasswordDatabaseDontUse,
        FilePasswordDB,
    ]


def test_a_checker_finds_its_file_later(tmp_path, monkeypatch):
    """Also after the process has changed directory."""
    monkeypatch.chdir(tmp_path)
    Path("passwords").write_text("ann:secret\n")
    [checker] = parse("--auth", "file:passwords").checkers
    monkeypatch.chdir("/")
    asked = ensureDeferred(checker.requestAvatarId(UsernamePassword(b"ann", b"secret")))
    assert asked.result == b"ann"


def test_a_checker_of_another_kind_is_taken_as_it_is(monkeypatch):
    """It need not have a file."""
    checker = object()

    def add(options, description):
        options["credCheckers"] = [checker]

    monkeypatch.setattr(AuthOptionMixin, "opt_auth", add)
    assert parse("--auth", "any").checkers == [checker]


@pytest.mark.parametrize("arguments", [["--help-auth"], ["--help-auth-type", "file"]])
def test_checkers_are_explained(arguments):
    """What can be said after ``--auth`` is shown, and the process leaves in peace."""
    options = tap.Options()
    options.authOutput = io.StringIO()
    with pytest.raises(SystemExit) as left:
        options.parseOptions(arguments)
    assert left.value.code == 0
    assert options.authOutput.getvalue().startswith("Usage: --auth ")


def test_a_file_is_made_absolute(tmp_path, monkeypatch):
    """A file given by a relative name is found after the process has changed directory."""
    monkeypatch.chdir(tmp_path)
    Path("motd.txt").write_text("hello")
    assert parse("--motd", "motd.txt")["motd"] == tmp_path / "motd.txt"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_motd_that_cannot_be_read_is_refused(capfd, tmp_path, content):
    """A file that is not there, or is no text, is refused before anything starts."""
    file = tmp_path / "motd"
    if content is not None:
        file.write_bytes(content)
    assert refusal(capfd, "--motd", str(file)) == (
        f"tcpchat: --motd {file}: takes a file of UTF-8 text"
    )


# Starting


def test_making_the_service_opens_nothing(machine):
    """What runs before twistd forks neither listens, nor reads, nor handles signals."""
    process = Process(machine)
    assert isinstance(process.service, ChatService)
    assert process.reactor.tcpServers == []
    assert process.reactor.getReaders() == []
    assert (machine.handlers, machine.descriptors) == ({}, (1024, 4096))


def test_who_runs_the_server_and_whom_else_to_ask(machine):
    """Operators and checkers are those that the options name."""
    process = Process(machine, "--operator", "ann", "--auth", "memory:bob:secret").starts()
    rooms, bob = process.service.rooms, RecordingClient()
    assert [name.text for name in rooms.operators.names] == ["ann"]
    session = rooms.connect(bob)
    for line in ("/nick bob", "/register battery staple"):
        session.receive(line)
    process.reactor.turn()
    assert bob.lines()[-1] == "err: accounts are not made here: log in with the one you have"


def test_the_file_is_opened_when_the_service_starts(machine, tmp_path, monkeypatch):
    """Not before: by then twistd has forked, changed directory, and given up its privileges."""
    monkeypatch.chdir(tmp_path)
    process = Process(machine, "--state", "elsewhere.sqlite")
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    process.service.privilegedStartService()
    assert list(tmp_path.rglob("*sqlite*")) == []
    process.service.startService()
    assert (tmp_path / "elsewhere.sqlite").exists()
    process.closes_the_file()


def test_without_a_name_the_file_is_in_the_run_directory(machine, tmp_path, monkeypatch):
    """Which is where the process is by the time it starts."""
    process = Process(machine)
    process.service = tap.makeService(parse(), process.reactor)
    monkeypatch.chdir(tmp_path)
    process.service.privilegedStartService()
    process.service.startService()
    assert (tmp_path / "tcpchat.sqlite").exists()
    process.closes_the_file()


def test_the_service_runs_on_the_global_reactor_by_default():
    """No reactor is given by twistd: it is the one that is installed."""
    service = tap.makeService(parse("--drain", "0"))
    assert service.factory.clock is reactor


def test_the_start_tells_how_to_get_in(machine, logged):
    """For each plain port the log has the command; for a socket file there is none."""
    process = Process(machine, "-p", "8888", "-p", "unix:/run/chat")
    process.starts()
    assert "people reach it with: telnet localhost 8888" in logged
    assert sum("people reach it" in text for text in logged) == 1
    assert "listening on unix:/run/chat" in logged


def test_handlers_are_set_once_the_reactor_runs(machine):
    """Signals are handled only after the reactor has set handlers of its own."""
    process = Process(machine)
    process.service.privilegedStartService()
    process.service.startService()
    assert machine.handlers == {}
    process.reactor.turn()
    expected = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2}
    assert set(machine.handlers) == expected


@pytest.mark.parametrize(
    ("wished", "descriptors", "allowed"),
    [
        ("0", (1024, 4096), 4096 - 64),
        ("100", (1024, 4096), 100),
        ("4032", (1024, 4096), 4032),
        ("4033", (1024, 4096), 4032),
        ("0", (20, 20), 1),
        ("0", (-1, -1), 0),
        ("7", (1024, -1), 7),
    ],
)
def test_connections_keep_within_the_descriptors(machine, wished, descriptors, allowed):
    """As many descriptors as may be had are had, and no more people let in than they allow."""
    machine.descriptors = descriptors
    process = Process(machine, "--max-connections", wished).starts()
    assert machine.descriptors == (descriptors[1], descriptors[1])
    assert process.service.rooms.limits.max_connections == allowed


def test_too_few_descriptors_for_the_connections_wished_for(machine, logged):
    """The log says how many there can be, and what to do."""
    Process(machine, "--max-connections", "10000").starts()
    assert (
        "--max-connections 10000: the system allows 4032 only, with 4096 descriptors. "
        "ulimit -n raises that, or LimitNOFILE of systemd"
    ) in logged


def test_a_descriptor_limit_that_cannot_be_raised_is_kept_to(machine):
    """Where the system refuses more descriptors, those there are count."""
    machine.limit_is_kept = True
    process = Process(machine).starts()
    assert process.service.rooms.limits.max_connections == 1024 - 64


class TakenPort(Reactor):
    """A reactor on which every port fails in one way."""

    error = None

    def listenTCP(self, port, factory, backlog=50, interface=""):
        raise self.error


@pytest.fixture
def pid_file(tmp_path):
    file = tmp_path / "twistd.pid"
    file.write_text("1")
    return file


def fails_to_start(capfd, error, *arguments, parent=None):
    """Start on a reactor whose ports fail; give the only line that is shown."""
    options = parse(*arguments)
    options.parent = parent
    memory = TakenPort()
    memory.error = error
    with pytest.raises(SystemExit) as left:
        tap.makeService(options, memory).privilegedStartService()
    assert left.value.code == 1
    return capfd.readouterr().err.splitlines()[-1]  # what is logged may come before


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            CannotListenError("", 8888, OSError(98, "Address already in use")),
            "--port 8888: Address already in use. takes one that is free",
        ),
        (
            CannotListenError(None, "/run/chat", "Cannot acquire lock"),
            "--port /run/chat: Cannot acquire lock. takes one that is free",
        ),
        (
            CannotListenError(None, b"/run/chat", OSError(98, "Address already in use")),
            "--port /run/chat: Address already in use. takes one that is free",
        ),
        (
            CannotListenError("", 80, PermissionError(13, "Permission denied")),
            "--port 80: Permission denied. takes one that the user of the chat may have",
        ),
        (
            CannotListenError("203.0.113.7", 80, OSError(99, "Cannot assign requested address")),
            "--port 203.0.113.7:80: Cannot assign requested address. "
            "takes an address of this machine",
        ),
        (
            CannotListenError("nonsense", 80, socket.gaierror(-2, "Name or service not known")),
            "--port nonsense:80: Name or service not known. takes an address of this machine",
        ),
        (
            OverflowError("bind(): port must be 0-65535."),
            f"--port tcp:8888: bind(): port must be 0-65535. {PORT}",
        ),
    ],
)
def test_a_port_that_cannot_be_had_is_one_line(capfd, pid_file, logged_failures, error, line):
    """The process leaves with 1, one line that is also in the log, and no pid file."""
    assert fails_to_start(capfd, error, parent={"pidfile": str(pid_file)}) == f"tcpchat: {line}"
    assert not pid_file.exists()
    (event,) = logged_failures.events
    assert formatEvent(event).startswith("cannot start: ")
    logged_failures.events.clear()


@pytest.mark.parametrize(
    ("port", "why"),
    [
        ("tcp:abc", "'abc' is no number"),
        ("tcp:1:backlog=", "'' is no number"),
        ("nonsense:1", "Unknown endpoint type: 'nonsense'"),
        ("ssl:1:privateKey=/nonsense.pem", "No such file or directory: /nonsense.pem"),
    ],
)
def test_an_endpoint_that_makes_no_sense_is_one_line(capfd, logged_failures, port, why):
    """It is told in the same way at the start, and by a check."""
    line = f"tcpchat: --port {port}: {why}. {PORT}"
    assert fails_to_start(capfd, None, "-p", port) == line
    assert refusal(capfd, "-p", port, "--check") == line
    logged_failures.events.clear()


@pytest.mark.parametrize("parent", [None, {"pidfile": None}, {"pidfile": "/nonsense/twistd.pid"}])
def test_a_pid_file_that_is_not_there_is_no_trouble(capfd, logged_failures, parent):
    """Without a pid file a start that fails is the same one line."""
    line = fails_to_start(capfd, None, "-p", "tcp:abc", parent=parent)
    assert line.startswith("tcpchat: --port tcp:abc: ")
    logged_failures.events.clear()


@pytest.mark.parametrize(
    ("port", "wrong"),
    [
        ("tcp:65536", f"bind(): port must be 0-65535. {PORT}"),
        ("tcp6:65536", f"bind(): port must be 0-65535. {PORT}"),
        (
            "tcp:0:interface=192.0.2.1",
            "Cannot assign requested address. takes an address of this machine",
        ),
        ("unix:/missing/chat", f"No such file or directory: /missing/. {PORT}"),
        ("unix:/etc/passwd", f"there is something else: /etc/passwd. {PORT}"),
        ("unix:/dev/null/chat", f"Not a directory: /dev/null/. {PORT}"),
    ],
)
def test_a_check_finds_where_nobody_could_listen(capfd, port, wrong):
    """Whatever the system would refuse at the start is told without one."""
    assert refusal(capfd, "-p", port, "--check") == f"tcpchat: --port {port}: {wrong}"


def test_a_check_finds_an_interface_that_is_none(capfd):
    """What the system calls that depends on the system."""
    line = refusal(capfd, "-p", "tcp:0:interface=nonsense.invalid", "--check")
    assert line.endswith(". takes an address of this machine")


@pytest.mark.parametrize("option", ["port", "json"])
def test_a_check_finds_a_port_that_is_asked_for_twice(capfd, option):
    """Two listeners cannot have the same, unless it is any that is free."""
    line = refusal(capfd, "--port=4711", f"--{option}=4711", "--port=0", "--port=0", "--check")
    assert line == f"tcpchat: --{option} tcp:4711: it is asked for twice. takes one that is free"


def test_a_check_does_not_mind_a_port_that_is_taken(capfd):
    """The chat itself may have it, and is to be renewed."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as left:
        parse("-p", f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1", "--check")
    assert left.value.code == 0


# Twisted closes the socket of a port that it could not have only when that is collected.
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest_twisted.ensureDeferred
async def test_a_real_port_in_use_is_one_line(capfd, logged_failures):
    """On the real reactor a taken port is told by its number."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        service = tap.makeService(parse("-p", f"tcp:{number}:interface=127.0.0.1"), reactor)
        with pytest.raises(SystemExit):
            service.privilegedStartService()
        assert capfd.readouterr().err.splitlines()[-1] == (
            f"tcpchat: --port 127.0.0.1:{number}: Address already in use. takes one that is free"
        )
    logged_failures.events.clear()
    await service.stopService()


# The message of the day


def test_the_motd_is_read_at_start(machine, tmp_path):
    """People see the file line by line after the welcome, made safe for terminals."""
    file = tmp_path / "motd"
    file.write_text("be kind  \n\tno \x1b[2J\n", "utf-8")
    _, wire = Process(machine, "--motd", str(file)).starts().visit()
    assert wire.value().decode().splitlines()[1:] == ["> - be kind", "> -  no \ufffd[2J"]


def test_the_motd_is_read_again_on_sighup(machine, tmp_path):
    """A reload shows what the file says now to those who come then."""
    file = tmp_path / "motd"
    file.write_text("old")
    process = Process(machine, "--motd", str(file)).starts()
    file.write_text("new")
    assert process.service.rooms.motd == ["old"]
    process.gets(signal.SIGHUP)
    assert process.service.rooms.motd == ["new"]
    assert process.reactor.stops == 0


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_broken_motd_changes_nothing(machine, tmp_path, logged, logged_failures, content):
    """A reload with a file that is gone, or no text, says why and keeps the old words."""
    file = tmp_path / "motd"
    file.write_text("old")
    process = Process(machine, "--motd", str(file)).starts()
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    process.gets(signal.SIGHUP)
    assert process.service.rooms.motd == ["old"]
    assert logged[-1] == (
        f"not reloaded, all stays as it was: --motd {file}: takes a file of UTF-8 text"
    )
    logged_failures.events.clear()


def test_a_reload_without_a_file_changes_nothing(machine):
    """SIGHUP is harmless where there is nothing to be read."""
    process = Process(machine).starts()
    process.gets(signal.SIGHUP)
    assert (process.service.rooms.motd, process.reactor.stops) == ([], 0)


# Reloading


@pytest.fixture
def file(tmp_path):
    return tmp_path / "chat.toml"


def reload(process, file, text):
    """Have a process obey a file that says something else now."""
    file.write_text(text)
    process.gets(signal.SIGHUP)


def start_with(machine, file, text, *arguments):
    file.write_text(text)
    return Process(machine, "--config", str(file), *arguments).starts()


def log_in(process, name):
    """Have someone come in with an account, as if they had logged in."""
    client = RecordingClient()
    session = process.service.rooms.connect(client)
    process.service.rooms.backplane.publish(LoggedIn(session.who, f"@{name}", name))
    process.reactor.turn()
    client.lines()
    return session, client


def test_a_reload_changes_what_can_be_changed(machine, file, logged):
    """Limits and the message of the day are obeyed at once, and the log says what is new."""
    process = start_with(machine, file, "max-line = 512")
    _, wire = process.visit()
    (file.parent / "motd").write_text("be kind")
    reload(process, file, 'max-line = 600\nidle-timeout = 60\nmotd = "motd"')
    assert logged[-1] == "reloaded: idle-timeout 0 -> 60, max-line 512 -> 600, motd"
    assert process.service.rooms.limits.max_line == 600
    assert process.service.rooms.motd == ["be kind"]
    process.reactor.advance(60)
    process.reactor.turn()
    assert wire.value().endswith(b"you have been silent for too long. goodbye\r\n")
    reload(process, file, "")
    assert logged[-1] == "reloaded: idle-timeout 60 -> 0, max-line 600 -> 1024, motd"
    process.gets(signal.SIGHUP)
    assert logged[-1] == "reloaded: nothing is new"


def test_a_reload_keeps_to_the_command_line(machine, file):
    """What the command line says still wins."""
    process = start_with(machine, file, "", "--max-line", "512")
    reload(process, file, "max-line = 600\nreplay = 3")
    limits = process.service.rooms.limits
    assert (limits.max_line, limits.replay) == (512, 3)


def test_what_needs_a_restart_is_named_and_stays(machine, file, logged):
    """Ports, the file that keeps the chat, and checkers; their values may be secret."""
    process = start_with(machine, file, "port = 1")
    text = 'port = [1, 2]\nauth = "memory:ann:secret"\ndrain = 7'
    reload(process, file, text)
    assert logged[-1] == "reloaded: drain 5 -> 7. after a restart: auth, port"
    process.gets(signal.SIGHUP)
    assert logged[-1] == "reloaded: nothing is new. after a restart: auth, port"
    assert len(process.reactor.tcpServers) == 1
    reload(process, file, "port = 1\ndrain = 7")
    assert logged[-1] == "reloaded: nothing is new"


@pytest.mark.parametrize("text", ["max-line = 600\ndrain = -1", "max-line = 600\nx", None])
def test_all_or_nothing(machine, file, logged, logged_failures, text):
    """A file with one wrong value, that is no TOML, or that is gone, changes nothing."""
    process = start_with(machine, file, "max-line = 512")
    limits = process.service.rooms.limits
    file.unlink()
    if text is not None:
        file.write_text(text)
    count = len(logged)
    process.gets(signal.SIGHUP)
    assert process.service.rooms.limits is limits
    assert len(logged) == count + 1
    assert logged[-1].startswith("not reloaded, all stays as it was: ")
    assert str(file) in logged[-1]
    logged_failures.events.clear()


def test_others_may_join_a_reload(machine, file, logged, logged_failures):
    """What they make ready is done with the rest; if they cannot, the rest is not done either."""
    process = start_with(machine, file, "max-line = 512")
    done = []
    process.service.reload.parts.append(lambda options: Change(["a key"], lambda: done.append(1)))
    reload(process, file, "max-line = 600")
    assert (done, logged[-1]) == ([1], "reloaded: max-line 512 -> 600, a key")
    process.service.reload.parts.append(lambda options: {}["missing"])
    reload(process, file, "max-line = 700")
    assert logged[-1] == "not reloaded, all stays as it was: 'missing'"
    assert (done, process.service.rooms.limits.max_line) == ([1], 600)
    logged_failures.events.clear()


def test_operators_are_told_and_gain_and_lose_what_they_are(machine, file, logged_failures):
    """Those who run the server by now are told what is new, or why nothing is; nobody else is."""
    process = start_with(machine, file, 'operator = "ann"')
    (ann, ann_sees), (bob, bob_sees) = log_in(process, "ann"), log_in(process, "bob")
    assert (ann.rank, bob.rank) == (Rank.SERVER, Rank.MEMBER)
    reload(process, file, 'operator = "bob"\nport = 2')
    assert (ann.rank, bob.rank) == (Rank.MEMBER, Rank.SERVER)
    told = "> the server was reloaded: operator ann -> bob. after a restart: port"
    assert (ann_sees.lines(), bob_sees.lines()) == ([], [told])
    reload(process, file, "drain = true")
    assert ann_sees.lines() == []
    assert bob_sees.lines() == [
        f"> the server was not reloaded, all stays as it was: {file}:1: drain true: "
        "takes text in quotes or a number"
    ]
    logged_failures.events.clear()


def test_a_new_operator_without_an_account_has_a_code(machine, file, logged):
    """It is in the log as at the start; who is named already keeps theirs."""
    process = start_with(machine, file, 'operator = "ann"')
    reload(process, file, 'operator = ["ann", "bob"]')
    codes = [text for text in logged if "has no account yet" in text]
    assert [text.split()[0] for text in codes] == ["ann", "bob"]
    ann = codes[0].split()[-1]
    process.service.rooms.operators.check_code("ann", ann)
    reload(process, file, 'operator = ["bob"]')
    with pytest.raises(ChatError):
        process.service.rooms.operators.check_code("ann", ann)


def test_with_accounts_from_elsewhere_nobody_has_a_code(machine, file, logged):
    """For nobody registers here."""
    process = start_with(machine, file, 'auth = "memory:ann:secret"')
    reload(process, file, 'auth = "memory:ann:secret"\noperator = "ann"')
    assert not [text for text in logged if "has no account yet" in text]
    assert "@ann" in process.service.rooms.operators


def test_a_reload_keeps_within_the_descriptors(machine, file, logged):
    """No more connections are let in than the system allows, whatever is wished for by now."""
    process = start_with(machine, file, "")
    reload(process, file, "max-connections = 10_000")
    assert process.service.rooms.limits.max_connections == 4096 - 64
    assert logged[-1] == "reloaded: max-connections 0 -> 10000"
    assert logged[-2].startswith("--max-connections 10000: the system allows 4032 only")
    reload(process, file, "max-connections = 9")
    assert process.service.rooms.limits.max_connections == 9


def test_a_reload_says_how_long_history_is_kept(machine, file, logged):
    """What is too much by now goes with the next look at it."""
    file.write_text("state = 'state'")
    process = Process(machine)
    process.service = tap.makeService(parse("--config", str(file)), process.reactor)
    process.starts()
    reload(process, file, "state = 'state'\nkeep = '2h'\nkeep-lines = 7")
    assert logged[-1] == "reloaded: keep 30d -> 2h, keep-lines 1000000 -> 7"
    process.closes_the_file()


def test_nothing_is_reloaded_amid_a_stop(machine, file, logged):
    """People are being let go: there is nobody for whom it would matter."""
    process = start_with(machine, file, "")
    process.visit()
    process.service.stopService()
    reload(process, file, "max-line = 600")
    assert process.service.rooms.limits.max_line == 1024
    assert not [text for text in logged if "reloaded" in text]


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_reactor_from_within_its_loop(machine, number):
    """The handler itself only wakes the reactor, which then stops in order."""
    process = Process(machine).starts()
    machine.handlers[number](number, None)
    assert process.reactor.stops == 0
    process.reactor.turn()
    assert process.reactor.stops == 1


def test_a_second_signal_hurries(machine):
    """While people are still being let go, another signal aborts who is left."""
    process = Process(machine).starts()
    protocol, wire = process.visit()
    wire.producer.pauseProducing()
    process.gets(signal.SIGTERM)
    stopped = process.service.stopService()
    assert not stopped.called
    assert not wire.disconnected
    process.gets(signal.SIGTERM)
    assert wire.disconnected
    assert process.reactor.stops == 1
    protocol.connectionLost(Failure(ConnectionDone()))
    assert stopped.called


def test_two_signals_at_once_stop_once(machine):
    """A second signal before the reactor has begun to stop does not ask it to stop again."""
    process = Process(machine).starts()
    for number in (signal.SIGINT, signal.SIGTERM):
        machine.handlers[number](number, None)
    process.reactor.turn()
    assert process.reactor.stops == 1


def test_a_signal_amid_a_stop_by_other_means_hurries(machine):
    """Whoever stops the service, a signal then hurries it."""
    process = Process(machine).starts()
    _, wire = process.visit()
    process.service.stopService()
    process.gets(signal.SIGTERM)
    assert (wire.disconnected, process.reactor.stops) == (True, 0)


def test_sighup_stops_when_the_terminal_went_away(machine, logged):
    """A process in a terminal that is closed stops in order, rather than reload."""
    machine.has_terminal = True
    process = Process(machine).starts()
    process.gets(signal.SIGHUP)
    assert process.reactor.stops == 0
    machine.has_terminal = False
    process.gets(signal.SIGHUP)
    assert process.reactor.stops == 1
    assert "the terminal went away" in logged


def test_a_daemon_started_in_a_terminal_reloads(machine):
    """A daemon has left the terminal it was started in: SIGHUP is a reload to it."""
    machine.has_terminal = True
    process = Process(machine)
    machine.has_terminal = False
    process.starts()
    process.gets(signal.SIGHUP)
    assert process.reactor.stops == 0


@pytest.mark.parametrize("there", [True, False])
def test_the_terminal_is_looked_for_where_it_would_be(monkeypatch, there):
    """A process has a terminal if it can open the one it belongs to; nothing is left open."""
    monkeypatch.undo()
    opened, closed = [], []

    def open_(path, flags):
        if not there:
            raise OSError("No such device or address")
        opened.append(path)
        return 99

    monkeypatch.setattr(tap.os, "open", open_)
    monkeypatch.setattr(tap.os, "close", closed.append)
    assert tap._terminal_is_there() is there
    assert (opened, closed) == ((["/dev/tty"], [99]) if there else ([], []))


def test_a_daemon_that_cannot_start_leaves_the_word_to_twistd(logged_failures):
    """The shell waits for the daemon: only an exception makes twistd tell it."""
    options = parse()
    options.parent = {"nodaemon": False}
    memory = TakenPort()
    memory.error = CannotListenError("", 8888, OSError(98, "Address already in use"))
    with pytest.raises(RuntimeError, match="--port 8888: Address already in use"):
        tap.makeService(options, memory).privilegedStartService()


def test_what_is_no_option_at_all_is_named(capfd):
    """A word that belongs to no option is refused by itself, with what is right."""
    assert refusal(capfd, "ex\x1btra") == (
        "tcpchat: ex\ufffdtra: takes options only. --help lists them"
    )


# Going on in another process


class Departed(BaseException):
    """What ends the process of a test in the place of `os._exit`."""


class Successor:
    """A process that goes on, as far as this one knows it."""

    def __init__(self, command, directory):
        self.command, self.directory = command, directory
        self.signals = []
        self.channel = self

    def close(self):
        """Nothing: there is nobody at the other end."""

    def send_signal(self, number):
        self.signals.append(number)


@pytest.fixture
def succession(machine, monkeypatch):
    """Give what was started to go on, and how the one before it went."""
    seen = {"started": [], "went": [], "does": True}

    def start(command, directory):
        if isinstance(seen["does"], OSError):
            raise seen["does"]
        seen["started"].append(Successor(command, directory))
        return seen["started"][-1]

    class Handing:
        def __init__(self, *_):
            pass

        async def to(self, _new):
            return seen["does"]

    monkeypatch.setattr(tap.heir, "Heir", start)
    monkeypatch.setattr(tap, "Handover", Handing)
    monkeypatch.setattr(tap.heir, "go", lambda *how: seen["went"].append(how))
    return seen


def test_the_code_is_replaced(machine, succession):
    """What was started is started anew; people are seen off, and the process goes."""
    process = Process(machine, "--max-line", "100").starts()
    _, wire = process.visit()
    process.gets(signal.SIGUSR2)
    [new] = succession["started"]
    assert new.command[-5:] == ["tcpchat", "--state", ":memory:", "--max-line", "100"]
    assert wire.value().endswith(f"> {tap.RENEWED}\r\n".encode())
    assert succession["went"] == []
    machine.handlers[signal.SIGTERM](signal.SIGTERM, None)
    assert new.signals == [signal.SIGTERM]
    process.reactor.advance(5)
    [protocol] = process.service.factory.protocols
    protocol.connectionLost()
    assert succession["went"] == [(new, True, "")]


@pytest.mark.parametrize("outcome", [False, OSError("no more processes")])
def test_the_code_is_not_replaced(machine, succession, logged_failures, outcome):
    """All goes on, and another try is possible."""
    process = Process(machine).starts()
    succession["does"] = outcome
    process.gets(signal.SIGUSR2)
    succession["does"] = True
    process.gets(signal.SIGUSR2)
    assert len(succession["went"]) == 1
    logged_failures.events.clear()


def test_a_chat_that_stops_is_not_replaced(machine, succession):
    """It is about to be gone."""
    process = Process(machine).starts()
    process.service.running = 0
    process.gets(signal.SIGUSR2)
    assert succession["started"] == []
    process.service.running = 1


def test_an_heir_that_fails_says_so(machine, monkeypatch):
    """The process before it learns why, and goes on."""
    refused = []

    class Nothing:
        def receive(self, _service):
            raise ValueError("what is that")

        def refuse(self, error):
            refused.append(str(error))

    process = Process(machine)
    process.service._inheritance = Nothing()
    with pytest.raises(ValueError, match="what is that"):
        process.service.privilegedStartService()
    assert refused == ["what is that"]


def test_an_heir_goes_on(machine, tmp_path):
    """It takes everything before it listens, says so once it has started, and shares the log."""
    log = tmp_path / "log"
    log.touch()
    process, steps = Process(machine), []
    process.service._twistd = {"logfile": str(log)}
    process.service._inheritance = SimpleNamespace(
        receive=lambda service: steps.append((service, len(process.reactor.tcpServers))),
        accept=lambda: steps.append(process.service.running),
    )
    with log.open("w") as file:
        process.starts()
        assert fcntl(file.fileno(), F_GETFL) & os.O_APPEND
    assert steps == [(process.service, 0), 1]


def test_a_signal_that_nobody_has_taken_yet_is_for_the_heir(machine, succession):
    """It came when the chat had moved already, or was about to."""
    process = Process(machine).starts()
    machine.handlers[signal.SIGUSR2](signal.SIGUSR2, None)
    machine.handlers[signal.SIGTERM](signal.SIGTERM, None)
    process.reactor.turn()
    [new] = succession["started"]
    assert new.signals == [signal.SIGTERM]
    assert succession["went"] == [(new, True, "")]


def test_a_check_without_what_ssh_needs(capfd, monkeypatch, tmp_path):
    """What is missing is told, and no more: not how Python fails to import it."""
    monkeypatch.setattr("twisted_chat.settings.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "twisted_chat.doors.hostkey", None)
    monkeypatch.delattr("twisted_chat.doors.hostkey", raising=False)
    line = refusal(capfd, "--check", "--ssh", "2222", "--state", str(tmp_path / "chat.sqlite"))
    assert line == ("tcpchat: --ssh 2222: takes what pip install 'twisted-chat[ssh]' installs")
