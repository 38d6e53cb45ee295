"""The examples do what they say: each runs as a process, and is talked to."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from real import ANYWHERE, SECONDS, Chat, Peer, Process, free_port, twistd, wait_until

pytestmark = pytest.mark.real

EXAMPLES = Path(__file__).parent.parent / "examples"


@contextmanager
def running(log: Path, *command: object, **environment: str) -> Iterator[Process]:
    """Run a command, in the folder of its log, until the end of the block."""
    with log.open("wb") as output:
        process = Process(
            subprocess.Popen(
                [str(part) for part in command],
                cwd=log.parent,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        )
    try:
        yield process
    finally:
        process.end()


def hear(peer: Peer, pattern: str) -> list[str]:
    """Read up to a line that matches; give all lines that were read."""
    lines = [peer.read()]
    while not re.fullmatch(pattern, lines[-1]):
        lines.append(peer.read())
    return lines


# The bot

ANSWER = r"> clock: it is \d\d:\d\d UTC"


@contextmanager
def chat_behind(door: Path, directory: Path) -> Iterator[Chat]:
    """Start a chat in a directory of its own, and have ``door`` lead to it."""
    directory.mkdir()
    with Chat(directory, ports=(ANYWHERE, f"unix:{directory / 'socket'}")) as chat:
        door.symlink_to(directory / "socket")
        yield chat
        door.unlink()


def meet_the_bot(chat: Chat) -> Peer:
    """Have ann enter the room, and wait until the bot is there."""
    ann = chat.enter("ann")
    ann.say("/who")
    if hear(ann, "> here: .*")[-1] == "> here: ann":
        hear(ann, "> clock joined the room")
    return ann


def test_bot(tmp_path: Path):
    """The bot answers whoever says !time, is fooled by nothing else, and comes back."""
    door = tmp_path / "door"
    bot = (sys.executable, EXAMPLES / "bot.py", f"unix:{door}", "tea", "clock")
    with running(tmp_path / "bot.log", *bot) as clock:
        with chat_behind(door, tmp_path / "first") as chat:
            ann = meet_the_bot(chat)
            ann.say("!time")
            hear(ann, ANSWER)
            ann.say("/topic !time", "/tell clock !time", "/me x: !time", "> bob: !time", "!times")
            ann.say("!time")
            assert hear(ann, ANSWER)[:-1] == [
                "> ann set the topic: !time",
                "> [you -> clock] !time",
            ]
        with chat_behind(door, tmp_path / "second") as chat:
            ann = meet_the_bot(chat)
            ann.say("!time")
            hear(ann, ANSWER)
        clock.signal(SIGTERM)
        assert clock.exit_code() == 0


def test_bot_says_how_it_is_used(tmp_path: Path):
    """The bot wants three arguments, and says so."""
    log = tmp_path / "log"
    with running(log, sys.executable, EXAMPLES / "bot.py", "tea") as bot:
        assert bot.exit_code() == 1
    assert log.read_text() == "usage: python bot.py ENDPOINT ROOM NICK\n"


# The bridge

MARK = "\u2063"
DONE = '{"type": "done"}'


class Town:
    """A chat with a door for programs, which may go and come back, and someone in its room."""

    chat: Chat | None = None

    def __init__(self, directory: Path, person: str) -> None:
        directory.mkdir()
        self._directory, self._person, self._port = directory, person, free_port()
        self.place = f"127.0.0.1:{self._port}/tea"

    def begin(self) -> Peer:
        """Start the chat, and give the person, who is in the room."""
        door = f"tcp:{self._port}:interface=127.0.0.1"
        self.chat = Chat(self._directory, "--json", door, warm=False)
        return self.chat.enter(self._person)

    def end(self, signal: int) -> None:
        """Have the chat go, and everyone in it."""
        if self.chat:
            with self.chat:
                self.chat.signal(signal)
                self.chat.exit_code()
            self.chat = None


@pytest.fixture
def towns(tmp_path: Path) -> Iterator[tuple[Town, Town]]:
    """Give two chats, neither of which has begun."""
    towns = Town(tmp_path / "one", "ann"), Town(tmp_path / "other", "bob")
    yield towns
    for town in towns:
        town.end(SIGTERM)


def bridge(log: Path, *places: str) -> AbstractContextManager[Process]:
    """Run a bridge between two places."""
    return running(log, sys.executable, EXAMPLES / "bridge.py", *places, "--pause", "0.05")


@contextmanager
def bridged(
    log: Path, towns: tuple[Town, Town], people: tuple[Peer, Peer], name: str = "bridge"
) -> Iterator[Process]:
    """Have a bridge between two chats, in both rooms."""
    with bridge(log, *(town.place for town in towns)) as process:
        for person in people:
            person.expect(f"> {name} joined the room")
        yield process


def told(*lines: str, by: str = "bridge") -> list[str]:
    """Give how what a bridge says is shown."""
    return [f"> {by}: {MARK}{line}" for line in lines]


def test_bridge(towns: tuple[Town, Town], tmp_path: Path):
    """What is said on one side is said on the other: once, in order, and nowhere else."""
    ann, bob = people = towns[0].begin(), towns[1].begin()
    ann.say("before there was a bridge")
    with bridged(tmp_path / "log", towns, people) as bridge:
        ann.say("hello", "/me waves", "<3 you", "//quit", "\u00e9" * 500)
        bob.expect(
            *told("<ann> hello", "* ann waves", "<ann> <3 you", "<ann> /quit"),
            *told("<ann> " + "\u00e9" * 400, "<ann> " + "\u00e9" * 100),
        )
        bob.say("* bob", "ha", "ha")
        ann.expect(*told("<bob> * bob", "<bob> ha", "<bob> ha"))
        ann.say("bye")
        bob.expect(*told("<ann> bye"))
        bridge.signal(SIGTERM)
        assert bridge.exit_code() == 0


def test_two_bridges(towns: tuple[Town, Town], tmp_path: Path):
    """Two bridges between the same rooms take two names, and carry nothing of each other's."""
    ann, bob = people = towns[0].begin(), towns[1].begin()
    first = bridged(tmp_path / "log", towns, people)
    second = bridged(tmp_path / "log2", towns, people, "bridge2")
    with first, second:
        for speaker, hearer, line in ((ann, bob, "one"), (bob, ann, "two"), (ann, bob, "three")):
            speaker.say(line)
            shown = f"<{'ann' if speaker is ann else 'bob'}> {line}"
            assert {hearer.read(), hearer.read()} == {*told(shown), *told(shown, by="bridge2")}


@pytest.mark.long
def test_bridge_to_a_chat_that_was_away(towns: tuple[Town, Town], tmp_path: Path):
    """What is said while the other chat is away, or the bridge, arrives afterwards, and once."""
    ann, bob = people = towns[0].begin(), towns[1].begin()
    with bridged(tmp_path / "log", towns, people) as bridge:
        ann.say("before")
        bob.expect(*told("<ann> before"))
        towns[0].end(SIGKILL)
        bob.say("are you there?", "/me waits")
        bridge.signal(SIGSTOP)
        ann = towns[0].begin()
        ann.say("just me", "/me waits")
        bridge.signal(SIGCONT)
        bob.expect(*told("<ann> just me", "* ann waits"))
        ann.expect("> bridge joined the room", *told("<bob> are you there?", "* bob waits"))
        ann.say("there you are")
        bob.expect(*told("<ann> there you are"))


def said(number: int, person: str, text: str) -> dict[str, Any]:
    """Give a line as programs hear it."""
    return {"type": "said", "id": number, "who": {"person": person, "name": "x"}, "text": text}


@contextmanager
def let_in(door: socket.socket, person: str, *past: object) -> Iterator[Iterator[dict[str, Any]]]:
    """Be a chat that lets a program in; give what it says from ``/join`` on, and then break.

    :param person: that the program is.
    :param past: is what was said before.
    """
    sock = door.accept()[0]
    sock.settimeout(SECONDS)
    with sock, sock.makefile("rw") as stream:
        says = map(json.loads, stream)
        you = {"type": "you", "who": {"person": person}, "room": None}
        replay = {"type": "replay", "lines": past, "gap": False}
        assert next(says)["line"] == "/nick bridge"
        print(json.dumps(you), DONE, sep="\n", file=stream, flush=True)
        join = next(says)
        print(json.dumps(replay), DONE, sep="\n", file=stream, flush=True)
        yield chain([join], says)


@pytest.mark.parametrize("arrived", [True, False])
def test_bridge_whose_line_was_on_its_way(towns: tuple[Town, Town], tmp_path: Path, arrived: bool):
    """What was on its way when the connection broke is said again, unless it had arrived."""
    bob = towns[1].begin()
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(SECONDS)
        place = f"127.0.0.1:{door.getsockname()[1]}/tea"
        with bridge(tmp_path / "log", place, towns[1].place):
            with let_in(door, "x.1", said(5, "x.0", "old")) as lines:
                assert next(lines) == {"line": "/join tea", "tag": 0, "after": 0}
                bob.expect("> bridge joined the room")
                bob.say("one", "two")
                one = next(lines)["line"]
                assert one == f"{MARK}<bob> one"
            with let_in(door, "x.2", *([said(7, "x.1", one)] if arrived else [])) as lines:
                assert next(lines) == {"line": "/join tea", "tag": 0, "after": 5}
                assert next(lines)["line"] == f"{MARK}<bob> {'two' if arrived else 'one'}"


def test_bridge_that_is_put_out(towns: tuple[Town, Town], tmp_path: Path):
    """A bridge that was kicked comes back, and has missed nothing."""
    ann, bob = people = towns[0].begin(), towns[1].begin()
    ann.say("/leave", "/register sesame-open", "/join tea")
    hear(ann, "> here: .*")
    with bridged(tmp_path / "log", towns, people):
        ann.say("here it is")
        bob.expect(*told("<ann> here it is"))
        ann.say("/kick bridge", "is it gone?")
        hear(ann, "> bridge joined the room")
        bob.expect(*told("<ann> is it gone?"))
        bob.say("no")
        ann.expect(*told("<bob> no"))


# The web application


class Site:
    """The application as it runs: a page, and a chat."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.chat_port = self._port("ChatFactory")
        self.page = f"http://127.0.0.1:{self._port('Site')}/"

    def _port(self, factory: str) -> int:
        starting = re.compile(rf"{factory} starting on (\d+)")
        return int(wait_until(lambda: starting.search(self._log.read_text()), factory)[1])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Run the application."""
    log = tmp_path / "log"
    command = (twistd(), "-ny", EXAMPLES / "embed.py")
    with running(log, *command, CHAT=ANYWHERE, WEB=ANYWHERE):
        yield Site(log)


def get(url: str, **posted: str) -> str:
    """Get a page, or post a form to it and get where that leads."""
    with urlopen(url, urlencode(posted).encode() if posted else None, SECONDS) as answer:
        return answer.read().decode()


def refusal(url: str, **posted: str) -> int:
    """Post a form until that is refused; give the status."""
    for _ in range(1000):
        try:
            get(url, **posted)
        except HTTPError as refused:
            refused.close()
            return refused.code
    pytest.fail("never refused")


def test_embed(site: Site):
    """The application shows what is said in the room, as text, and says what is posted."""
    room = site.page + "chat"
    assert '<a href="/chat">' in get(site.page)
    with Peer(socket.create_connection(("127.0.0.1", site.chat_port))) as ann:
        ann.say("/nick ann", "/join lobby", "<script>alert(1)</script>")
        hear(ann, "> here: ann, website")
        wait_until(lambda: "&gt; ann: &lt;script&gt;" in get(room), "her line")
        assert "<script>" not in get(room)

        get(room, text="hello ann")
        ann.expect("> website: hello ann")
        wait_until(lambda: "&gt; website: hello ann" in get(room), "its own line")

        get(room, text="/quit\r\n/quit")
        ann.expect("> website: /quit\ufffd\ufffd/quit")
        assert refusal(room, text="x" * 201) == 413


def test_embed_holds_back_a_flood(site: Site):
    """Who posts too fast is told to wait."""
    assert refusal(site.page + "chat", text="again") == 429
