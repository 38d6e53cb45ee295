"""The examples do what they say: each runs as a process, and is talked to."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from real import ANYWHERE, SECONDS, Chat, Peer, Process, twistd, wait_until

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
