"""A bridge between two chats: what is said in a room of one is said in a room of the other.

    python examples/bridge.py one.example.org:8889/tea two.example.org:8889/coffee --name bridge

The ports are those of ``--json``.  In the other room ``> ann: hello`` becomes
``> bridge: <ann> hello``, and ``> * ann waves`` becomes ``> bridge: * ann waves``.

* What a bridge says begins with an invisible character, U+2063, and no bridge carries what holds
  it.  So nothing goes round, in whatever ring; and nothing goes over two bridges in a row.
* When a connection breaks, the bridge comes back, and hears what was said meanwhile: the last 200
  lines of it.  For a room that it cannot reach it keeps 1000 lines; older ones are lost.
* Each line is said once, even if the connection broke while it was on its way.  What a chat
  refuses, as it does in a muted room, is written to stderr, and not said again.
"""

import argparse
import json
import random
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

from twisted.application.internet import backoffPolicy
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import connectionDone
from twisted.internet.task import deferLater, react
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

MARK = "\u2063"  # nobody types it, and everything that people do type is carried
PIECE = 800  # bytes of a line: a chat takes 1024, and a name may have 128 of them
WAITING = 1000  # lines
LONGEST_PAUSE = 60  # seconds

Message = dict[str, Any]


def carried(line: Message) -> Iterator[str]:
    """Give what the other room is told of a line: more than one if it is long."""
    name, text = line["who"]["name"], line["text"].encode()
    head = f"<{name}>" if line["type"] == "said" else f"* {name}"
    while text:
        piece = text[:PIECE].decode(errors="ignore")  # without half a letter at its end
        text = text[len(piece.encode()) :]
        yield f"{MARK}{head} {piece}".rstrip()


class Side:
    """One of the two rooms, and what waits to be said there."""

    other: "Side"

    def __init__(self, place: str) -> None:
        address, _, self.room = place.partition("/")
        host, _, port = address.rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)
        if not self.host or not self.room:
            raise ValueError(place)
        self.last: int | None = None  # the id of the last line that was said; None at first
        self.link: Link | None = None  # while it is in the room
        self.mine: set[str] = set()  # who we are, and were before connections broke
        self._under_way = ""  # what was sent, and perhaps not said
        self._waiting: deque[str] = deque(maxlen=WAITING)

    def note(self, text: object) -> None:
        sys.stderr.write(f"{self.room}: {text}\n")

    def heard(self, line: Message) -> None:
        """Take what somebody said or did here."""
        self.last = line["id"]
        if line["who"]["person"] in self.mine:
            if line["text"] == self._under_way:
                self._under_way = ""
        elif MARK not in line["text"]:
            for text in carried(line):
                self.other.say(text)

    def missed(self, lines: list[Message], has_gap: bool) -> None:
        """Take what was said here while we were away."""
        if self.last is None:  # we were never here: all this tells is where we begin
            self.last = lines[-1]["id"] if lines else 0
        if has_gap:
            self.other.say(f"{MARK}more was said in {self.room} than the following")
        for line in lines:
            if line["id"] > self.last:
                self.heard(line)

    def say(self, text: str) -> None:
        """Have something said here, as soon as that can be."""
        self._waiting.append(text)
        self.go_on()

    def go_on(self) -> None:
        """Say the next line, one at a time: of no more it may be open whether they were said."""
        if self.link and not self.link.answer and (self._under_way or self._waiting):
            self._under_way = self._under_way or self._waiting.popleft()
            self.link.ask(self._under_way).addCallbacks(self._obeyed, lambda _broken: None)

    def _obeyed(self, refusal: str) -> None:
        if refusal:
            self.note(refusal)
        self._under_way = ""
        self.go_on()


class Link(LineReceiver):
    """One connection to a chat."""

    delimiter = b"\n"
    MAX_LENGTH = 1 << 22  # all that was missed comes in one line
    transport: Any = None

    def __init__(self, side: Side) -> None:
        self._side = side
        self._is_in = False
        self._refusal = ""
        self.answer: Deferred[str] | None = None  # while one is awaited
        self.end: Deferred[str] = Deferred()

    def ask(self, line: str, **more: int) -> Deferred[str]:
        """Say a line; give why it was refused, or an empty text, once the chat is done with it."""
        self._refusal, self.answer = "", Deferred()
        self.sendLine(json.dumps({"line": line, "tag": 0, **more}).encode())
        return self.answer

    async def enter(self, name: str) -> None:
        """Enter the room, under the name or one like it."""
        for number in ("", *"23456789"):
            if not (refusal := await self.ask(f"/nick {name}{number}")):
                break
        if not refusal:
            refusal = await self.ask(f"/join {self._side.room}", after=self._side.last or 0)
        if refusal:
            raise RuntimeError(refusal)

    def connectionMade(self) -> None:
        self.transport.setTcpKeepAlive(True)  # or a chat that vanishes is never missed

    def lineReceived(self, line: bytes) -> None:
        message = json.loads(line)
        match message["type"]:
            case "said" | "emoted":
                self._side.heard(message)
            case "replay":
                self._side.missed(message["lines"], message["gap"])
            case "refusal":
                self._refusal = message["text"]
            case "done" if self.answer:
                answer, self.answer = self.answer, None
                answer.callback(self._refusal)
            case "you":
                self._side.mine.add(message["who"]["person"])
                if self._is_in and not message["room"]:  # somebody put us out
                    self.transport.loseConnection()
                self._is_in = bool(message["room"])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.answer:
            self.answer.errback(reason)
        self.end.callback(reason.getErrorMessage())


async def stay(reactor: Any, side: Side, name: str, pause: float) -> None:
    """Be in a room, and come back whenever that ends."""
    endpoint = HostnameEndpoint(reactor, side.host, side.port)
    pauses = backoffPolicy(pause, LONGEST_PAUSE, jitter=lambda: pause * random.random())
    failures = 0
    while True:
        link = Link(side)
        try:
            await connectProtocol(endpoint, link)
            await link.enter(name)
            side.link, failures = link, 0
            side.go_on()
            side.note(await link.end)
        except Exception as error:  # whatever it is, it may be over later
            side.note(error)
            if link.transport:
                link.transport.abortConnection()
        side.link = None
        failures += 1
        await deferLater(reactor, pauses(failures))


async def main(reactor: Any, options: argparse.Namespace) -> None:
    """Be in both rooms until the process is stopped."""
    one, two = options.sides
    one.other, two.other = two, one
    stays = [stay(reactor, side, options.name, options.pause) for side in (one, two)]
    await gatherResults(map(Deferred.fromCoroutine, stays))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Say in one room what is said in another.")
    parser.add_argument("sides", nargs=2, type=Side, metavar="HOST:PORT/ROOM")
    parser.add_argument("--name", default="bridge")
    parser.add_argument("--pause", type=float, default=1.0, help="before the first return: 1 s")
    react(main, [parser.parse_args()])
