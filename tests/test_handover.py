"""SIGUSR2, against the real process: the code is replaced, and nobody notices."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from doors import Doors
from real import ANYWHERE, SECONDS, Chat, Peer, Terminal, need, twistd, wait_until

pytestmark = pytest.mark.real

OPEN = ("--flood", "off", "--max-per-address", "0", "--sendq", "100000000")
WENT_ON = "connections, "
STAYED = "the chat was not handed over to a new process, and goes on in this one: "
ENDS = (b"\r\n", b"\n", b"\r\0", b"\r")
ROOMS, TALKERS, SLOW = ("tea", "coffee"), 5, 2
SAID = re.compile(r"> (\w+): (\w+) (\d+)")


def chat_process(chat: Chat) -> int:
    """Give the process that is the chat now, once there was a restart."""
    [child] = children(chat)
    return child


def children(chat: Chat) -> list[int]:
    """Give the processes that the first one watches; none while it is the chat itself."""
    found = Path(f"/proc/{chat.pid}/task/{chat.pid}/children").read_text()
    return [int(child) for child in found.split()]


def renew(chat: Chat, times: int = 1) -> None:
    """Have the code replaced, and wait until another process has gone on."""
    for _ in range(times):
        went_on, before = chat.log().count(WENT_ON), children(chat)
        chat.signal(signal.SIGUSR2)
        chat.wait_for_log(WENT_ON, went_on + 1)
        wait_until(
            lambda before=before: len(children(chat)) == 1 and children(chat) != before,
            "the end of the process before",
        )


class Talker:
    """Says numbered lines, in fragments and with all kinds of line ends, and hears the others."""

    def __init__(self, chat: Chat, name: str, room: str, number: int) -> None:
        self.name, self.room = name, room
        self.said = 0
        self._heard = b""
        self._peer = chat.enter(name, room)
        self._end = ENDS[number % len(ENDS)]
        self._chance = random.Random(name)
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=self._talk),
            threading.Thread(target=self._listen),
        ]

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop_talking(self) -> None:
        self._done.set()
        self._threads[0].join(SECONDS)
        self._peer.send(b"\n")
        self._peer.say("done")

    def leave(self) -> None:
        """Go, and wait for the end of what is heard."""
        self._peer.say("/quit")
        self._threads[1].join(SECONDS)
        assert not self._threads[1].is_alive()

    def _talk(self) -> None:
        while not self._done.is_set():
            data = b""
            for _ in range(self._chance.choice((1, 1, 3, 20))):
                data += f"{self.room} {self.said}".encode() + self._end
                self.said += 1
            for piece in self._cut(data):
                self._peer.send(piece)
                self._done.wait(self._chance.choice((0.0, 0.0005, 0.002)))

    def _cut(self, data: bytes) -> list[bytes]:
        places = sorted(self._chance.randrange(len(data)) for _ in range(2))
        return [one for one in (data[: places[0]], data[slice(*places)], data[places[1] :]) if one]

    def _listen(self) -> None:
        with suppress(OSError):
            while data := self._peer.sock.recv(1 << 18):
                self._heard += data

    @property
    def heard(self) -> list[str]:
        return self._heard.decode().split("\r\n")

    def has_heard_the_last_of(self, other: "Talker") -> bool:
        return other is self or f"> {other.name}: done\r\n".encode() in self._heard


class Newcomers:
    """People who come, say a word and go, all the time."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self.came = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._come_and_go)
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()

    def _come_and_go(self) -> None:
        while not self._done.is_set():
            sock = socket.create_connection(("127.0.0.1", self._chat.port), SECONDS)
            with Peer(sock) as peer:
                peer.say(f"/nick new{self.came}", "/join porch", "/quit")
                seen = peer.read_to_end().decode().split("\r\n")
                assert seen[0].startswith("> welcome. "), seen
                assert seen[-2:] == ["> sad to see you go =(", ""], seen
            self.came += 1


def in_order_of(talkers: list[Talker], room: str) -> None:
    """See that everyone in a room heard each line of the others once, and all the same order."""
    members = [one for one in talkers if one.room == room]
    views = {}
    for member in members:
        lines = [line for line in member.heard if line.startswith("> ")]
        assert not [line for line in member.heard if line.startswith("err")]
        assert not [line for line in lines if "welcome" in line]
        views[member.name] = found = [SAID.fullmatch(one) for one in lines]
        said = [(one[1], int(one[3])) for one in found if one]
        for other in members:
            if other is not member:
                numbers = [number for name, number in said if name == other.name]
                assert numbers == list(range(other.said)), f"{member.name} of {other.name}"
        views[member.name] = said
    for one, seen in views.items():
        for other, also_seen in views.items():
            both = {one, other}
            assert [line for line in seen if line[0] not in both] == [
                line for line in also_seen if line[0] not in both
            ]


def pauses(chat: Chat) -> list[int]:
    return [int(ms) for ms in re.findall(r"connections, ([0-9]+) ms after", chat.log())]


@pytest.mark.long
def test_restarts_under_load(tmp_path, capsys):
    """Typists, slow readers with megabytes waiting, and newcomers: nothing lost, doubled, mixed."""
    with Chat(tmp_path, *OPEN) as chat:
        slow = [chat.enter(f"slow{n}", "tea", receive_buffer=4096) for n in range(SLOW)]
        talkers = [
            Talker(chat, f"t{room}{number}", room, number)
            for room in ROOMS
            for number in range(TALKERS)
        ]
        for talker in talkers:
            talker.begin()
        newcomers = Newcomers(chat)
        for _ in range(3):
            so_far = sum(talker.said for talker in talkers)
            wait_until(
                lambda so_far=so_far: sum(talker.said for talker in talkers) > so_far + 2000,
                "a conversation",
            )
            renew(chat)
        newcomers.stop()
        for talker in talkers:
            talker.stop_talking()
        for room in ROOMS:
            here = [talker for talker in talkers if talker.room == room]
            wait_until(
                lambda here=here: all(a.has_heard_the_last_of(b) for a in here for b in here),
                "the last line",
            )
        for talker in talkers:
            talker.leave()
        for room in ROOMS:
            in_order_of(talkers, room)
        for reader in slow:
            lines = [SAID.fullmatch(one) for one in read_slowly(reader)]
            for talker in talkers:
                if talker.room == "tea":
                    numbers = [int(one[3]) for one in lines if one and one[1] == talker.name]
                    assert numbers == list(range(talker.said))
        assert newcomers.came > 3
        assert STAYED not in chat.log()
        with capsys.disabled():
            said = sum(talker.said for talker in talkers)
            print(f" [{said} lines, pauses {pauses(chat)} ms] ", end="")  # noqa: T201


def read_slowly(reader: Peer) -> list[str]:
    """Read what has waited all the time, and the end."""
    reader.say("/quit")
    return reader.read_to_end().decode().split("\r\n")


def test_everything_moves(tmp_path):
    """Names, rooms, roles, settings, ignored people, unfinished lines, half a telnet command."""
    with Chat(tmp_path, *OPEN) as chat:
        ann = chat.enter("ann")
        ann.say("/register correct horse")
        assert "is yours now" in ann.read()
        ann.asks("/leave", "> you have left tea")
        ann.asks("/join own", "> welcome to own", "> here: ann (owner)")
        ann.asks("/topic leaves", "> ann set the topic: leaves")
        bob, eve = chat.enter("bob", "own"), chat.enter("eve", "own")
        ann.expect("> bob joined the room", "> eve joined the room")
        bob.expect("> eve joined the room")
        bob.say("/register correct horse")
        assert "is yours now" in bob.read()
        ann.asks("/mute eve", "> ann muted eve")
        bob.expect("> ann muted eve")
        eve.expect("> ann muted eve", "> you are muted in own")
        stranger = chat.connect()
        bob.asks("/time on", "> times are shown in UTC")
        bob.asks("/time off", "> times are not shown")
        bob.asks("/ignore anonymous", "> you ignore anonymous now. /unignore NAME ends it")
        bob.asks("/away tea", "> you are marked as away")
        ann.asks("/tell bob hi", "> [you -> bob] hi", "> bob is away: tea")
        bob.expect("> [ann -> you] hi")
        bob.send(b"/rep\xff")
        ann.send(b"half a ")
        renew(chat, 2)
        bob.send(b"\xf1ly yes\r\n")
        bob.expect("> [you -> ann] yes")
        ann.expect("> [bob -> you] yes")
        ann.send(b"line\r\n")
        bob.expect("> ann: half a line")
        eve.expect("> ann: half a line")
        eve.asks("hello", "err: not said: you are muted")
        stranger.asks("/tell bob heard?", "> [you -> bob] heard?", "> bob is away: tea")
        bob.asks("/ignore", "> you ignore: anonymous")
        bob.asks("/who", "> here: ann (owner), bob (away), eve")
        bob.asks("/topic", "> topic: leaves")
        chat.connect("anonymous-2").asks("/rooms", "> available rooms: own")
        ann.asks("/kick eve", "> ann kicked eve", "> eve has left the room")
        ann.asks("/history 1", ann_said(chat))


def ann_said(chat: Chat) -> str:
    return time.strftime("> [%Y-%m-%d %H:%M] ann: half a line", time.gmtime())


@pytest.mark.long
def test_a_chat_that_keeps_nothing_keeps_it_all(tmp_path):
    """What is in memory alone moves as well."""
    with Chat(tmp_path, *OPEN, "--state", ":memory:") as chat:
        ann = chat.enter("ann")
        ann.say("/register correct horse", "said before", "/leave")
        ann.expect("> ann is yours now. /login ann brings you back", "> you have left tea")
        renew(chat)
        bob = chat.connect("anonymous")
        bob.say("/join tea")
        assert bob.read() == "> welcome to tea"
        assert bob.read().endswith("] ann: said before")
        ann.asks("/logout", "> you are logged out, and called anonymous-2")
        ann.asks("/login ann correct horse", "> welcome back, ann. you are logged in")


BROKEN = {
    "an import that fails": "import sys; sys.modules['twisted_chat.service'] = None",
    "a service that cannot be made": "import twisted_chat.tap as t; t.makeService = None",
    "an exit": "import os; os._exit(3)",
    "a hang": "import time; time.sleep(60)",
    "a newer schema": (
        "import twisted_chat.state.database as d; m = d.migrations;"
        "d.migrations = lambda: [*m(), 'CREATE TABLE more (x)']"
    ),
    "another kind of record": "import twisted_chat.chat.record as r; r.VERSION = 99",
    "a record that cannot be read": (
        "import twisted_chat.chat.record as r\n"
        "def from_record(*_): raise ValueError('what is that')\nr.from_record = from_record"
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_release_changes_nothing(tmp_path, monkeypatch, what):
    """The old code goes on where it was, and the log says why."""
    new = tmp_path / "new"
    new.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(new))
    with Chat(tmp_path, *OPEN) as chat:
        ann, bob = chat.enter("ann"), chat.enter("bob")
        ann.expect("> bob joined the room")
        ann.send(b"half a ")
        # The code of the heir, and of nothing that runs already.
        (new / "sitecustomize.py").write_text(BROKEN[what])
        chat.signal(signal.SIGUSR2)
        wait_until(lambda: STAYED in chat.log(), "the old code to go on", 40)
        ann.send(b"line\r\n")
        bob.expect("> ann: half a line")
        (new / "sitecustomize.py").unlink()
        renew(chat)
        ann.say("and on")
        bob.expect("> ann: and on")
        bob.say("/history 2")
        assert [bob.read().partition("] ")[2] for _ in range(2)] == [
            "ann: half a line",
            "ann: and on",
        ]


@pytest.mark.long
def test_many_connections(tmp_path, capsys):
    """Fifteen hundred people, none of whom notices."""
    with Chat(tmp_path, *OPEN, ports=(ANYWHERE, "unix:chat.sock:backlog=1000")) as chat:
        path = str(tmp_path / "chat.sock")
        people = []
        for number in range(1500):
            people.append(chat.connect(address=path, greeted=False))
            assert people[-1].read().startswith("> welcome. ")
            people[-1].say(f"/join room{number % 100}")
        for peer in people:
            while not peer.read().startswith("> here: "):
                pass
        talker = chat.connect(address=path, greeted=False)
        assert talker.read().startswith("> welcome. ")
        renew(chat)
        people[0].say("hello")
        for peer in people[100::100]:
            while True:
                line = peer.read()
                if line.endswith(": hello"):
                    break
                assert line.endswith(" joined the room")
        chat.connect("anonymous-1502")
        with capsys.disabled():
            print(f" [1,501 connections: {pauses(chat)[-1]} ms] ", end="")  # noqa: T201
        assert (tmp_path / "chat.sock").exists()
        chat.signal(signal.SIGTERM)
        assert chat.exit_code() == 0
        assert not (tmp_path / "chat.sock").exists()


@pytest.mark.long
def test_the_process_that_people_know_stays(tmp_path):
    """Signals reach the chat through it, and it ends as the chat does."""
    with Chat(tmp_path) as chat:
        ann = chat.connect()
        renew(chat)
        descriptors = len(os.listdir(f"/proc/{chat_process(chat)}/fd"))
        renew(chat, 3)
        assert len(os.listdir(f"/proc/{chat_process(chat)}/fd")) == descriptors
        assert chat_process(chat) != chat.pid
        chat.signal(signal.SIGTERM)
        ann.expect_end("> the server is going down. goodbye")
        assert chat.exit_code() == 0


@pytest.mark.long
def test_it_ends_as_the_chat_ends(tmp_path):
    """Whoever waits for it learns what has become of the chat."""
    with Chat(tmp_path) as chat:
        renew(chat)
        os.kill(chat_process(chat), signal.SIGKILL)
        assert chat.exit_code() == -signal.SIGKILL


@pytest.mark.long
def test_in_the_foreground(tmp_path):
    """Ctrl-C stops the chat after a restart, once, and the shell waits for that."""
    command = [twistd(), "-n", "--pidfile=", "tcpchat", "--port", ANYWHERE]
    with Terminal(*command, cwd=tmp_path) as terminal:
        terminal.expect_text("people reach it with: telnet localhost ")
        port = int(terminal.sees())
        with Peer(socket.create_connection(("127.0.0.1", port))) as ann:
            ann.read()
            os.kill(terminal.pid, signal.SIGUSR2)
            terminal.expect_text(WENT_ON)
            assert terminal.popen.poll() is None
            terminal.press(b"\x03")
            ann.expect_end("> the server is going down. goodbye")
            assert terminal.exit_code() == 0


@pytest.mark.long
def test_as_a_daemon(tmp_path):
    """The pid file is right after a restart, and gone in the end."""
    pid_file = tmp_path / "twistd.pid"
    subprocess.run(
        [twistd(), f"--rundir={tmp_path}", "tcpchat", "--port", ANYWHERE],
        check=True,
        timeout=SECONDS,
        cwd=tmp_path,
    )
    pid = int(wait_until(lambda: pid_file.exists() and pid_file.read_text(), "a pid file"))
    log = tmp_path / "twistd.log"
    try:
        wait_until(lambda: "people reach it" in log.read_text(), "a chat that listens")
        os.kill(pid, signal.SIGUSR2)
        wait_until(lambda: WENT_ON in log.read_text(), "a restart")
        assert int(pid_file.read_text()) == pid
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not pid_file.exists(), "the end")
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the process")
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_the_real_telnet_goes_on(tmp_path):
    """Half a line before the restart and half after it are one line."""
    with Chat(tmp_path) as chat:
        bob = chat.enter("bob")
        with Terminal(need("telnet"), "127.0.0.1", str(chat.port)) as ann:
            ann.expect_text("/help tells the rest")
            ann.sees()
            ann.asks("/nick ann", "> all right, I will call you ann")
            ann.types("/join tea")
            bob.expect("> ann joined the room")
            ann.press(b"half a ")
            renew(chat)
            ann.press(b"line\r")
            bob.expect("> ann: half a line")


@pytest.mark.long
def test_python_is_the_same(tmp_path):
    """The heir is run by the Python that runs the chat, wherever it was started."""
    with Chat(tmp_path) as chat:
        renew(chat)
        exe = os.readlink(f"/proc/{chat_process(chat)}/exe")
        assert exe == os.path.realpath(sys.executable)


@pytest.mark.parametrize("door", ["tcp", "unix", "proxy", "json"])
def test_every_door_that_is_a_bare_socket_moves(tmp_path, door):
    """People and programs go on in the middle of a line; how they have come is still known."""
    doors = Doors(tmp_path)
    with doors.chat as chat:
        ann, bob = chat.enter("ann"), chat.enter("bob", **doors.ways(door))
        ann.expect("> bob joined the room")
        begun, rest = (b'{"line": "hel', b'lo"}\n') if door == "json" else (b"hel", b"lo\r\n")
        bob.send(begun)
        renew(chat)
        bob.send(rest)
        ann.expect("> bob: hello")
        ann.say("hello, bob")
        bob.expect("> ann: hello, bob")
        mark = " (bot)" if door == "json" else ""
        ann.asks("/who", f"> here: ann, bob{mark}")
        chat.enter("cyd", **doors.ways(door))
        ann.expect("> cyd joined the room")


@pytest.mark.long
def test_who_cannot_move_is_told(tmp_path):
    """A TLS connection ends in order, its port goes on, and the others see who has left."""
    doors = Doors(tmp_path)
    tls = {"address": ("127.0.0.1", doors.tls_port), "tls": doors.context}
    with doors.chat as chat:
        ann, bob = chat.enter("ann", address=doors.path), chat.enter("bob", **tls)
        ann.expect("> bob joined the room")
        chat.signal(signal.SIGUSR2)
        bob.expect_end("> the server is being renewed. please connect again")
        ann.expect("> bob has left the room")
        bob = chat.enter("bob", **tls)
        ann.expect("> bob joined the room")
        ann.say("hello")
        bob.expect("> ann: hello")


@pytest.mark.long
def test_who_cannot_move_keeps_a_place(tmp_path):
    """Someone with an account on a TLS connection comes back, and nobody has seen them go."""
    doors = Doors(tmp_path)
    tls = {"address": ("127.0.0.1", doors.tls_port), "tls": doors.context}
    with doors.chat as chat:
        ann, bob = chat.enter("ann", address=doors.path), chat.enter("bob", **tls)
        ann.expect("> bob joined the room")
        bob.asks("/register correct horse", "> bob is yours now. /login bob brings you back")
        chat.signal(signal.SIGUSR2)
        bob.expect_end(
            "> the server is being renewed: reconnect within 120 seconds, your place is kept"
        )
        chat.wait_for_log(WENT_ON)
        ann.say("meanwhile")
        bob = chat.connect(**tls)
        bob.asks("/login bob correct horse", "> welcome back, bob. you are logged in, in tea")
        assert bob.read().endswith("and missed 1 line:")
        assert bob.read().endswith("] ann: meanwhile")
        bob.say("back")
        ann.expect("> bob: back")
