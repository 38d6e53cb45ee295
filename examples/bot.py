"""A bot that tells the time to whoever says ``!time`` in its room.

    python examples/bot.py tcp:localhost:8888 lobby clock

The arguments are a Twisted client endpoint, a room, and the name that the bot takes.  It comes
back by itself when the connection breaks.
"""

import re
import sys
from datetime import UTC, datetime
from typing import Any

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.protocol import Factory
from twisted.internet.task import react
from twisted.protocols.basic import LineReceiver

# What someone says begins "> NAME: ".  Nobody can be called "here" or "topic", and names hold no
# blank and none of these marks: no other line can look so, whatever people type.
SAID = re.compile(r"> (?!here:|topic:)[^ :\[\]*>,/@#]+: (.*)")


class Bot(LineReceiver):
    """One connection to the chat."""

    delimiter = b"\r\n"
    MAX_LENGTH = 65536  # a list of 200 names can be long

    def __init__(self, room: str, nick: str) -> None:
        self._room, self._nick = room, nick

    def connectionMade(self) -> None:
        self._type(f"/nick {self._nick}")
        self._type(f"/join {self._room}")

    def lineReceived(self, line: bytes) -> None:
        text = line.decode()
        if text.startswith("err: "):
            sys.stderr.write(f"{text}\n")
        said = SAID.fullmatch(text)
        if said and said[1].strip() == "!time":
            self._type(f"it is {datetime.now(UTC):%H:%M} UTC")

    def _type(self, line: str) -> None:
        self.sendLine(line.encode())


class BotFactory(Factory):
    def __init__(self, room: str, nick: str) -> None:
        self._room, self._nick = room, nick

    def buildProtocol(self, addr: object) -> Bot:
        return Bot(self._room, self._nick)


async def main(reactor: Any, endpoint: str, room: str, nick: str) -> None:
    """Stay in the chat until the process is stopped."""
    service = ClientService(clientFromString(reactor, endpoint), BotFactory(room, nick))
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    service.startService()
    await Deferred()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python bot.py ENDPOINT ROOM NICK")
    react(main, sys.argv[1:])
