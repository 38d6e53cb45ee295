"""A small town of people who chat: the same scenarios on every kind of backplane and store."""

import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyte
import pytest
from jsonlines import as_lines
from redis_town import NODES, SKEW, RedisClock
from twisted.internet.defer import Deferred, ensureDeferred
from wcwidth import wcwidth

from twisted_chat.chat import record, snapshot
from twisted_chat.chat.answers import Refusal
from twisted_chat.chat.events import Ending, Event, Origin
from twisted_chat.chat.limits import Limits
from twisted_chat.chat.rooms import Rooms
from twisted_chat.chat.sanitize import REPLACEMENT, sanitize
from twisted_chat.chat.session import Session
from twisted_chat.cluster.redis import RedisBackplane
from twisted_chat.interfaces import IBackplane
from twisted_chat.state.memory import MemoryStore
from twisted_chat.state.sqlite import SQLiteStore
from twisted_chat.testing import (
    DelayedBackplane,
    ManualClock,
    ManualWorker,
    RecordingClient,
    rooms,
)
from twisted_chat.wire.jsonlines import JSON
from twisted_chat.wire.terminal import Screen

T = TypeVar("T")
IN_REDIS = pytest.param("in redis", marks=[pytest.mark.real, pytest.mark.redis])
KINDS = ("local", "delayed", "two nodes", "on disk", IN_REDIS)
OPERATORS = ("root", "boss")
"""Who runs the server, once registered."""
CODE = "0123456789abcdef"
PASSWORD = "correct horse"
AS_JSON = "as json"
"""That in which what people read came to them as JSON."""
AT_A_SCREEN = "at a screen"
"""That in which people type keys, and read what stands on a screen."""
ALONE = ("local", "on disk", AS_JSON, AT_A_SCREEN)
"""Those in which everything happens within the call, to one node."""
DELAYED = ("delayed", "two nodes")
"""Those with one backplane for all nodes, which takes one more subscriber."""
STEPWISE = (*DELAYED, IN_REDIS)
"""Those in which something may come between what is asked for and what is done."""


class Tireless(ManualWorker):
    """Never rests, so that what waits for the disk happens within the turn."""

    def do(self, task: Callable[[], T], rest: float = 0.0) -> "Deferred[T]":
        return super().do(task)


def known(node: Rooms) -> dict[str, Any]:
    """Give all that decides what becomes of an event, but for what is a node's own."""
    known = json.loads(json.dumps(snapshot.take(node)))
    for own in ("incarnation", "arrivals", "started"):
        del known["chat"][own]
    return known


class JsonClient(RecordingClient):
    """A client that is sent JSON, and reads it as a person would read text."""

    def __init__(self, echo: bool = False) -> None:
        super().__init__(JSON, echo)
        self._me = ""

    def lines(self) -> list[str]:
        messages = [json.loads(line) for line in self.received.split(b"\n")[:-1]]
        self.received = b""
        lines: list[str] = []
        for message in messages:
            if message["type"] == "you":
                self._me = message["who"]["person"]
            lines += as_lines(message, self._me, shows_own=True)
        return lines


class Glass(pyte.Screen):
    """A screen of which nothing is lost: what goes up and away is kept.

    Unlike its base, it takes any text as it is, and does not walk over what is empty.
    """

    def __init__(self) -> None:
        super().__init__(columns=4_000, lines=24)
        self.gone: list[str] = []

    def row(self, y: int) -> str:
        return "".join(cell.data for _, cell in sorted(self.buffer[y].items()))

    def draw(self, data: str) -> None:
        row, cursor = self.buffer[self.cursor.y], self.cursor
        for one in data:
            columns = wcwidth(one)
            if columns == 0 and cursor.x:  # sits on what is before it
                cell = row[cursor.x - 1]
                row[cursor.x - 1] = cell._replace(data=cell.data + one)
                continue
            row[cursor.x] = cursor.attrs._replace(data=one)
            cursor.x += columns
            if columns == 2:
                row[cursor.x - 1] = cursor.attrs._replace(data="")
        assert cursor.x < self.columns

    def index(self) -> None:
        if self.cursor.y == self.lines - 1:
            self.gone.append(self.row(0))
        super().index()

    def erase_in_display(self, how: int = 0, *args: Any, **kwargs: Any) -> None:
        """Erase what is below; nothing else is ever asked for."""
        assert how == self.cursor.x == 0
        for y in range(self.cursor.y, self.lines):
            self.buffer.pop(y, None)


KEYS = {*map(chr, range(0x20)), "\x7f"} - {"\t"}
"""The characters that are keys, and no text."""


class ScreenClient(RecordingClient):
    """A client at a screen, on which both stand: what they type, and what they are sent."""

    PROMPT = "$ "

    def __init__(self, echo: bool = False) -> None:
        super().__init__(echo=echo)
        self._glass = Glass()
        show = pyte.ByteStream(self._glass).feed
        self._show = show
        self._screen = Screen(0, show, lambda: self.PROMPT, self._glass.columns)
        self._typed: list[str] = []
        """The lines that have to stand on the screen."""
        self._rows_read = 0

    def types(self, line: str, session: Session) -> None:
        """Press the keys of a line, and have the chat receive it."""
        if not line or set(line) & KEYS:  # which a terminal does not find
            session.receive(line)
            return
        shown = "" if self.concealed else sanitize(line)
        limit = session.rooms.limits.max_line
        self._screen.allow(limit)
        found = self._screen.feed(line.encode() + b"\r")
        while self._screen.behind:
            found += self._screen.feed(b"")
        while len(shown.encode()) - 2 * shown.count(REPLACEMENT) > limit:
            shown = shown[:-1]
        self._typed.append(self.PROMPT + shown)
        [one] = found
        if isinstance(one, bytes):
            session.receive(one.decode())
        else:
            session.answer(Refusal(f"a line holds at most {limit} bytes"))

    def send(self, data: bytes) -> None:
        if self.closed is None:
            self._show(self._screen.beside(data))

    def conceal(self, hidden: bool) -> None:
        super().conceal(hidden)
        self._screen.conceal(hidden)

    def close(self, reason: str, ending: Ending = Ending.OVER) -> None:
        self._show(self._screen.finish())
        super().close(reason, ending)

    def lines(self) -> list[str]:
        on_it = [self._glass.row(y) for y in range(self._glass.cursor.y)]
        rows = [*self._glass.gone, *on_it][self._rows_read :]
        self._rows_read += len(rows)
        typed = [row for row in rows if row.startswith(self.PROMPT)]
        assert typed == self._typed
        self._typed = []
        return [row for row in rows if not row.startswith(self.PROMPT)]


CLIENTS = {AS_JSON: JsonClient, AT_A_SCREEN: ScreenClient}
"""What people have in their hands, where that is something special."""


@dataclass
class Guest:
    """Someone at a terminal."""

    town: "Town"
    session: Session
    client: RecordingClient

    def types(self, *lines: str) -> None:
        """Type lines, and let everything that follows from each happen."""
        for line in lines:
            if isinstance(self.client, ScreenClient):
                self.client.types(line, self.session)
            else:
                self.session.receive(line)
            self.town.clock.turn()

    def reads(self) -> list[str]:
        """Read what has come since the last time."""
        self.town.clock.turn()
        return self.client.lines()

    def asks(self, line: str) -> list[str]:
        """Type a line, and read what comes of it, and nothing from before."""
        self.reads()
        self.types(line)
        return self.reads()

    def drops(self) -> None:
        """Lose the connection."""
        self.client.close("connection lost")
        self.session.lose()
        self.town.clock.turn()

    def moves_to_another_process(self) -> None:
        """Go on with a session made from the record of this one."""
        record = json.loads(json.dumps(self.session.to_record()))
        self.session.rooms.ignoring.end(self.session.id, self.session.ignored)
        self.session = Session.from_record(record, self.client, self.session.rooms)


class Town:
    """A chat of one or two nodes, and the people in it."""

    def __init__(self, kind: str = "local", limits: Limits | None = None) -> None:
        self.clock = RedisClock() if kind == "in redis" else ManualClock()
        self.kind, self._limits = kind, limits
        self._guests: list[Guest] = []
        self._directory = _directory(self) if kind == "on disk" else None
        store = self._store()  # which nodes share
        self.nodes = [
            rooms(self.clock, backplane, store, limits, OPERATORS)
            for backplane in self._backplanes()
        ]
        for node in self.nodes:
            for name in node.operators.names:
                node.operators.expect(name, CODE)
        if isinstance(self.clock, RedisClock):
            self.nodes[1].clock = lambda: self.clock.seconds() + SKEW
            for node in self.nodes:
                self.clock.have_take_part(node, store.open())
        else:
            self.nodes[0].restore(store.open())
        self._arrivals = 0

    def _backplanes(self) -> Sequence[IBackplane | None]:
        """Give that of each node; None for the one of a node that is alone."""
        if isinstance(self.clock, RedisClock):
            return [self.clock.backplane() for _ in range(NODES)]
        if self.kind in DELAYED:
            return [DelayedBackplane(self.clock)] * (2 if self.kind == "two nodes" else 1)
        return [None]

    def _store(self) -> SQLiteStore | MemoryStore:
        if self._directory is None:
            return MemoryStore()
        store = SQLiteStore(self.clock, self._directory / "state", worker=Tireless)
        weakref.finalize(self, _close, store, self.clock)
        return store

    def moves(self) -> None:
        """Have another process go on with everybody."""
        self.clock.turn()
        [node] = self.nodes
        here = [guest for guest in self._guests if not guest.session.ended]
        sessions = [guest.session.to_record() for guest in here]
        left = {"kept": self.settles(node.store.release()), "chat": record.to_record(node)}
        left = json.loads(json.dumps(left))
        store = self._store()
        new = rooms(self.clock, None, store, self._limits, OPERATORS)
        record.from_record(new, left["chat"], store.open(left["kept"]))
        self.nodes = [new]
        for guest, its_record in zip(here, sessions, strict=True):
            guest.session = Session.from_record(its_record, guest.client, new)
        new.dismiss_absent()
        self.clock.turn()

    def crashes(self) -> None:
        """Have the process die, and another one begin with what is on the disk."""
        self.clock.turn()
        [node] = self.nodes
        for guest in self._guests:
            guest.client.close("the process died")
        self.settles(node.store.close())
        store = self._store()
        self.nodes = [rooms(self.clock, None, store, self._limits, OPERATORS)]
        self.nodes[0].restore(store.open())
        self._guests = []

    def steps_to(self, kind: type[Event]) -> None:
        """Let no more happen until an event of some kind is under way."""
        while not any(isinstance(event, kind) for event in self._underway()):
            self.clock.step()

    def _underway(self) -> Iterator[Event]:
        for node in self.nodes:
            if isinstance(node.backplane, RedisBackplane):
                yield from (one.event for one in node.backplane._sending.queue.all())
            elif isinstance(node.backplane, DelayedBackplane):
                yield from (event for event, _ in node.backplane._underway)

    def agrees(self) -> None:
        """See that all nodes know the same."""
        self.clock.turn()
        first, *others = map(known, self.nodes)
        for other in others:
            assert other == first

    def arrives(
        self,
        *lines: str,
        echo: bool = False,
        address: str = "",
        key: str = "",
        fingerprint: str = "",
        after: int | None = None,
    ) -> Guest:
        """Have someone connect, on each node in turn, and type some lines."""
        node = self.nodes[self._arrivals % len(self.nodes)]
        self._arrivals += 1
        client = CLIENTS.get(self.kind, RecordingClient)(echo=echo)
        origin = Origin(address, key=key, fingerprint=fingerprint)
        guest = Guest(self, node.connect(client, origin=origin, after=after), client)
        self._guests.append(guest)
        self.clock.turn()
        guest.types(*lines)
        return guest

    def passes(self, seconds: float) -> None:
        """Let time go by, and all happen that it brings about."""
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            self.clock.advance(min(0.01, end - self.clock.seconds()))
            self.clock.turn()

    def grace_ends(self) -> None:
        """Let so much time go by that nobody who is gone can come back."""
        self.clock.turn()  # or it would be the disk that takes so long
        self.clock.advance(self.nodes[0].limits.grace + 1)
        for node in self.nodes:
            node.tick()
        self.clock.turn()

    def settles(self, asked: Any) -> Any:
        """Wait for an answer, and give it."""
        answers: list[Any] = []
        ensureDeferred(asked).addCallback(answers.append)
        self.clock.turn()
        return answers[0]

    def enters(self, name: str, room: str = "tea", address: str = "") -> Guest:
        """Have someone come in, take a name and enter a room."""
        guest = self.arrives(f"/nick {name}", f"/join {room}", address=address)
        self.clock.turn()
        return guest

    def registers(self, name: str, room: str = "", address: str = "") -> Guest:
        """Have someone come in, take a name, make an account of it, and perhaps enter a room."""
        code = [CODE] if name in OPERATORS else []
        guest = self.arrives(f"/nick {name}", "/register", *code, PASSWORD, address=address)
        if room:
            guest.types(f"/join {room}")
        assert guest.session.who.account == f"@{name}"
        guest.reads()
        return guest


def _directory(town: Town) -> Path:
    """Make a directory that is gone with the town."""
    directory = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    weakref.finalize(town, shutil.rmtree, directory)
    return directory


def _close(store: SQLiteStore, clock: ManualClock) -> None:
    ensureDeferred(store.close())
    clock.turn()
