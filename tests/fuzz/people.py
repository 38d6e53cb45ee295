"""What must hold of people who type anything at all, come, go, and move to another process.

A script has a line for each step: a character that tells who, and what they type, or one of
`DEEDS`.  The first four speak JSON, the others read text.
"""

import json
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

from test_login_model import Logins
from town import Guest, JsonClient, Town

from fuzz.logs import nothing_goes_wrong
from twisted_chat.chat.events import Emoted, Origin, Said
from twisted_chat.chat.sanitize import sanitize
from twisted_chat.testing import RecordingClient

PEOPLE = 8
STEPS = 60
DEEDS = ("!drop", "!moves", "!passes", "!grace", "!tick")


class World(SimpleNamespace):
    """A town, who is in it, and what each of them has to hear."""

    def __init__(self) -> None:
        super().__init__(town=Town("local"))
        self.guests: dict[int, Guest] = {}
        self._due: defaultdict[str, list[int]] = defaultdict(list)
        """The ids of what was said, by the person who has to hear it."""
        self._listen()

    def play(self, script: bytes) -> None:
        for step in script.split(b"\n")[:STEPS]:
            if step:
                self._take(step[0] % PEOPLE, step[1:].decode("utf-8", "replace"))
                self._check()

    def end(self) -> None:
        """Have everyone go: nothing may be left of them."""
        for guest in self.guests.values():
            guest.drops()
        self.town.grace_ends()
        [node] = self.town.nodes
        assert (node.people, node.rooms, node.sessions) == ({}, {}, {})
        assert (node.logins._people, len(node.naming._owners)) == ({}, 0)
        assert node.places._gone == {}

    def _take(self, number: int, what: str) -> None:
        if what == "!moves":
            self.town.moves()
            self._listen()
        elif what == "!passes":
            self.town.clock.advance(61)
        elif what == "!grace":
            self.town.grace_ends()
        elif what == "!tick":
            self.town.nodes[0].tick()
        elif what == "!drop":
            if guest := self.guests.pop(number, None):
                guest.drops()
        else:
            self._guest(number).session.receive(what)
        self.town.clock.turn()

    def _guest(self, number: int) -> Guest:
        if number not in self.guests:
            client = JsonClient(echo=True) if number < PEOPLE // 2 else RecordingClient()
            origin = Origin(f"192.0.2.{number}", key="" if number % 2 else str(number) * 64)
            guest = Guest(self.town, self.town.nodes[0].connect(client, origin=origin), client)
            self.town._guests.append(guest)
            self.guests[number] = guest
            self.town.clock.turn()
        return self.guests[number]

    def _listen(self) -> None:
        """Take note of what goes into the history, and who has to hear it."""
        [node] = self.town.nodes
        record = node.store.record

        def take_note(event: Said | Emoted) -> None:
            for member in node.rooms[event.room].members:
                session = node.sessions.get(member)
                if session and event.who.identity not in session.ignored:
                    self._due[member].append(event.id)
            record(event)

        node.store.record = take_note

    def _check(self) -> None:
        for invariant in (
            Logins.names_and_accounts_are_one_persons,
            Logins.a_session_and_its_person_belong_together,
            Logins.members_are_in_their_room,
        ):
            invariant(self)
        for number, guest in list(self.guests.items()):
            self._read(guest)
            if guest.session.ended:
                del self.guests[number]
        self._due.clear()

    def _read(self, guest: Guest) -> None:
        """See that a guest was shown what was due to them, and nothing harmful."""
        received, guest.client.received = guest.client.received, b""
        if isinstance(guest.client, JsonClient):
            messages = [json.loads(line) for line in received.splitlines()]
            heard = [one["id"] for one in messages if one["type"] in ("said", "emoted")]
            assert heard == self._due[guest.session.id]
            for message in messages:
                _is_harmless(message)
        else:
            for line in received.decode().split("\r\n"):
                assert sanitize(line) == line


def _is_harmless(value: Any) -> None:
    """See that no text in a message has a control in it."""
    if isinstance(value, str):
        assert sanitize(value) == value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            _is_harmless(one)


def session(script: bytes) -> None:
    """Play a script, and see that all holds after each step."""
    with nothing_goes_wrong():
        world = World()
        world.play(script)
        world.end()
