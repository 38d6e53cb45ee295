"""The process that stays, the one that goes on, and how they are started."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from real import wait_until

from twisted_chat import heir, watch

WATCH = [sys.executable, "-I", "-S", watch.__file__]


class Kernel:
    """Gives signals and ends of children as they are told beforehand."""

    def __init__(self, monkeypatch, children, happens):
        self.children = list(children)
        self.happens = list(happens)
        self.killed = []
        monkeypatch.setattr(watch, "_children", lambda: self.children)
        monkeypatch.setattr(watch.os, "kill", lambda pid, number: self.killed.append((pid, number)))
        monkeypatch.setattr(watch.os, "waitpid", self.waitpid)
        monkeypatch.setattr(watch.signal, "sigwaitinfo", self.sigwaitinfo)
        self.ended = []

    def waitpid(self, _pid, _options):
        if self.ended:
            return self.ended.pop()
        if not self.children:
            raise ChildProcessError
        return 0, 0

    def sigwaitinfo(self, _numbers):
        number, code, pid, *ends = self.happens.pop(0)
        for child, status, *heirs in ends:
            self.children.remove(child)
            self.children += heirs
            self.ended.append((child, status))
        return signal.struct_siginfo((number, code, 0, pid, 0, 0, 0))


def test_signals_are_passed_on(monkeypatch):
    """All but those that a terminal has sent to the chat as well; the end is that of the last."""
    kernel = Kernel(
        monkeypatch,
        [7],
        [
            (signal.SIGHUP, 0, 1),
            (signal.SIGINT, watch.SI_KERNEL, 0),
            (watch.LEAVING, 0, 99),  # a stranger
            (watch.LEAVING, 0, 7),
            (signal.SIGTERM, 0, 1),  # for the next one
            (signal.SIGCHLD, 0, 7, (7, 0, 8)),
            (signal.SIGCHLD, 0, 8, (8, 3 << 8)),
        ],
    )
    assert watch.watch() == 3 << 8
    assert kernel.killed == [(7, signal.SIGHUP), (7, watch.LEAVING), (8, signal.SIGTERM)]


@pytest.mark.parametrize(
    ("code", "status"), [("raise SystemExit(5)", 5), ("import os; os.kill(os.getpid(), 9)", -9)]
)
def test_it_ends_as_its_last_child(tmp_path, code, status):
    """And takes the pid file away; a grandchild whose parent has gone counts as a child."""
    pid_file = tmp_path / "pid"
    pid_file.write_text("1")
    start = (
        "import subprocess, os, sys;"
        f"subprocess.Popen([sys.executable, '-c', '''"
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {code!r}])'''], "
        "start_new_session=True);"
        f"os.execv(sys.executable, {[*WATCH, str(pid_file)]!r})"
    )
    started = subprocess.run([sys.executable, "-c", start], timeout=15, check=False)
    assert started.returncode == status
    assert not pid_file.exists()


def test_children_are_found():
    """As the kernel lists them."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert child.pid in watch._children()
    child.communicate(b"\n", timeout=15)


# How the next one is started


@pytest.mark.parametrize(
    ("twistd", "expected"),
    [
        ({"nodaemon": True}, []),
        ({"nodaemon": True, "logfile": "-"}, []),
        ({"nodaemon": True, "logfile": "log"}, ["--logfile=/start/log"]),
        ({"nodaemon": False}, ["--logfile=/start/twistd.log"]),
        ({"nodaemon": False, "syslog": True, "prefix": "chat"}, ["--prefix=chat", "--syslog"]),
        ({"reactor": "poll", "nodaemon": True}, ["--reactor=poll"]),
    ],
)
def test_the_command(twistd, expected):
    """It starts what was started, in the foreground, with the log where it was."""
    found = heir.command(twistd, ["--port", "1"], Path("/start"))
    own = ["-n", "--pidfile=", f"--rundir={Path.cwd()}"]
    assert found[4:] == [*own, *expected, "tcpchat", "--port", "1"]
    assert found[0] == sys.executable


def test_two_who_log_to_one_file(tmp_path):
    """Neither writes over what the other has written."""
    path = tmp_path / "log"
    path.write_text("begin\n")
    with path.open("r+b", 0) as one, path.open("r+b", 0) as other:
        one.seek(0, 2)
        other.seek(0, 2)
        heir.share_log(path)
        one.write(b"one\n")
        other.write(b"other\n")
        one.write(b"one\n")
    assert path.read_text() == "begin\none\nother\none\n"


def test_the_channel_of_an_heir(monkeypatch):
    """It is told through which descriptor; whoever is none has no channel."""
    monkeypatch.delenv(heir.VARIABLE, raising=False)
    assert heir.channel() is None
    ours, theirs = socket.socketpair()
    monkeypatch.setenv(heir.VARIABLE, str(theirs.detach()))
    channel = heir.channel()
    ours.close()
    with pytest.raises(EOFError):
        channel.receive(5)
    channel.close()
    assert heir.VARIABLE not in os.environ


def test_an_heir(tmp_path):
    """It is given the channel, runs where the chat was started, and waits for no signal."""
    code = (
        "import os, signal, socket, pathlib;"
        f"s = socket.socket(fileno=int(os.environ['{heir.VARIABLE}']));"
        "pathlib.Path('here').touch(); s.send(b'x');"
        "print(signal.sigwait([signal.SIGHUP])); s.send(b'y'); signal.pause()"
    )
    new = heir.Heir([sys.executable, "-c", code], tmp_path)
    assert new.channel._socket.recv(1) == b"x"
    assert (tmp_path / "here").exists()
    new.send_signal(signal.SIGHUP)
    assert new.channel._socket.recv(1) == b"y"
    pid = new._process.pid
    new.kill()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the end")


def test_how_the_one_before_goes(monkeypatch, tmp_path):
    """The first becomes the watch; any other passes on what waits, and ends at once."""
    done = []

    class Gone(BaseException):
        pass

    def gone(*what):
        done.append(what)
        raise Gone

    class New:
        def take_signals(self):
            done.append("signals")

    monkeypatch.setattr(heir.watch, "prepare", lambda: done.append("prepare"))
    monkeypatch.setattr(heir.watch, "take_leave", lambda: done.append("leave"))
    monkeypatch.setattr(heir.os, "execv", gone)
    monkeypatch.setattr(heir.os, "_exit", gone)
    with pytest.raises(Gone):
        heir.go(New(), True, str(tmp_path / "pid"))
    path, command = done.pop()
    assert (path, command[0]) == (sys.executable, sys.executable)
    assert command[-2:] == [watch.__file__, str(tmp_path / "pid")]
    with pytest.raises(Gone):
        heir.go(New(), False, "")
    assert done == ["prepare", "prepare", "leave", "signals", (0,)]


def test_signals_that_wait_are_passed_on(monkeypatch):
    """Those that somebody has sent, and no others."""
    sent = []
    new = heir.Heir.__new__(heir.Heir)
    monkeypatch.setattr(heir.Heir, "send_signal", lambda _self, number: sent.append(number))
    pending = {signal.SIGTERM, signal.SIGCHLD, watch.LEAVING}
    monkeypatch.setattr(heir.signal, "sigpending", lambda: pending)
    new.take_signals()
    assert sent == [signal.SIGTERM]
