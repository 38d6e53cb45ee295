"""Promise 3, against the real process: what was shown is there after a crash, and after a stop."""

import os
import pwd
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from real import ANYWHERE, SECONDS, Chat, Peer, Process, twistd, wait_until

pytestmark = pytest.mark.real

OPEN = ("--flood", "off", "--max-per-address", "0", "--sendq", "100000000")
STATE = "tcpchat.sqlite"
TAKES = "takes a file of one chat, in a directory that can be written, or :memory:"
TALKERS = 3
CRASHES = 6
HANDED_OVER = 0.1
"""Seconds after which what was shown must survive a kill."""
SAID = re.compile(rb"> t\d: (\d+ \d+)\r\n")


def lines_in(path: Path) -> list[str]:
    """Give what is in a file, in the order in which it was said."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [text for (text,) in connection.execute("SELECT text FROM lines ORDER BY id")]


class Witness:
    """A member of the room who notes what was shown, and when."""

    def __init__(self, peer: Peer) -> None:
        self.heard: list[tuple[str, float]] = []
        self._peer = peer
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        rest = b""
        while True:
            try:
                data = self._peer.sock.recv(1 << 18)
            except OSError:
                return
            now = time.monotonic()
            if not data:
                return
            whole, _, rest = (rest + data).rpartition(b"\r\n")
            self.heard += [(text.decode(), now) for text in SAID.findall(whole + b"\r\n")]

    def has_heard_for(self, seconds: float) -> bool:
        """Tell whether the first line was heard so long ago."""
        return bool(self.heard) and time.monotonic() - self.heard[0][1] > seconds

    def leave(self) -> list[tuple[str, float]]:
        """Give what was heard until the end of the connection."""
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        return self.heard


def talk(peer: Peer, name: str, done: threading.Event) -> None:
    """Talk until the connection breaks, in bursts and alone."""
    number = 0
    with_pauses = random.Random(name)
    while not done.is_set():
        burst = with_pauses.choice((1, 1, 5, 50))
        lines = "".join(f"{name} {number + more}\r\n" for more in range(burst))
        number += burst
        try:
            peer.sock.sendall(lines.encode())
        except OSError:
            return
        done.wait(with_pauses.choice((0.0, 0.001, 0.005)))


@contextmanager
def conversation(chat: Chat, crash: int) -> Iterator[Witness]:
    """Have some people talk as fast as they can, until the block ends."""
    talkers = [chat.enter(f"t{number}") for number in range(TALKERS)]
    peer = chat.enter("witness")
    witness = Witness(peer)
    done = threading.Event()
    threads = [
        threading.Thread(target=talk, args=(talker, f"{crash}{number}", done))
        for number, talker in enumerate(talkers)
    ]
    for thread in threads:
        thread.start()
    try:
        yield witness
    finally:
        done.set()
        for thread in threads:
            thread.join(SECONDS)


def in_order(found: list[str]) -> bool:
    """Tell whether each talker's lines are there once, and in order."""
    last: dict[str, int] = {}
    for text in found:
        talker, number = text.split()
        if int(number) <= last.get(talker, -1):
            return False
        last[talker] = int(number)
    return True


@pytest.mark.long
def test_kill_at_random_moments(tmp_path, capsys):
    """Again and again: every line that was shown 100 ms before is there, once and in order."""
    moments = random.Random(4)
    shown: list[str] = []
    worst = 0.0
    for crash in range(CRASHES):
        with Chat(tmp_path, *OPEN, warm=False) as chat:
            with conversation(chat, crash + 1) as witness:
                seconds = moments.uniform(0.2, 1.0)
                wait_until(lambda w=witness, s=seconds: w.has_heard_for(s), "a conversation")
                chat.signal(signal.SIGKILL)
                killed = time.monotonic()
                chat.exit_code()
            heard = witness.leave()
        with Chat(tmp_path, *OPEN, warm=False):
            found = lines_in(tmp_path / STATE)
        assert in_order(found)
        there = set(found)
        assert there.issuperset(shown)
        late = [text for text, at in heard if killed - at > HANDED_OVER]
        assert len(late) > 10
        assert there.issuperset(late)
        missing = [killed - at for text, at in heard if text not in there]
        worst = max([worst, *missing])
        shown = found
    with capsys.disabled():
        print(f" [{len(shown):,} lines, {CRASHES} kills, worst {worst * 1000:.0f} ms] ", end="")  # noqa: T201


def test_a_stop_in_order_under_load_loses_nothing(tmp_path):
    """Every line that anyone was shown is there, and nothing twice."""
    with Chat(tmp_path, *OPEN, warm=False) as chat:
        with conversation(chat, 1) as witness:
            wait_until(lambda: len(witness.heard) > 1000, "a conversation")
            chat.signal(signal.SIGTERM)
            assert chat.exit_code() == 0
        heard = [text for text, _ in witness.leave()]
    found = lines_in(tmp_path / STATE)
    assert in_order(found)
    assert set(found).issuperset(heard)
    assert not (tmp_path / f"{STATE}-wal").exists()


def test_a_restart_keeps_rooms_topics_and_history(tmp_path):
    """Who comes back finds the room as it was, with the past marked as such."""
    with Chat(tmp_path, warm=False) as chat:
        ann = chat.enter("ann")
        ann.say("/topic green leaves", "good morning", "/me waves", "/join coffee", "strong")
        ann.say("/history 1")
        read_until(ann, "ann: strong")
        chat.signal(signal.SIGTERM)
        assert chat.exit_code() == 0
    with Chat(tmp_path, warm=False) as chat:
        bob = chat.connect()
        bob.asks("/rooms", "> available rooms: none. /join NAME makes one")
        bob.say("/nick bob", "/join Tea")
        bob.expect("> all right, I will call you bob", "> welcome to Tea", "> topic: green leaves")
        said, waved = bob.read(), bob.read()
        assert re.fullmatch(r"> \[\d{4}-\d\d-\d\d \d\d:\d\d\] ann: good morning", said)
        assert re.fullmatch(r"> \[\d{4}-\d\d-\d\d \d\d:\d\d\] \* ann waves", waved)
        bob.expect("> here: bob")
        bob.asks("/search MORNING good", said)


def read_until(peer: Peer, word: str) -> str:
    """Read up to the line that ends in a word."""
    while not (line := peer.read()).endswith(word):
        pass
    return line


def command(*options: str, as_nobody: bool = False) -> list[str]:
    """Give what starts a chat, with another log."""
    user = ["--uid", "nobody", "--gid", "nogroup"] if as_nobody else []
    ours = ["tcpchat", "--port", ANYWHERE, *options]
    return [twistd(), "-n", "--pidfile=", "--logfile", "log2", *user, *ours]


def start(directory: Path, *options: str, as_nobody: bool = False) -> tuple[int, str]:
    """Start a chat that cannot; give its exit code and its last line."""
    done = subprocess.run(
        command(*options, as_nobody=as_nobody),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).strip().split("\n")[-1]


def test_two_servers_on_one_file(tmp_path):
    """The second ends with one line, and the first does not notice."""
    with Chat(tmp_path, warm=False) as chat:
        code, line = start(tmp_path)
        assert code == 1
        assert line == f"tcpchat: --state {STATE}: another server has it open. {TAKES}"
        chat.enter("ann")


def test_a_file_that_is_not_ours(tmp_path):
    """It is refused in one line, and stays as it is."""
    file = tmp_path / "notes.txt"
    file.write_text("buy tea")
    code, line = start(tmp_path, "--state", "notes.txt")
    assert code == 1
    assert line.startswith(f"tcpchat: --state {file}: is no file of this chat. takes a file of")
    assert file.read_text() == "buy tea"


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """One that everybody can get to, and only root can write."""
    if os.geteuid():
        pytest.skip("needs root")
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def test_without_privileges_the_file_is_not_roots(open_directory):
    """It is made by who the chat becomes, not by who starts it."""
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(open_directory, nobody, -1)
    chat = Process(subprocess.Popen(command(as_nobody=True), cwd=open_directory))
    try:
        log = open_directory / "log2"
        wait_until(lambda: log.exists() and "people reach it" in log.read_text(), "a chat")
        files = list(open_directory.glob(f"{STATE}*"))
        assert len(files) == 4  # itself, -wal, -shm and .lock
        assert {file.stat().st_uid for file in files} == {nobody}
        chat.signal(signal.SIGTERM)
        assert chat.exit_code() == 0
    finally:
        chat.end()


def test_a_directory_that_cannot_be_written(open_directory):
    """It is refused in one line, and nothing is made there."""
    code, line = start(open_directory, as_nobody=True)
    assert code == 1
    assert line == f"tcpchat: --state {STATE}: Permission denied. {TAKES}"
    assert not list(open_directory.glob(f"{STATE}*"))


def test_a_disk_that_takes_no_more_and_comes_back(tmp_path):
    """The chat goes on, tells the log once, and writes what it held when it can."""
    with Chat(tmp_path, *OPEN, warm=False) as chat:
        ann, bob = chat.enter("ann"), chat.enter("bob")
        ann.expect("> bob joined the room")
        ann.say("before")
        bob.expect("> ann: before")
        wait_until(lambda: lines_in(tmp_path / STATE) == ["before"], "the first line on disk")
        # The system itself refuses to let any file grow, as a full disk does.
        most = chat.log_file.stat().st_size + 2048
        resource.prlimit(chat.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        texts = [f"{number} {'x' * 900}" for number in range(100)]
        ann.say(*texts)
        bob.expect(*(f"> ann: {text}" for text in texts))
        chat.wait_for_log("cannot write")
        ann.say("still here")
        bob.expect("> ann: still here")
        carol = chat.enter("carol")
        carol.say("/history 1")
        assert re.fullmatch(r"> \[.{16}\] ann: still here", carol.read())
        ann.say("/limits")
        read_until(ann, "until it can be written")
        assert lines_in(tmp_path / STATE) == ["before"]
        resource.prlimit(
            chat.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )
        chat.wait_for_log("can be written again")
        assert lines_in(tmp_path / STATE) == ["before", *texts, "still here"]
        assert chat.log().count("cannot write") == 1


def test_a_file_that_is_removed(tmp_path):
    """It comes back with all that was in it."""
    with Chat(tmp_path, *OPEN, warm=False) as chat:
        ann = chat.enter("ann")
        ann.say("one", "/history 1")
        assert ann.read().endswith("ann: one")
        wait_until(lambda: lines_in(tmp_path / STATE) == ["one"], "the first line on disk")
        for file in tmp_path.glob(f"{STATE}*"):
            file.unlink()
        ann.say("two")
        chat.wait_for_log("can be written again")
        assert lines_in(tmp_path / STATE) == ["one", "two"]
        chat.signal(signal.SIGTERM)
        assert chat.exit_code() == 0
    assert lines_in(tmp_path / STATE) == ["one", "two"]
