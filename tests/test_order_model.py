"""Owning, banning, muting, locking, logging in and going: in every order, on one node and two."""

import re
from collections import Counter
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

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
from town import ALONE, IN_REDIS, KINDS, OPERATORS, PASSWORD, STEPWISE, Guest, Town

from twisted_chat.chat import acts, events
from twisted_chat.chat.limits import OWNED_SECONDS, ROOMS_OWNED

NAMES = ("ann", "bob", "cyd", "Ann", "root")
ROOMS = ("tea", "tea", "tea", "coffee")
ADDRESSES = ("", "10.0.0.1", "10.0.0.2", "2001:db8::1")
ACTS = (
    *("/ban {}", "/ban {} 10m no", "/mute {}", "/mute {} 10m no", "/kick {}", "/invite {}"),
    *("/op {}", "/op {}", "/deop {}", "/unban {}", "/unmute {}"),
)
KEYS = ("", "", KEY := f"SHA256:a/{'b' * 40}A")
PASSING = (1, 6, 6, 700, 700, 8000, 100_000, OWNED_SECONDS + 100)
PEOPLE = 6
WHOM = (*range(PEOPLE), *range(PEOPLE), "ann", "@ann", "@bob", "10.0.0.1", "10.0.0.0/24", KEY)
"""Who is here, by number, or someone who need not be."""
MEMBER, OPERATOR, OWNER, SERVER = range(4)
HEARD = re.compile(r"say-\d+")


def rank(account, charter):
    """Tell what an account is in a room."""
    if account in [f"@{name}" for name in OPERATORS]:
        return SERVER
    if account is None:
        return MEMBER
    if account == charter.owner:
        return OWNER
    return OPERATOR if account in charter.operators else MEMBER


@lru_cache
def is_from(address, network):
    return bool(address) and ip_address(address) in ip_network(network)


def is_against(sanction, person):
    """Tell whether a ban or a mute is against someone."""
    if person.who.account:
        return sanction.subject == person.who.account
    if sanction.subject == "*":
        return person.since > sanction.since
    if sanction.subject == KEY:
        return person.origin.fingerprint == KEY
    if "/" in sanction.subject:
        return is_from(person.origin.address, sanction.subject)
    return sanction.subject == person.who.person


class Witness:
    """Sees each act and each line before it is carried out, and whether it may be."""

    def __init__(self, town):
        self.wrong = []
        """What should not have happened."""
        self.unheard = set()
        """The lines that nobody may hear."""
        self._node = node = town.nodes[0]
        self._clock = town.clock
        self.appointed = set()
        """Who was made somebody at some time."""
        self.took_over = False
        """Whether somebody logged in who was logged in elsewhere."""
        self._aired = []
        self._spoke = {}
        self._to_room = node.delivery.to_room
        node.delivery.to_room = self._airs
        for kind, applier in list(node._appliers.items()):
            if issubclass(kind, events.Said | events.Emoted | events.TopicSet):
                node._appliers[kind] = self._seeing(self._line, applier)
            elif issubclass(kind, acts.Act):
                node._appliers[kind] = self._seeing(self._act, applier)
            elif kind is events.Quit:
                node._appliers[kind] = self._seeing(self._quit, applier)
            elif kind is events.LoggedIn:
                node._appliers[kind] = self._seeing(self._logged_in, applier)

    def _seeing(self, see, apply):
        def applied(event):
            verdict = see(event)
            apply(event)
            if verdict is not None and verdict != (event in self._aired):
                self.wrong.append(f"{event} was {'not ' if verdict else ''}heard")
            self._aired.clear()

        return applied

    def _airs(self, room, event, *deaf):
        self._aired.append(event)
        self._to_room(room, event, *deaf)

    def in_force(self, charter, kind, person):
        """Find what is against someone now."""
        now = self._clock.seconds()
        for one in charter.sanctions:
            is_over = one.until is not None and one.until <= now
            if one.kind == kind and not is_over and is_against(one, person):
                return one
        return None

    def _is_muted(self, person):
        charter = person.room.charter
        is_member = rank(person.who.account, charter) == MEMBER
        return is_member and self.in_force(charter, "mute", person) is not None

    def _line(self, event):
        """Tell whether a line is to be heard; None if it may or may not."""
        person = self._node.people.get(event.who.person)
        if person is None or person.room is None or person.room.id != event.room:
            self.unheard.add(event.text)
            return False
        if self._is_muted(person):
            self.unheard.add(event.text)
            return False
        charter = person.room.charter
        now, place = self._clock.seconds(), (person.room, person.who.identity)
        is_member = rank(person.who.account, charter) == MEMBER
        if is_member and now < self._spoke.get(place, 0) + charter.slow:
            self.unheard.add(event.text)
            return False
        if charter.slow:
            self._spoke[place] = now
        return True

    def _quit(self, event):
        person = self._node.people.get(event.who.person)
        if person and person.room and self._is_muted(person):
            self.unheard.add(event.reason)

    def _logged_in(self, event):
        if self._node.logins.find(event.account):
            self.took_over = True

    def _act(self, act):
        """Check that who does it is more than to whom it is done."""
        who, room = self._node.people.get(act.who.person), self._node.rights.scope(act.room)
        if who is None or room is None:
            self.wrong.append(f"{act}, by or in nothing")
            return
        own = rank(who.who.account, room.charter)
        if own < (OPERATOR if act.room else SERVER):
            self.wrong.append(f"{act}, by a mere member")
        target = self._target(act)
        if target and rank(target, room.charter) >= own:
            self.wrong.append(f"{act}, to one who is no less")
        if isinstance(act, acts.Appointed) and act.rank > MEMBER:
            self.appointed.add(act.whom.account)

    def _target(self, act):
        """Give the account from which the act takes something."""
        if isinstance(act, acts.Kicked):
            person = self._node.people.get(act.whom.person)
            # See test_an_owner_who_logs_in_just_now_is_not_kicked.
            is_same = person and person.who.account == act.whom.account
            return person.who.account if is_same else None
        if isinstance(act, acts.Sanctioned):
            return act.sanction.subject
        if isinstance(act, acts.Appointed) and act.rank == MEMBER:
            return None if act.whom.account == act.who.account else act.whom.account
        return None


class Order(RuleBasedStateMachine):
    """People who own rooms, run them and disturb, and one who runs the server."""

    kind = "local"

    def __init__(self) -> None:
        super().__init__()
        self.town = Town(self.kind)
        self.said = 0
        root = self.town.registers("root")
        ann, bob = (self.town.registers(name, "tea") for name in ("ann", "bob"))
        self.guests = [root, ann, bob, self.town.enters("cyd", address="10.0.0.1")]
        ann.types("/op bob")
        self.witness = Witness(self.town)

    some = st.integers(0, PEOPLE - 1)
    whom = st.sampled_from(WHOM)
    here = precondition(lambda self: self.guests)

    def types(self, number, *lines):
        """Have someone type lines, and nothing come of it yet that takes a turn."""
        for line in lines:
            self.guests[number % len(self.guests)].session.receive(line)

    def commands(self, number, line, whom=None):
        """Have someone type a line, mostly one who may; to whom it is done then comes, or tries."""
        able = [n for n, guest in enumerate(self.guests) if guest.session.rank > MEMBER]
        if able and number:
            number = able[number % len(able)]
        self.types(number, line.format(self.name(whom)))
        if isinstance(whom, int):
            self.types(whom, "/join tea")

    def name(self, whom):
        if isinstance(whom, int):
            return self.guests[whom % len(self.guests)].session.who.name
        return whom

    @precondition(lambda self: len(self.guests) < PEOPLE)
    @rule(
        address=st.sampled_from(ADDRESSES), name=st.sampled_from(NAMES), key=st.sampled_from(KEYS)
    )
    def arrive(self, address, name, key):
        self.guests.append(self.town.arrives(address=address, fingerprint=key))
        self.types(-1, f"/nick {name}", "/join tea")

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
            self.types(number, f"/login {name}", PASSWORD)
        else:
            self.types(number, f"/login {name} {PASSWORD}")

    @here
    @rule(number=some, line=st.sampled_from(["/logout", "/leave", "/quit"]))
    def line(self, number, line):
        self.types(number, line)

    @here
    @rule(number=some)
    def unregister(self, number):
        self.town.clock.turn()  # see test_who_gives_up_their_account_just_now_is_made_nothing
        self.types(number, "/unregister", PASSWORD)
        self.town.clock.turn()

    @here
    @rule(number=some, room=st.sampled_from(ROOMS), key=st.sampled_from(["", " x"]))
    def join(self, number, room, key):
        self.types(number, f"/join {room}{key}")

    @here
    @rule(number=some, how=st.sampled_from(["", "", "/me ", "/topic ", "/quit "]))
    def say(self, number, how):
        self.said += 1
        self.types(number, f"{how}say-{self.said}")

    @here
    @rule(number=some, name=st.sampled_from(NAMES), end=st.booleans())
    def ignore(self, number, name, end):
        self.types(number, f"/{'un' if end else ''}ignore {name}")

    @here
    @rule(number=some, whom=whom, acts=st.lists(st.sampled_from(ACTS), min_size=1, max_size=4))
    def quarrel(self, number, whom, acts):
        for act in acts:
            if act != "/invite {}":
                self.commands(number, act, whom)
                continue
            self.town.clock.turn()  # see test_who_is_put_out_while_they_invite_someone
            self.commands(number, act, whom)
            self.town.clock.turn()

    @here
    @rule(
        number=some,
        act=st.sampled_from(["/lock", "/unlock", "/key x", "/key off", "/slow 5", "/slow 0"]),
    )
    def rule_the_room(self, number, act):
        self.commands(number, act)

    @here
    @rule(
        act=st.sampled_from(["/ban * {}", "/ban * {} 10m", "/unban * {}", "/lockdown{}"]),
        whom=whom,
        off=st.booleans(),
    )
    def rule_the_server(self, act, whom, off):
        number = next((n for n, one in enumerate(self.guests) if one.session.rank == SERVER), 0)
        if act.startswith("/lockdown"):
            whom = " off" if off else ""
        self.types(number, act.format(self.name(whom)))

    @here
    @rule(number=some)
    def drop(self, number):
        self.guests.pop(number % len(self.guests)).drops()

    @rule(seconds=st.sampled_from(PASSING))
    def time_passes(self, seconds):
        if self.kind == "on disk":  # or it would be the disk that takes so long
            self.town.clock.turn()
        self.town.clock.advance(seconds)

    @rule()
    def tidy(self):
        for node in self.town.nodes:
            node.tick()

    @rule(steps=st.integers(1, 4))
    def a_little_happens(self, steps):
        for _ in range(steps):
            if self.town.clock._at_the_end:
                self.town.clock.step()

    @precondition(lambda self: self.kind in ALONE)
    @rule()
    def move(self):
        self.settle()
        self.town.moves()

    @rule()
    def settle(self):
        self.town.agrees()
        for guest in self.guests:
            for line in guest.client.lines():
                assert "something went wrong here" not in line
                text = HEARD.search(line)
                assert text is None or text[0] not in self.witness.unheard, line
        self.guests = [guest for guest in self.guests if not guest.session.ended]

    # What holds at any time

    @invariant()
    def nothing_has_happened_that_may_not(self):
        assert self.witness.wrong == []

    @invariant()
    def nodes_agree(self):
        views = [self.view(node) for node in self.town.nodes]
        assert views.count(views[0]) == len(views)

    def view(self, node):
        """Give all that every node knows."""
        return (
            {
                id_: (one.who, one.room and one.room.id, one.barred, one.origin, one.since)
                for id_, one in node.people.items()
            },
            {
                room.id: (room.name, room.topic, room.charter, list(room.members), room.spoke)
                for room in node.rooms.values()
            },
            node.rights.everywhere.charter,
            (node.kept._dormant, node.kept._owned, node.kept._owners, node.kept._owns),
            {account: person.who for account, person in node.logins._people.items()},
        )

    @invariant()
    def people_have_one_name_and_are_in_one_room(self):
        for node in self.town.nodes:
            for room in node.rooms.values():
                assert room.members
                assert {id(person) for person in room.roster.first(100)[0]} == {
                    id(person) for person in room.members.values()
                }
                assert all(person.room is room for person in room.members.values())
                assert all(node.people[id_] is one for id_, one in room.members.items())
            for person in node.people.values():
                assert node.naming.find(person.name.text) is person
                assert person.who.name == person.name.text
                account = person.who.account
                assert account is None or node.logins.find(account) is person

    @invariant()
    def nobody_is_where_they_are_banned(self):
        node = self.town.nodes[0]
        everywhere = node.rights.everywhere.charter
        for person in node.people.values():
            if rank(person.who.account, everywhere) == SERVER:
                continue
            is_barred = self.witness.in_force(everywhere, "ban", person)
            if is_barred and not self.is_going(person):
                assert person.room is None
                assert node.rights.bar(person, self.town.clock.seconds())
            if person.room is None or rank(person.who.account, person.room.charter) > MEMBER:
                continue
            # See test_who_was_banned_and_is_an_operator_no_more_has_to_go.
            if person.who.account not in self.witness.appointed:
                assert not self.witness.in_force(person.room.charter, "ban", person)

    def is_going(self, person):
        """Tell whether someone's connection is over already."""
        sessions = [node.sessions.get(person.who.person) for node in self.town.nodes]
        return any(session and session.ended for session in sessions)

    @invariant()
    def a_room_has_one_owner(self):
        for node in self.town.nodes:
            for room in (*node.rooms.values(), *node.kept._dormant.values()):
                charter = room.charter
                roles = [charter.owner, *charter.operators]
                assert len(set(roles)) == len(roles)
                assert len(set(charter.invited)) == len(charter.invited)

    @invariant()
    def rooms_that_one_owns_are_counted(self):
        for node in self.town.nodes:
            kept, here = node.kept, [room for room in node.rooms.values() if room.kept]
            rooms = [*here, *kept._dormant.values(), *kept._owned.values()]
            owners = Counter(room.charter.owner for room in rooms if room.charter.owner)
            assert owners == kept._owns
            assert all(kept.owned_by(account) == owners[account] for account in owners)
            assert all(room.charter.owner == kept._owners.get(room.id, "") for room in rooms)
            assert not any(room.charter.owner for room in node.rooms.values() if not room.kept)
            assert all(room.charter.owner for room in kept._owned.values())
            assert not any(room.charter.owner for room in kept._dormant.values())

    def teardown(self):
        self.settle()
        node = self.town.nodes[0]
        kept = (*node.kept._dormant.values(), *node.kept._owned.values())
        for room in (*node.rooms.values(), *kept):
            charter = room.charter
            for account in (charter.owner, *charter.operators, *charter.invited):
                if account.startswith("@"):
                    assert self.town.settles(node.accounts.find(account[1:])), charter
        for guest in self.guests:
            guest.drops()
        self.town.grace_ends()
        self.town.clock.advance(OWNED_SECONDS + 61)
        self.tidy()
        self.settle()
        for node in self.town.nodes:
            assert (node.people, node.rooms, node.sessions) == ({}, {}, {})
            assert node.logins._people == {}
            # See test_who_logs_in_elsewhere_leaves_nothing_behind.
            assert self.witness.took_over or node.ignoring.ignorers == {}
            assert (len(node.naming._owners), len(node.table._names)) == (0, 0)
            kept = node.kept
            assert not any((kept._dormant, kept._owned, kept._owners, kept._owns, kept._keys))


@pytest.mark.parametrize("kind", KINDS)
def test_order_is_kept(kind):
    """Whoever does what to whom, and whatever happens meanwhile."""
    run_state_machine_as_test(
        type("Order", (Order,), {"kind": kind}),
        settings=settings(max_examples=60, stateful_step_count=40, deadline=None),
    )


# What came up


def on(*kinds: Any) -> pytest.MarkDecorator:
    """Have a test run on some kinds of towns only."""
    return pytest.mark.parametrize("town", kinds, indirect=True)


@pytest.fixture
def ann(town: Town) -> Guest:
    """Someone who owns a room."""
    return town.registers("ann", "tea")


@pytest.fixture
def bob(town: Town, ann: Guest) -> Guest:
    """Someone with an account in it."""
    return town.registers("bob", "tea")


def test_who_was_banned_and_is_an_operator_no_more_has_to_go(town, ann, bob):
    """The ban still holds."""
    ann.types("/ban bob", "/op bob")
    bob.types("/join tea")
    ann.types("/deop bob")
    assert ann.asks("/who")[-1] == "> here: ann (owner)"


@on(*STEPWISE)
def test_an_owner_who_logs_in_just_now_is_not_kicked(town, ann, bob):
    """Whoever meant the guest that they were until then is refused."""
    ann.types("/op bob", "/quit")
    guest = town.enters("cyd")
    bob.reads()
    guest.session.receive(f"/login ann {PASSWORD}")
    town.steps_to(events.LoggedIn)
    bob.session.receive("/kick cyd")
    assert bob.reads()[0] == "> cyd is now known as ann"
    assert bob.asks("/who") == ["> here: ann (owner), bob (op)"]


@on("on disk")
def test_who_is_put_out_while_they_invite_someone(town, ann, bob, logged_failures):
    """It is refused or done, and nothing breaks."""
    root = town.registers("root", "tea")
    ann.session.receive("/invite bob")
    root.session.receive("/kick ann")
    town.clock.turn()
    assert logged_failures.flush(AssertionError) == []


@on(*STEPWISE)
@pytest.mark.parametrize("act", ["/op", "/invite"])
def test_who_gives_up_their_account_just_now_is_made_nothing(town, ann, bob, act):
    """Or whoever has the name after them would be that."""
    bob.types("/unregister")
    bob.session.receive(PASSWORD)
    town.steps_to(events.LoggedOut)
    ann.session.receive(f"{act} bob")
    town.clock.turn()
    assert town.settles(town.nodes[0].accounts.find("bob")) is None
    assert {node.room("tea").charter.names("@bob") for node in town.nodes} == {False}


@on("local", *STEPWISE)
def test_nobody_is_logged_in_to_an_account_that_is_gone(town, ann, bob):
    """Or whoever has the name after them would have the rooms that they make."""
    ann.types("/unregister")
    again = town.arrives()
    ann.session.receive(PASSWORD)
    again.session.receive(f"/login ann {PASSWORD}")
    town.clock.turn()
    assert town.settles(town.nodes[0].accounts.find("ann")) is None
    assert again.session.who.account is None


@on(*STEPWISE)
def test_a_room_is_given_to_one_of_two(town):
    """Who was told that they own it is not passed over without a word."""
    root, boss = town.registers("root"), town.registers("boss")
    town.enters("cyd")
    ann, bob = town.registers("ann", "tea"), town.registers("bob", "tea")
    root.types("/join tea")
    boss.types("/join tea")
    root.session.receive("/op ann")
    boss.session.receive("/op bob")
    assert "> root made ann the owner of the room" in ann.reads()
    assert bob.asks("/who")[-1].startswith("> here: ann (owner), ")


def test_nobody_is_given_more_rooms_than_one_may_own(town, ann):
    """Not by who runs the server either."""
    for number in range(ROOMS_OWNED - 1):
        ann.types(f"/join room{number}")
    guest = town.enters("cyd", "coffee")
    ann.types("/join coffee")
    root = town.registers("root", "coffee")
    root.types("/op ann")
    assert "(owner)" not in guest.asks("/who")[-1]


def test_who_logs_in_elsewhere_leaves_nothing_behind(town, ann, bob):
    """Whom they ignored before, here or there, is forgotten when they go."""
    bob.types("/ignore ann")
    again = town.arrives("/ignore ann", f"/login bob {PASSWORD}")
    again.drops()
    assert all(node.ignoring.ignorers == {} for node in town.nodes)


@on("two nodes", IN_REDIS)
def test_who_logs_in_on_another_node_ignores_the_same_people(town, ann, bob):
    """Their settings go with them."""
    bob.types("/ignore ann")
    again = town.arrives(f"/login bob {PASSWORD}")
    assert again.session.rooms is not bob.session.rooms
    assert again.asks("/ignore") == ["> you ignore: ann"]
