"""What the pages show those who build on the chat does what they say."""

import tomllib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from frames import request
from real import wait_until
from test_readme import ROOT, blocks, page
from test_websocket import ADDRESS, Line
from twisted.application.service import Application
from twisted.internet.testing import MemoryReactorClock

from twisted_chat import ChatService, Session
from twisted_chat.testing import ManualClock, RecordingClient, rooms

NAMES = dict[str, Any]


class Reactor(MemoryReactorClock):
    """A reactor in memory that threads can call."""

    def __init__(self) -> None:
        super().__init__()
        self._called: deque[Callable[[], object]] = deque()

    def callFromThread(self, function: Callable[..., object], *args: object) -> None:
        self._called.append(partial(function, *args))

    def turn(self) -> None:
        """Have happen what happens in a turn, and in those that follow."""
        for _ in range(5):
            while self._called:
                self._called.popleft()()
            self.advance(0)
            for end_of_turn in list(self.getReaders()):
                with suppress(BlockingIOError):  # it has nothing to do
                    end_of_turn.doRead()


@pytest.fixture
def embedding(monkeypatch: pytest.MonkeyPatch) -> Iterator[NAMES]:
    """Run the code of the page about embedding; give the names that it leaves."""
    monkeypatch.setattr("twisted.internet.reactor", reactor := Reactor())
    names: NAMES = {"application": Application("any")}
    exec("from twisted.internet import reactor", names)
    for block in blocks(page("docs/embedding.rst"), "python"):
        exec(block, names)
    yield names
    for one in list(reactor.getReaders()):
        one.close()


class Guest:
    """Someone in a chat of the page."""

    def __init__(self, names: NAMES, chat: ChatService) -> None:
        self._reactor = names["reactor"]
        self._client = RecordingClient()
        self.session: Session = chat.rooms.connect(self._client)

    def asks(self, *lines: str) -> list[str]:
        """Type some lines; give what has come since the last time."""
        for line in lines:
            self.session.receive(line)
            self._reactor.turn()
        self._reactor.turn()
        return self._client.lines()


def test_in_another_service(embedding: NAMES):
    """The parent opens the port, and its stop waits for the chat, whose people are told."""
    office, chat = embedding["office"], embedding["office_chat"]
    office.startService()
    assert [port for port, *_ in embedding["reactor"].tcpServers][-1] == 7777
    ann = Guest(embedding, chat)
    assert ann.asks("/join tea")[-1] == "> here: anonymous"
    stopped: list[object] = []
    office.stopService().addCallback(stopped.append)
    for _ in range(10):
        embedding["reactor"].advance(1)
    assert len(stopped) == 1
    assert ann.asks() == ["> the server is going down. goodbye"]
    assert not chat.running


def test_a_chat_leaves_its_parent(embedding: NAMES):
    """It stops alone."""
    office, chat = embedding["office"], embedding["office_chat"]
    office.startService()
    chat.disownServiceParent()
    assert (office.running, chat.running, list(office)) == (1, 0, [])


def asked(embedding: NAMES, data: bytes) -> bytes:
    """Send the site what a browser would; give what it answers at once."""
    line = Line(None, ADDRESS)
    line.protocol = embedding["site"].buildProtocol(ADDRESS)
    line.protocol.makeConnection(line)
    line.protocol.dataReceived(data)
    answer = line.value()
    line.protocol.connectionLost(embedding["failure"])
    return answer


def test_in_a_web_application(embedding: NAMES):
    """The site has the page in a folder of it, and a WebSocket by which people are in the chat."""
    from twisted.internet.error import ConnectionDone
    from twisted.python.failure import Failure

    embedding["failure"] = Failure(ConnectionDone())
    page_ = asked(embedding, b"GET /chat/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert page_.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Security-Policy: default-src 'none'" in page_
    socket = request(8080).replace(b"GET /ws", b"GET /chat/ws")
    assert asked(embedding, socket).startswith(b"HTTP/1.1 101 ")
    foreign = request(8080, origin="https://evil.example").replace(b"GET /ws", b"GET /chat/ws")
    assert asked(embedding, foreign).startswith(b"HTTP/1.1 403 ")


def test_a_store_of_ones_own(embedding: NAMES):
    """It is given each line that is said in a room, and keeps it all the same."""
    chat = embedding["meeting"]
    ann = Guest(embedding, chat)
    ann.asks("/nick ann", "/join tea", "hello", "/me waves")
    assert chat.rooms.store.minutes == ["ann: hello", "ann: waves"]
    assert [line.partition("] ")[2] for line in ann.asks("/history")] == [
        "ann: hello",
        "* ann waves",
    ]


def test_checkers_of_ones_own(embedding: NAMES):
    """A member logs in with the password that the application knows, and runs the server."""
    guest = Guest(embedding, embedding["club"])
    guest.asks("/login ann correct horse")  # for which a thread makes a hash, as for any name
    wait_until(lambda: guest.asks() and guest.session.who.account == "@ann", "the login")
    assert guest.asks("/wall at five") == ["> announcement by ann: at five"]


def test_a_bot_in_the_process(embedding: NAMES):
    """It greets whoever comes in, and not itself."""
    ann = Guest(embedding, embedding["chat"])
    ann.asks("/nick ann")
    assert ann.asks("/join lobby")[-1] == "> greeter: hello ann"
    embedding["greeter"].session.end()
    assert ann.asks() == ["> greeter has left the room"]


# Plugins


@pytest.fixture
def written() -> NAMES:
    """Run the code of the page about plugins; give the names that it leaves."""
    names: NAMES = {}
    for block in blocks(page("docs/plugins.rst"), "python"):
        exec(block, names)
    return names


def test_writing_a_plugin(written: NAMES):
    """The hooks of the page do what they look like."""
    clock = ManualClock()
    chat = rooms(clock, plugins=[written["dice"], written["Manners"]()])
    clients = [RecordingClient(), RecordingClient()]
    ann, bob = map(chat.connect, clients)

    def told(*lines: str) -> list[list[str]]:
        for line in lines:
            ann.receive(line)
        clock.turn()
        return [client.lines() for client in clients]

    bob.receive("/join lobby")
    told("/nick ann")
    assert told("/join attic")[0] == ["err: the attic is being cleaned"]
    assert told("/join entrance")[0][0] == "> welcome to lobby"
    assert told("damn", "/roll 7") == [
        ["err: there are dice of 4, 6, 8, 12 and 20 sides. usage: /roll [SIDES]"],
        ["> ann: dear me"],
    ]
    assert told("/leave")[1] == ["> ann has left the room (without a word)"]


def test_the_project_of_a_plugin():
    """What the page has of a project is what the dice have, and they are where it says."""
    [text] = blocks(page("docs/plugins.rst"), "toml")
    dice = ROOT / "examples" / "dice"
    real = tomllib.loads((dice / "pyproject.toml").read_text())
    shown = tomllib.loads(text)
    assert shown["build-system"] == real["build-system"]
    assert shown["project"].items() <= real["project"].items()
    assert shown["tool"]["hatch"] == real["tool"]["hatch"]
    tree = next(
        block.astext()
        for block in page("docs/plugins.rst").findall()
        if block.tagname == "literal_block" and block.astext().startswith("dice/")
    )
    files = [Path(line.strip()) for line in tree.splitlines()[1:]]
    assert all((dice / file).is_file() for file in files)
    assert not list(dice.glob("twisted_chat/**/__init__.py"))
