"""A small town of people who chat: the same scenarios on one node, and on two with delay."""

import json
from dataclasses import dataclass

from twisted_chat.chat.limits import Limits
from twisted_chat.chat.rooms import Rooms
from twisted_chat.chat.session import Session
from twisted_chat.testing import DelayedBackplane, ManualClock, RecordingClient, rooms

KINDS = ("local", "delayed", "two nodes")


@dataclass
class Guest:
    """Someone at a terminal."""

    town: "Town"
    session: Session
    client: RecordingClient

    def types(self, *lines: str) -> None:
        """Type lines, and let everything that follows from each happen."""
        for line in lines:
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
        self.session.end()
        self.town.clock.turn()

    def moves_to_another_process(self) -> None:
        """Go on with a session made from the record of this one."""
        record = json.loads(json.dumps(self.session.to_record()))
        for identity in self.session.ignored:
            self.session.rooms.unignore(self.session.id, identity)
        self.session = Session.from_record(record, self.client, self.session.rooms)


class Town:
    """A chat of one or two nodes, and the people in it."""

    def __init__(self, kind: str = "local", limits: Limits | None = None) -> None:
        self.clock = ManualClock()
        backplane = None if kind == "local" else DelayedBackplane(self.clock)
        number = 2 if kind == "two nodes" else 1
        self.nodes: list[Rooms] = [
            rooms(self.clock, backplane, limits=limits) for _ in range(number)
        ]
        self._arrivals = 0

    def arrives(self, *lines: str, echo: bool = False) -> Guest:
        """Have someone connect, on each node in turn, and type some lines."""
        node = self.nodes[self._arrivals % len(self.nodes)]
        self._arrivals += 1
        client = RecordingClient(echo=echo)
        guest = Guest(self, node.connect(client), client)
        self.clock.turn()
        guest.types(*lines)
        return guest

    def enters(self, name: str, room: str = "tea") -> Guest:
        """Have someone come in, take a name and enter a room."""
        guest = self.arrives(f"/nick {name}", f"/join {room}")
        self.clock.turn()
        return guest
