"""The process that goes on, and the one that stays to watch it: small ones, and parts of them."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from fcntl import F_GETFL, fcntl
from pathlib import Path
from types import SimpleNamespace

import pytest

from twisted_chat import heir, watch
from twisted_chat.handover import Channel
from twisted_chat.heir import Heir
from twisted_chat.logs import as_json

SECONDS = 15.0
PYTHON = [sys.executable, "-I", "-S", "-c"]
RUN = [sys.executable, "-P", "-c", "from twisted.scripts.twistd import run; run()"]
FOREGROUND = {"nodaemon": True}
HERE = Path("/srv/chat")


# The command


def given(twistd, *arguments):
    """Give what is given to twistd, without what always is."""
    command = heir.command(twistd, arguments, HERE)
    assert command[:4] == RUN
    assert command[4:7] == ["-n", "--pidfile=", f"--rundir={Path.cwd()}"]
    return command[7:]


@pytest.mark.parametrize(
    ("twistd", "options"),
    [
        ({}, []),
        (FOREGROUND, []),
        ({**FOREGROUND, "logfile": "-"}, []),
        ({**FOREGROUND, "logfile": "log"}, ["--logfile=/srv/chat/log"]),
        ({**FOREGROUND, "logfile": "/var/log/chat"}, ["--logfile=/var/log/chat"]),
        ({"nodaemon": False}, ["--logfile=/srv/chat/twistd.log"]),
        ({"nodaemon": False, "logfile": "-"}, []),
        ({"nodaemon": False, "syslog": True, "prefix": "x"}, ["--prefix=x", "--syslog"]),
        (
            {"reactor": "poll", "logger": as_json},
            ["--reactor=poll", "--logger=twisted_chat.logs.as_json"],
        ),
    ],
)
def test_the_options_of_twistd_are_kept(twistd, options):
    """The log stays where it is, for a daemon and in the foreground, and so does the reactor."""
    assert given(twistd) == [*options, "tcpchat"]


def test_the_options_of_the_chat_are_kept():
    """They come as they were given, whatever is in them."""
    assert given({}, "--port", "1", "--motd=a b") == ["tcpchat", "--port", "1", "--motd=a b"]


@pytest.mark.parametrize(
    ("twistd", "file"),
    [
        ({}, None),
        ({"nodaemon": False}, HERE / "twistd.log"),
        ({"nodaemon": False, "syslog": True, "logfile": "x"}, None),
        ({"logfile": "../log"}, HERE / "../log"),
    ],
)
def test_the_file_that_is_logged_to(twistd, file):
    """It is relative to where twistd was started."""
    assert heir.log_file(twistd, HERE) == file


def test_two_share_a_log(tmp_path):
    """What one writes to it never overwrites what the other has written; other files stay."""
    path = tmp_path / "log"
    with path.open("w") as one, path.open("r+") as other, (tmp_path / "x").open("w") as third:
        heir.share_log(path)
        for number in range(3):
            for name, log in (("one", one), ("other", other)):
                log.write(f"{name} {number}\n")
                log.flush()
        assert not fcntl(third.fileno(), F_GETFL) & os.O_APPEND
    lines = [f"{name} {number}" for number in range(3) for name in ("one", "other")]
    assert path.read_text().splitlines() == lines


def test_who_was_not_started_to_go_on_has_no_channel(monkeypatch):
    """A chat that people start begins by itself."""
    monkeypatch.delenv(heir.VARIABLE, raising=False)
    assert heir.channel() is None


def test_an_heir_finds_its_channel_once(monkeypatch):
    """What it starts itself must not take it for its own."""
    ours, theirs = socket.socketpair()
    monkeypatch.setenv(heir.VARIABLE, str(theirs.detach()))
    channel = heir.channel()
    assert heir.VARIABLE not in os.environ
    assert heir.channel() is None
    with ours:
        Channel(ours).send({"a": 1})
        assert channel.receive(SECONDS).record == {"a": 1}
    channel.close()


# The process

ANSWERS = f"""
import os, signal, socket
channel = socket.socket(fileno=int(os.environ["{heir.VARIABLE}"]))
held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
channel.sendall(f"{{sorted(map(int, held))}} {{os.getcwd()}}\\n".encode())
channel.sendall(f"{{signal.sigwait(held)}}\\n".encode())
"""
SILENT = "import signal; signal.pause()"
WATCHED = sorted(map(int, watch.WATCHED))


@pytest.fixture
def start(tmp_path):
    """Start an heir; none is left in the end."""
    started = []

    def begin(program):
        started.append(Heir([*PYTHON, program], tmp_path))
        return started[-1]

    yield begin
    for one in started:
        one.kill()


def read(channel):
    """Give one line of what a small program says."""
    channel.wait_at_most(SECONDS)
    line = b""
    while not line.endswith(b"\n"):
        line += channel._read(1)
    return line.decode().strip()


@pytest.fixture
def blocked():
    """Have signals wait, and none be left waiting."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watch.WATCHED)
    yield
    while signal.sigtimedwait(watch.WATCHED, 0):
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_an_heir_holds_signals_back_until_it_can_take_them(start, tmp_path):
    """It begins where it is told to, and one that comes early is not lost; ours come as before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    new = start(ANSWERS)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert read(new.channel) == f"{WATCHED} {tmp_path}"
    new.send_signal(signal.SIGHUP)
    assert read(new.channel) == str(int(signal.SIGHUP))


def test_what_waits_here_is_passed_on(start, blocked):
    """A signal that nobody has taken any more is for the heir."""
    new = start(ANSWERS)
    read(new.channel)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    new.take_signals()
    assert read(new.channel) == str(int(signal.SIGTERM))


def test_an_heir_that_is_killed_is_gone(start):
    """Before the chat goes on here, nobody else may have it."""
    new = start(SILENT)
    new.kill()
    assert new._process.returncode == -signal.SIGKILL
    with pytest.raises(OSError, match="Bad file descriptor"):
        new.channel.send({})


def test_what_cannot_be_started_leaves_nothing(tmp_path):
    """It says so; signals come as before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(OSError, match="No such file"):
        Heir([str(tmp_path / "missing")], tmp_path)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_signals_are_let_in(blocked):
    """One that has come before is taken then."""
    taken = []
    before = signal.signal(signal.SIGUSR2, lambda number, _: taken.append(number))
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
    assert taken == []
    heir.let_signals_in()
    assert taken == [signal.SIGUSR2]
    signal.signal(signal.SIGUSR2, before)


class GoneError(BaseException):
    """What a process is once it has become another."""


@pytest.fixture
def steps(monkeypatch):
    """Keep what a process would do as it goes."""
    done = []

    def note(name, *, is_last=False):
        def step(*arguments):
            done.append((name, *arguments))
            if is_last:
                raise GoneError

        return step

    monkeypatch.setattr(watch, "prepare", note("prepare"))
    monkeypatch.setattr(watch, "take_leave", note("take leave"))
    monkeypatch.setattr(os, "_exit", note("exit", is_last=True))
    monkeypatch.setattr(os, "execv", note("exec", is_last=True))
    return done


NEW = SimpleNamespace(take_signals=lambda: None)


@pytest.mark.parametrize("pid_file", ["", "/run/chat.pid", "chat.pid"])
def test_the_first_process_becomes_the_watch(steps, pid_file, tmp_path, monkeypatch):
    """Signals are held back first; it knows which file it has to remove in the end."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GoneError):
        heir.go(NEW, True, pid_file)
    files = [str(tmp_path / pid_file)] if pid_file else []
    command = [sys.executable, "-I", "-S", watch.__file__, *files]
    assert steps == [("prepare",), ("exec", sys.executable, command)]


def test_a_later_process_ends(steps):
    """First the watch is told, then what still waits is passed on."""
    new = SimpleNamespace(take_signals=lambda: steps.append(("pass on",)))
    with pytest.raises(GoneError):
        heir.go(new, False, "chat.pid")
    assert steps == [("prepare",), ("take leave",), ("pass on",), ("exit", 0)]


# The watch, without processes


class World:
    """The processes and signals that a watch sees.

    Each time it waits for a signal the next thing happens.
    """

    def __init__(self, *children):
        self.children = list(children)
        self.ended = deque()
        self.happens = deque()
        self.killed = []

    def ends(self, child, status, *heirs):
        """Have a child end, whose own children are those of the watch from then on."""

        def end():
            self.children.remove(child)
            self.children += heirs
            self.ended.append((child, status))
            return signal.SIGCHLD, 0, child

        self.happens.append(end)

    def comes(self, number, code=0, pid=0):
        """Have a signal come."""
        self.happens.append(lambda: (number, code, pid))

    def wait(self, awaited):
        number, code, pid = self.happens.popleft()()
        assert number in awaited
        return SimpleNamespace(si_signo=number, si_code=code, si_pid=pid)

    def waitpid(self, pid, options):
        assert (pid, options) == (-1, os.WNOHANG)
        if self.ended:
            return self.ended.popleft()
        if not self.children:
            raise ChildProcessError
        return 0, 0

    def kill(self, pid, number):
        self.killed.append((pid, number))
        if pid not in self.children:
            raise ProcessLookupError


@pytest.fixture
def world(monkeypatch):
    world = World(7)
    monkeypatch.setattr(watch, "_children", lambda: list(world.children))
    monkeypatch.setattr(os, "waitpid", world.waitpid)
    monkeypatch.setattr(os, "kill", world.kill)
    monkeypatch.setattr(signal, "sigwaitinfo", world.wait)
    return world


def test_the_watch_ends_as_the_last_child_did(world):
    """Not as one before it."""
    world.children.append(8)
    world.ends(7, 256)
    world.ends(8, 512)
    assert watch.watch() == 512
    assert world.killed == []


def test_without_a_child_the_watch_ends_at_once(world):
    """There is nothing to be waited for."""
    world.children.clear()
    world.ended.append((7, 9))
    assert watch.watch() == 9


@pytest.mark.parametrize("number", sorted(watch.PASSED_ON))
def test_signals_are_passed_on(world, number):
    """Once each; those of a terminal reach the chat without help."""
    world.comes(number)
    world.comes(number, watch.SI_KERNEL)
    world.ends(7, 0)
    assert watch.watch() == 0
    assert world.killed == [(7, number)]


def test_a_signal_amid_a_restart_reaches_the_one_that_goes_on(world):
    """Who takes leave is told that this is known, and gets nothing more."""
    world.comes(watch.LEAVING, pid=7)
    world.comes(signal.SIGHUP)
    world.comes(signal.SIGTERM)
    world.ends(7, 0, 8)
    world.ends(8, 3)
    assert watch.watch() == 3
    assert world.killed == [(7, watch.LEAVING), (8, signal.SIGHUP), (8, signal.SIGTERM)]


def test_the_leave_of_a_stranger_is_none(world):
    """Only a child can take it."""
    world.comes(watch.LEAVING, pid=99)
    world.comes(signal.SIGTERM)
    world.ends(7, 0)
    watch.watch()
    assert world.killed == [(7, signal.SIGTERM)]


def test_a_child_that_has_just_ended_is_told_nothing(world):
    """A signal to it goes nowhere, and nothing else goes wrong."""
    watch._pass_on(signal.SIGTERM, [99, 7])
    assert world.killed == [(99, signal.SIGTERM), (7, signal.SIGTERM)]


def test_children_are_known(tmp_path):
    """The kernel names those of this process."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        assert child.pid in watch._children()
    assert child.pid not in watch._children()


def test_to_prepare_holds_signals_back(monkeypatch, blocked):
    """And has the children of children become its own."""
    called = []
    libc = SimpleNamespace(prctl=lambda *arguments: called.append(arguments))
    monkeypatch.setattr(watch.ctypes, "CDLL", lambda name: libc)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    watch.prepare()
    assert called == [(36, 1, 0, 0, 0)]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == watch.WATCHED


def test_leave_is_taken_of_the_parent(monkeypatch):
    """And its answer is waited for, but not for ever."""
    steps = []
    monkeypatch.setattr(os, "getppid", lambda: 7)
    monkeypatch.setattr(os, "kill", lambda *arguments: steps.append(arguments))
    monkeypatch.setattr(signal, "sigtimedwait", lambda *arguments: steps.append(arguments))
    watch.take_leave()
    assert steps == [(7, signal.SIGUSR1), ([signal.SIGUSR1], 1.0)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_watch_dies_of_what_the_chat_died_of(monkeypatch, steps, number):
    """With the handling that the system has for it, and let through."""

    def handle(number, how):
        steps.append(("handle", number, how))
        if number == signal.SIGKILL:
            raise OSError("Invalid argument")

    monkeypatch.setattr(signal, "signal", handle)
    monkeypatch.setattr(signal, "pthread_sigmask", lambda *how: steps.append(("mask", *how)))
    monkeypatch.setattr(os, "kill", lambda *arguments: steps.append(("kill", *arguments)))
    with pytest.raises(GoneError):
        watch._end(int(number))
    assert steps == [
        ("handle", number, signal.SIG_DFL),
        ("mask", signal.SIG_UNBLOCK, watch.WATCHED),
        ("kill", os.getpid(), number),
        ("exit", -number),
    ]


@pytest.mark.parametrize("exists", [True, False])
def test_the_watch_removes_the_pid_file(monkeypatch, steps, tmp_path, exists):
    """Someone may have done so before; it ends with the exit code of the chat."""
    pid_file = tmp_path / "pid"
    if exists:
        pid_file.touch()
    monkeypatch.setattr(watch, "watch", lambda: 3 << 8)
    monkeypatch.setattr(sys, "argv", ["watch.py", str(pid_file)])
    with pytest.raises(GoneError):
        watch.main()
    assert steps == [("prepare",), ("exit", 3)]
    assert not pid_file.exists()


# The watch as it is run

# Signals are held back from before, as heir.go does it: none that comes early is lost.
BECOME_WATCH = f"""
import os, signal, subprocess, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {WATCHED})
subprocess.Popen([sys.executable, "-I", "-S", "-c", sys.argv[1]])
os.execv(sys.executable, [sys.executable, "-I", "-S", *sys.argv[2:]])
"""
CHAT = """
import os, signal, sys
taken = {signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2}
signal.pthread_sigmask(signal.SIG_BLOCK, taken)
def say(what): os.write(1, f"{what}\\n".encode())
def serve(name):
    say(f"{name} {os.getpid()}")
    while (number := signal.sigwait(taken)) != signal.SIGTERM:
        say(f"{name} {signal.Signals(number).name}")
    say(f"{name} SIGTERM")
"""
# As heir.go does it; the file is the module itself.
HAND_OVER = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("watch", {watch.__file__!r})
watch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(watch)
say("old")
signal.sigwait([signal.SIGHUP])
if not os.fork():
    serve("heir")
    os._exit(5)
watch.prepare()
watch.take_leave()
say("left")
os.read(0, 1)
os._exit(3)
"""


class Watched:
    """A watch, and a small program in place of a chat."""

    def __init__(self, program, *files):
        command = [*PYTHON, BECOME_WATCH, CHAT + program, watch.__file__, *files]
        self.popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._seen = b""

    def sees(self):
        """Give one line of what is said."""
        while b"\n" not in self._seen:
            assert select.select([self.popen.stdout], [], [], SECONDS)[0]
            data = os.read(self.popen.stdout.fileno(), 65536)
            assert data, self._seen
            self._seen += data
        line, _, self._seen = self._seen.partition(b"\n")
        return line.decode()


@pytest.fixture
def run():
    """Run a watch; nothing of it is left in the end."""
    watched = []

    def begin(program, *files):
        watched.append(Watched(program, *files))
        return watched[-1]

    yield begin
    for one in watched:
        with suppress(ProcessLookupError):
            os.killpg(one.popen.pid, signal.SIGKILL)
        one.popen.communicate()


@pytest.mark.real
def test_a_real_watch_passes_on_what_it_is_sent(run, tmp_path):
    """It stays for as long as the chat, with its exit code, and takes the pid file with it."""
    pid_file = tmp_path / "pid"
    pid_file.touch()
    watched = run("serve('chat'); os._exit(3)", str(pid_file))
    watched.sees()
    for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGUSR1, signal.SIGHUP):
        watched.popen.send_signal(number)
        if number != signal.SIGUSR1:
            assert watched.sees() == f"chat {number.name}"
    assert pid_file.exists()
    watched.popen.send_signal(signal.SIGTERM)
    assert watched.sees() == "chat SIGTERM"
    assert watched.popen.wait(SECONDS) == 3
    assert not pid_file.exists()


@pytest.mark.real
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGALRM])
def test_a_real_watch_dies_of_the_same_signal(run, number):
    """Whoever waits for it is told what became of the chat."""
    watched = run("serve('chat')")
    chat = int(watched.sees().split()[1])
    os.kill(chat, number)
    assert watched.popen.wait(SECONDS) == -number


@pytest.mark.real
def test_a_real_watch_goes_on_with_the_next(run):
    """A signal between two processes is for the one that stays, and so is the end."""
    watched = run(HAND_OVER)
    assert watched.sees() == "old"
    watched.popen.send_signal(signal.SIGHUP)
    assert {watched.sees().split()[0], watched.sees().split()[0]} == {"heir", "left"}
    watched.popen.send_signal(signal.SIGUSR2)
    watched.popen.stdin.write(b"\n")
    watched.popen.stdin.flush()
    assert watched.sees() == "heir SIGUSR2"
    watched.popen.send_signal(signal.SIGTERM)
    assert watched.sees() == "heir SIGTERM"
    assert watched.popen.wait(SECONDS) == 5
