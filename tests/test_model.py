"""Promise 1: in a room every member hears the same lines, in one order, each exactly once.

People come, talk, rename, ignore, leave and drop at random, on one node and on two; what each
of them was shown is compared with what a reader of the log of events would expect.
"""

import re
from collections import defaultdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from town import DELAYED, KINDS, Town

from twisted_chat.chat import events

ROOMS = ("tea", "coffee", "lobby")
NAMES = ("ann", "bob", "cyd", "dan")
PEOPLE = 6
SEEN = re.compile(r"^> (\S+: say-\d+|\* \S+ say-\d+|.* joined the room|.* has left the room|"
                  r"\S+ is now known as .*)$")  # fmt: skip


class Expected:
    """What each person should have been shown, told from the log of events alone."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = defaultdict(list)
        self.names: dict[str, str] = {}
        self.rooms: dict[str, str] = {}
        self.ignoring: dict[str, set[str]] = defaultdict(set)

    def read(self, event: events.Event) -> None:
        """Take the next event of the log."""
        who = event.who.person
        if isinstance(event, events.Arrived):
            self.names[who] = "stranger"
        elif isinstance(event, events.Said):
            self._line(who, f"> {event.who.name}: {event.text}")
        elif isinstance(event, events.Emoted):
            self._line(who, f"> * {event.who.name} {event.text}")
        elif isinstance(event, events.Renamed):
            self._others(who, f"> {event.who.name} is now known as {event.name}")
            self.names[who] = event.name
        elif isinstance(event, events.Joined):
            self._out(event.who)
            self.rooms[who] = event.name
            self._others(who, f"> {event.who.name} joined the room")
        elif isinstance(event, events.Left | events.Lost | events.Quit):
            self._out(event.who)

    def _out(self, who: events.Who) -> None:
        if who.person in self.rooms:
            self._others(who.person, f"> {who.name} has left the room")
            del self.rooms[who.person]

    def _line(self, who: str, line: str) -> None:
        self._others(who, line, lambda one: who not in self.ignoring[one])

    def _others(self, who: str, line: str, hears=lambda one: True) -> None:
        if who not in self.rooms:
            return
        for one, room in self.rooms.items():
            if one != who and room == self.rooms[who] and hears(one):
                self.lines[one].append(line)


class Chat(RuleBasedStateMachine):
    """People who do as people do."""

    kind = "local"

    def __init__(self) -> None:
        super().__init__()
        self.town = Town(self.kind)
        self.expected = Expected()
        self.guests = []
        self.gone = []
        self.shown: dict[str, list[str]] = defaultdict(list)
        self.said = 0
        self._listen()

    def _listen(self) -> None:
        node = self.town.nodes[0]
        if self.kind in DELAYED:
            node.backplane.subscribe(lambda event: None, self.expected.read)
            return

        def apply(event: events.Event) -> None:
            self.expected.read(event)
            node.apply(event)

        node.backplane.subscribe(node.admit, apply)

    def guest(self, number: int):
        return self.guests[number % len(self.guests)]

    def settle(self) -> None:
        self.town.agrees()
        for guest in (*self.guests, *self.gone):
            for line in guest.client.lines():
                if SEEN.match(line):
                    self.shown[guest.session.id].append(line)

    some = st.integers(0, PEOPLE - 1)

    @precondition(lambda self: len(self.guests) < PEOPLE)
    @rule()
    def arrive(self):
        self.guests.append(self.town.arrives())

    @precondition(lambda self: self.guests)
    @rule(number=some, name=st.sampled_from(NAMES))
    def nick(self, number, name):
        self.guest(number).session.receive(f"/nick {name}")

    @precondition(lambda self: self.guests)
    @rule(number=some, room=st.sampled_from(ROOMS))
    def join(self, number, room):
        self.guest(number).session.receive(f"/join {room}")

    @precondition(lambda self: self.guests)
    @rule(number=some)
    def leave(self, number):
        self.guest(number).session.receive("/leave")

    @precondition(lambda self: self.guests)
    @rule(numbers=st.lists(some, min_size=1, max_size=6), emote=st.booleans())
    def say(self, numbers, emote):
        for number in numbers:
            self.said += 1
            command = "/me " if emote else ""
            self.guest(number).session.receive(f"{command}say-{self.said}")

    @precondition(lambda self: self.guests)
    @rule(number=some)
    def ask(self, number):
        self.guest(number).session.receive("/who")

    @precondition(lambda self: len(self.guests) > 1)
    @rule(number=some, other=some)
    def ignore(self, number, other):
        self.settle()  # from here on, and not for what is under way
        one, troll = self.guest(number), self.guest(other)
        ignoring = self.expected.ignoring[one.session.id]
        if one is troll:
            return
        if troll.session.id in ignoring:
            ignoring.remove(troll.session.id)
            one.types(f"/unignore {troll.session.who.name}")
        else:
            ignoring.add(troll.session.id)
            one.types(f"/ignore {troll.session.who.name}")

    @precondition(lambda self: self.guests)
    @rule(number=some, orderly=st.booleans())
    def go(self, number, orderly):
        guest = self.guest(number)
        self.settle()  # what is on its way to a connection that breaks is lost
        if orderly:
            guest.session.receive("/quit")
            self.settle()
        else:
            guest.drops()
        self.guests.remove(guest)
        self.gone.append(guest)

    @precondition(lambda self: self.guests)
    @rule(number=some)
    def move(self, number):
        self.town.clock.turn()  # a session that waits for something cannot be recorded
        self.guest(number).moves_to_another_process()

    @rule()
    def end_turn(self):
        self.settle()

    @invariant()
    def nobody_has_two_names_or_rooms(self):
        for node in self.town.nodes:
            names = [person.name.text for person in node.people.values()]
            assert len(names) == len(set(names))
            for room in node.rooms.values():
                assert room.members
                assert all(person.room is room for person in room.members.values())

    def teardown(self):
        self.settle()
        for guest in (*self.guests, *self.gone):
            assert self.shown[guest.session.id] == self.expected.lines[guest.session.id]
        for guest in self.guests:
            guest.drops()
        for node in self.town.nodes:
            assert (node.people, node.rooms, node.sessions) == ({}, {}, {})
            assert (len(node.naming._owners), len(node.table._names), node.ignoring.ignorers) == (
                0,
                0,
                {},
            )
            assert (node.delivery._batches, node.delivery._owed, node.delivery._held) == (
                {},
                {},
                {},
            )


@pytest.mark.parametrize("kind", KINDS)
def test_everyone_hears_every_line_once_and_in_order(kind):
    """Whatever people do, on one node or on two, with sessions moved at random."""
    machine = type("Chat", (Chat,), {"kind": kind})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=100, stateful_step_count=40, deadline=None),
    )
