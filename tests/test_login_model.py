"""Logging in, taking over, renaming, going: in every order, on one node and on two."""

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
from town import ALONE, KINDS, Town

NAMES = ("ann", "bob", "Ann")
ROOMS = ("tea", "coffee")
PASSWORD = "correct horse"
PEOPLE = 6


class Logins(RuleBasedStateMachine):
    """People with accounts, and guests who use their names."""

    kind = "local"

    def __init__(self) -> None:
        super().__init__()
        self.town = Town(self.kind)
        self.guests = []

    some = st.integers(0, PEOPLE - 1)
    here = precondition(lambda self: self.guests)

    def types(self, number, line):
        """Have someone type a line, and be removed from those here if that ends them."""
        guest = self.guests[number % len(self.guests)]
        guest.session.receive(line)

    @precondition(lambda self: len(self.guests) < PEOPLE)
    @rule()
    def arrive(self):
        self.guests.append(self.town.arrives())

    @here
    @rule(number=some, name=st.sampled_from(NAMES))
    def nick(self, number, name):
        self.types(number, f"/nick {name}")

    @here
    @rule(number=some)
    def register(self, number):
        self.types(number, f"/register {PASSWORD}")

    @here
    @rule(number=some, name=st.sampled_from(NAMES), asked=st.booleans())
    def login(self, number, name, asked):
        if asked:
            self.types(number, f"/login {name}")
            self.types(number, PASSWORD)
        else:
            self.types(number, f"/login {name} {PASSWORD}")

    @here
    @rule(number=some, word=st.sampled_from(["/logout", "/unregister", "/leave", "/quit", "hello"]))
    def word(self, number, word):
        self.types(number, word)

    @here
    @rule(number=some, room=st.sampled_from(ROOMS))
    def join(self, number, room):
        self.types(number, f"/join {room}")

    @here
    @rule(number=some, name=st.sampled_from(NAMES))
    def tell(self, number, name):
        self.types(number, f"/tell {name} hi")

    @here
    @rule(number=some)
    def drop(self, number):
        self.guests.pop(number % len(self.guests)).drops()

    @precondition(lambda self: self.kind in ALONE)
    @rule()
    def move(self):
        self.settle()
        self.town.moves()

    @rule(seconds=st.sampled_from([30, 121]))
    def time_passes(self, seconds):
        self.settle()
        self.town.clock.advance(seconds)
        for node in self.town.nodes:
            node.tick()

    @precondition(lambda self: self.kind == "on disk")
    @rule()
    def crash(self):
        self.settle()
        self.town.crashes()
        self.guests = []

    @rule()
    def settle(self):
        self.town.agrees()
        self.guests = [guest for guest in self.guests if not guest.session.ended]

    @invariant()
    def names_and_accounts_are_one_persons(self):
        for node in self.town.nodes:
            people = node.people.values()
            accounts = [person.who.account for person in people if person.who.account]
            assert len(accounts) == len(set(accounts))
            folds = [person.name.fold for person in people]
            assert len(folds) == len(set(folds))
            for id_, person in node.people.items():
                assert person.who.person == id_
                assert person.who.name == person.name.text
                assert node.naming.find(person.name.text) is person
                if person.who.account:
                    assert node.logins.find(person.who.account) is person

    @invariant()
    def a_session_and_its_person_belong_together(self):
        for node in self.town.nodes:
            for id_, session in node.sessions.items():
                assert session.id == id_
                person = node.people.get(id_)
                assert person is None or session.person is person
                assert person is None or person.client is session.client

    @invariant()
    def members_are_in_their_room(self):
        for node in self.town.nodes:
            for room in node.rooms.values():
                assert room.members
                assert {id(person) for person in room.roster.first(100)[0]} == {
                    id(person) for person in room.members.values()
                }
                assert all(person.room is room for person in room.members.values())

    def teardown(self):
        self.settle()
        views = [
            {
                person.who: (person.room and person.room.name.text, person.gone)
                for person in node.people.values()
            }
            for node in self.town.nodes
        ]
        assert views.count(views[0]) == len(views)  # the nodes agree
        assert sum(not gone for _, gone in views[0].values()) == len(self.guests)
        assert all(who.account for who, (_, gone) in views[0].items() if gone)
        for guest in self.guests:
            guest.drops()
        self.town.grace_ends()
        for node in self.town.nodes:
            assert (node.people, node.rooms, node.sessions) == ({}, {}, {})
            assert (node.logins._people, len(node.naming._owners)) == ({}, 0)
            assert node.places._gone == {}


@pytest.mark.parametrize("kind", KINDS)
def test_everyone_is_one_person(kind):
    """However they come back, and whoever uses their name meanwhile."""
    run_state_machine_as_test(
        type("Logins", (Logins,), {"kind": kind}),
        settings=settings(max_examples=100, stateful_step_count=40, deadline=None),
    )
