"""The process: how it starts, what signals do to it, and how it ends."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from real import (
    ANYWHERE,
    FAREWELL,
    SECONDS,
    WELCOME,
    Chat,
    Peer,
    Terminal,
    free_port,
    need,
    twistd,
    wait_until,
)

pytestmark = pytest.mark.real

OPEN = ("--flood", "off", "--max-per-address", "0", "--replay", "0")
OPTIONS = (
    "port",
    "state",
    "motd",
    "max-line",
    "flood",
    "max-connections",
    "max-per-address",
    "sendq",
    "idle-timeout",
    "drain",
    "keep",
    "keep-lines",
    "replay",
    "config",
)
PLACE = "takes 0 to 65535, or an endpoint such as tcp:8888:interface=127.0.0.1"
LONG = "x" * 1000
LEFT = {"motd.txt", "tcpchat.sqlite", "tcpchat.sqlite.lock"}
"""What is left of a chat that was stopped in order, and of the message of the day."""


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    """One with two TCP ports and a unix socket."""
    ports = (ANYWHERE, ANYWHERE, "unix:chat.sock")
    with Chat(tmp_path_factory.mktemp("chat"), *OPEN, ports=ports) as chat:
        yield chat


@pytest.fixture
def everyone_goes_home(chat: Chat) -> Iterator[None]:
    yield
    chat.go_home()


def run(*options: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run ``twistd`` to its end."""
    return subprocess.run(
        [twistd(), *options],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def last_line(done: "subprocess.CompletedProcess[str]") -> str:
    return (done.stderr or done.stdout).splitlines()[-1]


# Starting


@pytest.mark.usefixtures("everyone_goes_home")
def test_several_doors_at_once(chat):
    """People on several ports and a unix socket are in one room."""
    assert len(set(chat.ports)) == 2
    addresses = [*(("127.0.0.1", port) for port in chat.ports), str(chat.directory / "chat.sock")]
    ann, bob, cyd = (
        chat.enter(name, address=address)
        for name, address in zip(("ann", "bob", "cyd"), addresses, strict=True)
    )
    ann.expect("> bob joined the room", "> cyd joined the room")
    bob.expect("> cyd joined the room")
    cyd.say("hello from afar")
    ann.expect("> cyd: hello from afar")
    bob.expect("> cyd: hello from afar")
    bob.asks("/who", "> here: ann, bob, cyd")


def test_the_start_says_how_to_get_in(chat):
    """Each TCP port is named in the log, by the command that reaches it; a unix socket is not."""
    found = re.findall(r"people reach it with: (.*)", chat.log())
    assert found == [f"telnet localhost {port}" for port in chat.ports]


def test_the_version(tmp_path):
    """``--version`` prints our version, and nothing of Twisted's."""
    done = run("tcpchat", "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"twisted-chat {version('twisted-chat')}\n",
        "",
    )


def test_help(tmp_path):
    """``--help`` names every option."""
    done = run("tcpchat", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for option in OPTIONS:
        assert f"--{option}=" in done.stdout
    assert list(tmp_path.iterdir()) == []


WRONG = {
    "--port x": f"--port x: {PLACE}",
    "--port tcp:x": "--port tcp:x: ",
    "--port tcp:70000": "--port tcp:70000: ",
    "--port gopher:70": "--port gopher:70: ",
    "--port unix:missing/chat.sock": "--port unix:missing/chat.sock: ",
    "--port ssl:0:privateKey=missing.pem": "--port ssl:0:privateKey=missing.pem: ",
    "--motd missing.txt": "missing.txt: takes a file of UTF-8 text",
    "--max-line 3": "--max-line 3: takes 16 to 65536 bytes",
    "--frobnicate": "option --frobnicate not recognized",
}
"""Options, and what the last line of a start with them holds."""


@pytest.fixture(scope="module")
def wrong_starts(
    tmp_path_factory: pytest.TempPathFactory,
) -> "dict[str, tuple[subprocess.CompletedProcess[str], list[Path]]]":
    """Start with each of the wrong options; give how it ended, and what files it left."""
    directories = {options: tmp_path_factory.mktemp("wrong") for options in WRONG}
    started = {
        options: subprocess.Popen(
            [twistd(), "-n", "tcpchat", *options.split()],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for options, directory in directories.items()
    }
    found = {}
    for options, process in started.items():
        try:
            output, errors = process.communicate(timeout=4 * SECONDS)
        finally:
            process.kill()
        done = subprocess.CompletedProcess(process.args, process.returncode, output, errors)
        found[options] = (done, list(directories[options].iterdir()))
    return found


@pytest.mark.parametrize("options", WRONG)
def test_a_wrong_option(wrong_starts, options):
    """A wrong value ends with exit 1, and with one line that says what is right."""
    done, files = wrong_starts[options]
    assert done.returncode == 1
    assert WRONG[options] in last_line(done)
    assert "Traceback" not in done.stdout + done.stderr
    assert "Options:" not in done.stdout + done.stderr
    assert files == []


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port(tmp_path, taken):
    """It ends with exit 1, one line that says so, no traceback and no pid file."""
    done = run("-n", "tcpchat", "--port", f"tcp:{taken}:interface=127.0.0.1", cwd=tmp_path)
    assert done.returncode == 1
    words = f"tcpchat: --port 127.0.0.1:{taken}: Address already in use."
    assert re.fullmatch(f"{re.escape(words)}.*\n", done.stderr)
    assert "Traceback" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_as_a_daemon(tmp_path, taken):
    """A daemon that cannot start says so to the shell, and leaves no pid file."""
    options = ("--logfile", "log", "--pidfile", "pid", "tcpchat")
    done = run(*options, "--port", f"tcp:{taken}:interface=127.0.0.1", cwd=tmp_path)
    assert done.returncode == 1
    assert "Address already in use" in done.stdout + done.stderr
    wait_until(lambda: not (tmp_path / "pid").exists(), "an end without a pid file")


@pytest.mark.parametrize("option", ["port", "json"])
def test_one_of_two_ports_is_taken(tmp_path, taken, option):
    """All ports or none: with one of them taken, nothing is started; its option is named."""
    free = free_port()
    ports = ("--port", f"tcp:{free}:interface=127.0.0.1")
    ports += (f"--{option}", f"tcp:{taken}:interface=127.0.0.1")
    done = run("-n", "tcpchat", *ports, cwd=tmp_path)
    assert done.returncode == 1
    told = (done.stderr or done.stdout).splitlines()[-1]
    assert f"--{option} 127.0.0.1:{taken}: Address already in use" in told
    assert list(tmp_path.iterdir()) == []


def test_starting_again_after_a_kill(tmp_path):
    """After a ``kill -9``, the same ports and files can be used at once."""
    port = free_port()
    ports = (f"tcp:{port}:interface=127.0.0.1", "unix:chat.sock")
    with Chat(tmp_path, *OPEN, ports=ports) as chat:
        chat.enter("ann")
        chat.signal(signal.SIGKILL)
        assert chat.exit_code() == -signal.SIGKILL
    chat.log_file.unlink()
    with Chat(tmp_path, *OPEN, ports=ports) as chat:
        chat.enter("ann")
        chat.enter("bob", address=str(tmp_path / "chat.sock")).asks("/who", "> here: ann, bob")


def test_file_names_are_kept(tmp_path):
    """A file that an option names is found although twistd changes the directory."""
    (tmp_path / "motd.txt").write_text("be kind\n")
    (tmp_path / "elsewhere").mkdir()
    port = free_port()
    process = subprocess.Popen(
        [
            *(twistd(), "-n", "--logfile", "../log", "--rundir", "elsewhere"),
            *("tcpchat", "--motd", "motd.txt", "--port", f"tcp:{port}:interface=127.0.0.1"),
        ],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
    )
    try:
        with wait_until(lambda: try_to_connect(port), "a chat that listens") as peer:
            peer.expect(WELCOME.format("anonymous"), "> - be kind")
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0


def try_to_connect(port: int) -> Peer | None:
    try:
        return Peer(socket.create_connection(("127.0.0.1", port), SECONDS))
    except ConnectionRefusedError:
        return None


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def test_as_a_daemon(tmp_path):
    """Without ``-n``: the pid file is right, SIGTERM stops it, and the pid file is gone."""
    port = free_port()
    options = ("--logfile", "log", "--pidfile", "pid", "tcpchat")
    done = run(*options, "--port", f"tcp:{port}:interface=127.0.0.1", cwd=tmp_path)
    assert done.returncode == 0
    pid_file = tmp_path / "pid"
    pid = int(wait_until(lambda: pid_file.exists() and pid_file.read_text(), "a pid file"))
    try:
        assert b"tcpchat" in Path(f"/proc/{pid}/cmdline").read_bytes()
        with wait_until(lambda: try_to_connect(port), "a chat that listens") as peer:
            peer.expect(WELCOME.format("anonymous"))
            log = tmp_path / "log"
            wait_until(lambda: "people reach it with" in log.read_text(), "the start")
            os.kill(pid, signal.SIGTERM)
            peer.expect_end(FAREWELL)
        wait_until(lambda: not is_alive(pid), "the end")
        assert not pid_file.exists()
    finally:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


# Stopping


def get_stuck(chat: Chat, number: int) -> tuple[Peer, Peer, list[Peer], int]:
    """Have megabytes wait for people who do not read; give ann, bob, the stuck, and the lines."""
    stuck = [chat.enter(f"stuck{one}", receive_buffer=4096) for one in range(number)]
    ann, bob = chat.enter("ann"), chat.enter("bob")
    ann.expect("> bob joined the room")
    lines = 4000
    for first in range(0, lines, 100):
        some = [f"{one} {LONG}" for one in range(first, first + 100)]
        ann.say(*some)
        bob.expect(*[f"> ann: {line}" for line in some])
    return ann, bob, stuck, lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_order(tmp_path, number):
    """A signal tells everyone and ends with exit 0 within ``--drain``, whoever reads or not."""
    with Chat(tmp_path, *OPEN, "--drain", "1", "--sendq", "50000000") as chat:
        ann, bob, stuck, _ = get_stuck(chat, 3)
        guest = chat.connect()
        began = time.monotonic()
        chat.signal(number)
        for peer in (ann, bob, guest):
            peer.expect_end(FAREWELL)
        assert chat.exit_code() == 0
        assert 0.9 < time.monotonic() - began < 8
        assert not (tmp_path / "twistd.pid").exists()
        assert stuck[0].read() == "> stuck1 joined the room"
    assert "Traceback" not in chat.log()


def test_what_waits_is_let_out(tmp_path):
    """Who reads at last, during a stop, gets all that waited and the farewell."""
    with Chat(tmp_path, *OPEN, "--drain", "60", "--sendq", "50000000") as chat:
        ann, bob, (stuck,), lines = get_stuck(chat, 1)
        chat.signal(signal.SIGTERM)
        ann.expect_end(FAREWELL)
        bob.expect_end(FAREWELL)
        said = [f"> ann: {one} {LONG}" for one in range(lines)]
        stuck.expect_end("> ann joined the room", "> bob joined the room", *said, FAREWELL)
        assert chat.exit_code() == 0


def test_a_second_signal_hurries(tmp_path):
    """While people are let out, nobody comes in; a second signal ends it, with exit 0 too."""
    with Chat(tmp_path, *OPEN, "--drain", "600", "--sendq", "50000000") as chat:
        ann, bob, _, _ = get_stuck(chat, 2)
        chat.signal(signal.SIGTERM)
        ann.expect_end(FAREWELL)
        bob.expect_end(FAREWELL)
        with pytest.raises(ConnectionRefusedError):
            chat.connect()
        assert chat.popen.poll() is None
        chat.signal(signal.SIGTERM)
        assert chat.exit_code() == 0
        assert not (tmp_path / "twistd.pid").exists()


def test_a_stop_of_an_empty_chat(tmp_path):
    """With nobody there, it ends at once, however long ``--drain`` is."""
    with Chat(tmp_path, "--drain", "600") as chat:
        chat.signal(signal.SIGINT)
        assert chat.exit_code() == 0


# In a terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[tuple[Terminal, Peer]]:
    """A chat in somebody's terminal, and someone who chats."""
    (tmp_path / "motd.txt").write_text("one\n")
    options = ("-n", "tcpchat", "--motd", "motd.txt", "--port", ANYWHERE)
    with Terminal(twistd(), *options, cwd=tmp_path) as terminal:
        terminal.expect_text("people reach it with: telnet localhost ")
        port = int(terminal.sees())
        with Peer(socket.create_connection(("127.0.0.1", port), SECONDS)) as peer:
            peer.expect(WELCOME.format("anonymous"), "> - one")
            yield terminal, peer


def test_ctrl_c(terminal, tmp_path):
    """Ctrl-C in the terminal is a stop in order."""
    terminal, peer = terminal
    terminal.press(b"\x03")
    peer.expect_end(FAREWELL)
    assert terminal.exit_code() == 0
    assert {file.name for file in tmp_path.iterdir()} == LEFT


def test_a_closed_terminal(terminal, tmp_path):
    """When the terminal goes away, that is a stop in order, though nothing can be logged."""
    terminal, peer = terminal
    terminal.hang_up()
    peer.expect_end(FAREWELL)
    assert terminal.exit_code() == 0
    assert {file.name for file in tmp_path.iterdir()} == LEFT


def test_a_hangup_in_a_terminal_that_is_there(terminal, tmp_path):
    """SIGHUP with the terminal still there is a reload."""
    terminal, peer = terminal
    (tmp_path / "motd.txt").write_text("two\n")
    terminal.signal(signal.SIGHUP)
    wait_until(lambda: ask(peer, "/motd") == ["> - two"], "the new message")
    assert terminal.popen.poll() is None


def ask(peer: Peer, line: str) -> list[str]:
    """Ask something, and give the answer, whatever it is."""
    end = "err: /back takes nothing more. usage: /back"
    peer.say(line, "/back now")
    return list(iter(peer.read, end))


# Reloading


def test_reloading(tmp_path):
    """The message of the day is read anew; a wrong file changes nothing, and the log says why."""
    motd = tmp_path / "motd.txt"
    motd.write_text("be kind\n\nse\u00f1or \x1b[1m\n", "utf-8")
    options = (*OPEN, "--motd", "motd.txt")
    with Chat(tmp_path, *options, warm=False) as chat:
        ann = chat.connect()
        ann.expect("> - be kind", "> - ", "> - se\u00f1or \ufffd[1m")
        ann.asks("/motd", "> - be kind", "> - ", "> - se\u00f1or \ufffd[1m")
        motd.write_text("two\n")
        chat.signal(signal.SIGHUP)
        wait_until(lambda: ask(ann, "/motd") == ["> - two"], "the new message")
        kept = "not reloaded, all stays as it was: "
        motd.write_bytes(b"\xff\xfe")
        chat.signal(signal.SIGHUP)
        chat.wait_for_log(kept)
        ann.asks("/motd", "> - two")
        motd.unlink()
        chat.signal(signal.SIGHUP)
        chat.wait_for_log(kept, 2)
        ann.asks("/motd", "> - two")
        assert "motd.txt" in chat.log().rpartition(kept)[2]
        motd.write_text("three\n")
        chat.signal(signal.SIGHUP)
        wait_until(lambda: ask(ann, "/motd") == ["> - three"], "the new message")
        chat.connect("anonymous-2").expect("> - three")
        assert "Traceback" not in chat.log()


# Connections


@pytest.mark.usefixtures("everyone_goes_home")
def test_a_half_closed_connection(chat):
    """Who closes the half that writes gets every answer, has left, and then it closes."""
    ann = chat.enter("ann")
    bob = chat.connect()
    bob.say("/nick bob", "/join tea", "hello", *["/who"] * 500, "/rooms")
    bob.finish()
    bob.expect_end(
        "> all right, I will call you bob",
        "> welcome to tea",
        "> here: ann, bob",
        *["> here: ann, bob"] * 500,
        "> available rooms: tea",
    )
    ann.expect("> bob joined the room", "> bob: hello", "> bob has left the room")


@pytest.mark.usefixtures("everyone_goes_home")
def test_a_half_closed_connection_with_much_to_read(chat):
    """What waits for someone who has closed their half still arrives in full."""
    ann, bob = chat.enter("ann"), chat.enter("bob", receive_buffer=4096)
    ann.expect("> bob joined the room")
    said = [f"{number} {LONG}" for number in range(800)]
    ann.say(*said)
    ann.asks("/who", "> here: ann, bob")
    bob.finish()
    ann.expect("> bob has left the room")
    bob.expect_end(*[f"> ann: {line}" for line in said])


@pytest.mark.usefixtures("everyone_goes_home")
def test_nc(chat):
    """A line piped into ``nc`` shows the rooms and ends."""
    nc = need("nc")
    usage = subprocess.run([nc, "-h"], capture_output=True, text=True, timeout=SECONDS, check=False)
    closing = ["-N"] if "-N" in usage.stdout + usage.stderr or "OpenBSD" in usage.stderr else []
    chat.enter("ann")
    done = subprocess.run(
        [nc, *closing, "127.0.0.1", str(chat.port)],
        input=b"/rooms\n",
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    lines = done.stdout.decode().split("\r\n")
    assert lines[0] == WELCOME.format("anonymous")
    assert lines[-2:] == ["> available rooms: tea", ""]


@pytest.mark.usefixtures("everyone_goes_home")
@pytest.mark.parametrize(
    "request_line",
    [
        "GET / HTTP/1.1",
        "POST /join HTTP/1.0",
        "OPTIONS * HTTP/1.1",
        "CONNECT 127.0.0.1:25 HTTP/1.1",
        "PRI * HTTP/2.0",
        f"GET /{'x' * 5000} HTTP/1.1",
    ],
)
def test_http(chat, request_line):
    """A request of HTTP gets one line, and nothing in it is obeyed or said."""
    ann = chat.enter("ann")
    web = chat.connect()
    web.say(request_line, "Host: localhost", "", "/nick mallory", "/join tea", "hello")
    web.expect_end("err: this is a chat, not a web server. telnet reaches it")
    ann.asks("/who", "> here: ann")


def test_no_more_connections_than_allowed(tmp_path):
    """Who comes when the chat is full is told so, until somebody leaves."""
    with Chat(tmp_path, *OPEN, "--max-connections", "2") as chat:
        ann, _ = chat.connect(), chat.connect("anonymous-2")
        chat.connect(greeted=False).expect_end("err: the chat is full. try again later")
        ann.asks("/quit", "> sad to see you go =(")
        ann.expect_end()
        chat.connect()
        chat.connect(greeted=False).expect_end("err: the chat is full. try again later")


def test_no_more_from_one_address_than_allowed(tmp_path):
    """One address has so many connections, and so many in a minute; a unix peer has none."""
    ports = (ANYWHERE, "unix:chat.sock")
    with Chat(tmp_path, "--max-per-address", "3", ports=ports, warm=False) as chat:
        guests = [chat.connect(greeted=False) for _ in range(3)]
        for guest in guests:
            guest.read()
        late = chat.connect(greeted=False)
        late.expect_end("err: there are 3 connections from your address already")
        for number in range(4, 10):
            chat.connect(f"anonymous-{number}", str(tmp_path / "chat.sock"))
        guests[0].asks("/quit", "> sad to see you go =(")
        guests[0].expect_end()
        chat.connect(greeted=False).expect_end(
            "err: more than 3 connections from your address in a minute. try again later"
        )


def test_the_limits_of_a_line(tmp_path):
    """``--max-line`` and ``--flood`` bound lines, and lose none that are allowed."""
    with Chat(tmp_path, "--max-line", "100", "--flood", "50/10", warm=False) as chat:
        ann, bob = chat.enter("ann"), chat.enter("bob")
        ann.expect("> bob joined the room")
        began = time.monotonic()
        bob.say("x" * 101, *[f"line {number}" for number in range(40)])
        bob.expect("err: a line holds at most 100 bytes")
        ann.expect(*[f"> bob: line {number}" for number in range(40)])
        assert time.monotonic() - began > (40 - 10 - 1) / 50


def test_silence(tmp_path):
    """Who is silent for longer than ``--idle-timeout`` is told so and let go."""
    with Chat(tmp_path, "--idle-timeout", "0.2", warm=False) as chat:
        chat.connect().expect_end("err: you have been silent for too long. goodbye")


# The log


@pytest.mark.usefixtures("everyone_goes_home")
def test_nothing_typed_forges_a_line_of_the_log(chat):
    """Nothing that a person types is in the log, whatever it is."""
    ann = chat.connect()
    forged = "2026-01-01T00:00:00+0000 [-] forged"
    for command in (
        "",
        "/nick ",
        "/join ",
        "/quit ",
        "/tell bob ",
        "/away ",
        "/foo ",
        "GET /",
        "/time ",
    ):
        peer = chat.connect("anonymous-2", greeted=False)
        peer.send(f"{command}{forged}\n{command}x\x1b[2J\x0b{forged}\r\n\xff\xf4".encode("latin-1"))
        peer.finish()
        peer.read_to_end()
    ann.asks("/rooms", "> available rooms: none. /join NAME makes one")
    lines = chat.log().splitlines()
    assert not [line for line in lines if "forged" in line]
    assert all(re.match(r"[0-9-]{10}T[0-9:]{8}[+-][0-9]{4} \[", line) for line in lines)
