"""Fan-out: who is sent what, in which order, and in how few writes."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted_chat.chat import names
from twisted_chat.chat.answers import Notice
from twisted_chat.chat.events import Joined, Left, Said, Told, Who
from twisted_chat.chat.person import Person
from twisted_chat.chat.room import Room
from twisted_chat.wire.delivery import Delivery
from twisted_chat.wire.text import Text


class Words:
    """A format that shows the text of everything, and counts what it renders."""

    def __init__(self):
        self.rendered = Counter()

    def render(self, event):
        text = getattr(event, "text", type(event).__name__)
        self.rendered[text] += 1
        if text == "unspeakable":
            raise KeyError(text)
        return b"" if text == "hidden" else text.encode() + b" "


class Hearer:
    """A client that keeps every single thing it was sent."""

    echo = False

    def __init__(self, format_, on_send=None):
        self.format = format_
        self.sent = []
        self.on_send = on_send

    def send(self, data):
        self.sent.append(data)
        if self.on_send:
            self.on_send()

    @property
    def heard(self):
        return b"".join(self.sent).decode().split()


class House:
    """A delivery, some rooms, and people who are put into them."""

    def __init__(self):
        self.scheduled = []
        self.troubles = []
        self.words = Words()
        self.delivery = Delivery(self.scheduled.append, self.troubles.append)
        self.tea = Room(1, names.room_name("tea"))
        self.den = Room(2, names.room_name("den"))

    def person(self, name, format_=None, elsewhere=False, on_send=None):
        client = None if elsewhere else Hearer(format_ or self.words, on_send)
        return Person(Who(name, None, name), 0.0, client)

    def member(self, name, room=None, **kind):
        """Give someone who has been in the room for a while."""
        person = self.person(name, **kind)
        self.puts(person, room or self.tea)
        return person

    def puts(self, person, room):
        person.room = room
        room.members[person.who.person] = person

    def enters(self, person, room=None):
        """Have someone enter, as `Rooms.apply` does."""
        room = room or self.tea
        self.delivery.to_room(room, Joined(person.who, room.id, ""))
        self.puts(person, room)
        self.delivery.enter(room, person)

    def leaves(self, person):
        room, person.room = person.room, None
        self.delivery.leave(room, person)
        del room.members[person.who.person]
        self.delivery.to_room(room, Left(person.who, room.id))

    def says(self, who, *texts):
        for text in texts:
            self.delivery.to_room(who.room, Said(who.who, who.room.id, text), (who,))

    def turn(self):
        while self.scheduled:
            self.scheduled.pop(0)()


@pytest.fixture
def house():
    return House()


# Batches


def test_a_burst_is_one_write_of_the_same_bytes_to_each(house):
    """What a turn brings leaves as one and the same bytes object for every listener."""
    ann, *others = (house.member(str(number)) for number in range(5))
    house.says(ann, "one", "two", "three")
    assert [other.client.sent for other in others] == [[]] * 4
    house.turn()
    assert all(other.client.sent == [b"one two three "] for other in others)
    assert len({id(other.client.sent[0]) for other in others}) == 1
    assert ann.client.sent == []


def test_each_event_is_rendered_once_for_each_format(house):
    """However many listen, and whoever is apart, an event is rendered once in each format."""
    ann, bob, _, _ = (house.member(name) for name in "abcd")
    other = Words()
    for name in "efg":
        house.member(name, format_=other)
    house.says(ann, "one", "two")
    house.says(bob, "three")
    house.turn()
    assert house.words.rendered == other.rendered == Counter(("one", "two", "three"))


def test_formats_that_are_equal_share_the_bytes(house):
    """Two people with the same wishes get the same bytes, though each wished for themselves."""
    talker = house.member("talker")
    hearers = [house.member(str(n), format_=Text(quiet=bool(n % 2))) for n in range(6)]
    house.says(talker, "hello")
    house.turn()
    assert len({id(hearer.client.sent[0]) for hearer in hearers}) == 2


def test_the_end_of_the_turn_is_asked_for_once(house):
    """However much a turn brings, it is flushed once; so is the next."""
    ann = house.member("ann")
    for _ in range(2):
        house.says(ann, "one")
        house.delivery.to_person(ann, Notice("two"))
        assert len(house.scheduled) == 1
        house.turn()


def test_nothing_is_sent_when_nothing_is_to_be_seen(house):
    """Events that a format hides do not lead to empty writes."""
    ann, bob = house.member("ann"), house.member("bob")
    house.says(ann, "hidden")
    house.delivery.to_person(ann, Notice("hidden"))
    house.turn()
    assert ann.client.sent == bob.client.sent == []


def test_rooms_do_not_mix(house):
    """No line crosses from one room into another."""
    ann, bob = house.member("ann"), house.member("bob")
    cyd, dan = house.member("cyd", house.den), house.member("dan", house.den)
    house.says(ann, "tea1")
    house.says(cyd, "den1")
    house.says(ann, "tea2")
    house.turn()
    assert (bob.client.heard, dan.client.heard) == (["tea1", "tea2"], ["den1"])


# Those apart


def test_talkers_hear_each_other_and_not_themselves(house):
    """Lines of several talkers, interleaved, reach each of them in order without their own."""
    ann, bob, cyd = (house.member(name) for name in ("ann", "bob", "cyd"))
    for number in range(3):
        house.says(ann, f"a{number}")
        house.says(bob, f"b{number}", f"bb{number}")
    house.turn()
    assert ann.client.heard == ["b0", "bb0", "b1", "bb1", "b2", "bb2"]
    assert bob.client.heard == ["a0", "a1", "a2"]
    assert cyd.client.heard == ["a0", "b0", "bb0", "a1", "b1", "bb1", "a2", "b2", "bb2"]


def test_who_enters_within_a_batch_hears_what_comes_after(house):
    """Someone who enters amid a burst hears nothing from before, and all that follows."""
    ann, bob = house.member("ann"), house.person("bob")
    house.says(ann, "before")
    house.enters(bob)
    house.delivery.release(bob, Notice("welcome"))
    house.says(ann, "after")
    house.turn()
    assert bob.client.heard == ["welcome", "after"]
    assert ann.client.heard == ["Joined"]


def test_who_leaves_within_a_batch_is_owed_what_was_said_till_then(house):
    """Someone who leaves amid a burst hears it up to there, and nothing after."""
    ann, bob = house.member("ann"), house.member("bob")
    house.says(ann, "before")
    house.leaves(bob)
    house.says(ann, "after")
    house.turn()
    assert bob.client.heard == ["before"]


def test_who_enters_a_quiet_room_hears_what_comes_after(house):
    """Someone who enters when nothing else has happened hears what follows."""
    ann, bob = house.member("ann"), house.member("bob")
    house.delivery.enter(house.tea, bob)
    house.delivery.release(bob, Notice("welcome"))
    house.says(ann, "after")
    house.turn()
    assert bob.client.heard == ["welcome", "after"]


def test_coming_and_going_within_a_turn(house):
    """Someone who leaves and comes back within a turn misses just what was said meanwhile."""
    ann, bob = house.member("ann"), house.member("bob")
    house.says(ann, "one")
    house.leaves(bob)
    house.says(ann, "two")
    house.enters(bob)
    house.delivery.release(bob)
    house.says(ann, "three")
    house.turn()
    assert bob.client.heard == ["one", "three"]


def test_an_answer_does_not_overtake_the_room(house):
    """What was said in the room before an answer is shown before it, and what after, after."""
    ann, bob = house.member("ann"), house.member("bob")
    house.says(ann, "one")
    house.delivery.to_person(bob, Notice("answer"))
    house.says(ann, "two")
    house.delivery.to_person(bob, Notice("another"))
    house.turn()
    assert bob.client.heard == ["one", "answer", "two", "another"]
    assert len(bob.client.sent) == 1


def test_the_room_does_not_overtake_an_answer(house):
    """An answer that came first is shown first."""
    ann, bob = house.member("ann"), house.member("bob")
    house.delivery.to_person(bob, Notice("answer"))
    house.says(ann, "one")
    house.turn()
    assert bob.client.heard == ["answer", "one"]


def test_someone_in_no_room_is_answered(house):
    """An answer reaches people outside of any room."""
    ann = house.person("ann")
    house.delivery.to_person(ann, Notice("answer"))
    house.turn()
    assert ann.client.heard == ["answer"]


# Held back


def test_room_lines_wait_until_the_welcome(house):
    """From entering to release, over turns, room lines wait; the welcome goes before them."""
    ann, bob = house.member("ann"), house.person("bob")
    house.delivery.to_person(bob, Notice("earlier"))
    house.enters(bob)
    house.says(ann, "one")
    house.turn()
    assert bob.client.heard == ["earlier"]
    house.says(ann, "two")
    house.turn()
    house.delivery.to_person(bob, Notice("answer"))
    house.says(ann, "three")
    house.delivery.release(bob, Notice("welcome"), Notice("here"))
    house.says(ann, "four")
    house.turn()
    assert bob.client.heard == [
        "earlier",
        "welcome",
        "here",
        "one",
        "two",
        "answer",
        "three",
        "four",
    ]


def test_a_quiet_turn_while_held_lets_nothing_through(house):
    """Someone held who is owed nothing yet is not sent what a later turn brings either."""
    ann, bob = house.member("ann"), house.person("bob")
    house.enters(bob)
    house.turn()
    house.says(ann, "one")
    house.turn()
    assert bob.client.heard == []
    house.delivery.release(bob, Notice("welcome"))
    house.turn()
    assert bob.client.heard == ["welcome", "one"]


def test_a_release_of_someone_who_is_not_held_shows_nothing(house):
    """Whoever left before the welcome was ready is not welcomed."""
    bob = house.person("bob")
    house.enters(bob)
    house.leaves(bob)
    house.delivery.release(bob, Notice("welcome"))
    house.turn()
    assert bob.client.heard == []


def test_leaving_while_held_gives_what_was_held(house):
    """Who leaves before the welcome is still owed the lines of the time between."""
    ann, bob = house.member("ann"), house.person("bob")
    house.enters(bob)
    house.says(ann, "one")
    house.turn()
    house.leaves(bob)
    house.turn()
    assert bob.client.heard == ["one"]


# At once, or never


def test_settling_sends_at_once_what_is_owed(house):
    """Who is about to go gets everything now, held back or not, and nothing twice."""
    ann, bob = house.member("ann"), house.person("bob")
    house.enters(bob)
    house.says(ann, "one")
    house.delivery.to_person(bob, Notice("answer"))
    house.delivery.settle(bob)
    assert bob.client.heard == ["one", "answer"]
    house.turn()
    assert bob.client.heard == ["one", "answer"]
    house.delivery.settle(bob)
    assert len(bob.client.sent) == 1


def test_nothing_is_kept_for_someone_forgotten(house):
    """What waits for someone who has gone is dropped, and all memory of them."""
    bob = house.person("bob")
    house.enters(bob)
    house.delivery.to_person(bob, Notice("answer"))
    house.leaves(bob)
    house.delivery.forget(bob)
    house.turn()
    assert bob.client.sent == []
    delivery = house.delivery
    assert (delivery._batches, delivery._owed, delivery._held) == ({}, {}, {})


# Clients of all kinds


def test_people_on_other_nodes_are_members_and_are_sent_nothing(house):
    """Someone whose client is elsewhere enters, talks and leaves, and costs nothing here."""
    ann, far = house.member("ann"), house.person("far", elsewhere=True)
    house.enters(far)
    house.delivery.to_person(far, Told(ann.who, far.who, "psst"))
    house.says(far, "hello")
    house.says(ann, "hi")
    house.delivery.release(far, Notice("welcome"))
    house.delivery.settle(far)
    house.turn()
    house.leaves(far)
    house.turn()
    assert ann.client.heard == ["Joined", "hello", "Left"]
    assert (house.delivery._owed, house.delivery._held) == ({}, {})


def test_a_client_that_raises_is_reported_and_the_others_hear(house):
    """A client that fails costs the others nothing, be it alone or among many."""

    def fail():
        raise OSError("broken")

    ann, bad, cyd = house.member("ann"), house.member("bad", on_send=fail), house.member("cyd")
    house.says(ann, "one")
    house.turn()
    house.delivery.to_person(bad, Notice("answer"))
    house.says(ann, "two")
    house.turn()
    assert cyd.client.heard == ["one", "two"]
    assert [str(trouble) for trouble in house.troubles] == ["broken", "broken"]


def test_what_a_format_fails_at_is_reported_and_left_out(house):
    """An event that a format cannot render is missing there, and nowhere else."""
    ann, bob = house.member("ann"), house.member("bob")
    plain = house.member("plain", format_=Text())
    house.says(ann, "one", "unspeakable", "two")
    house.delivery.to_person(ann, Notice("unspeakable"))
    house.delivery.to_person(ann, Notice("answer"))
    house.turn()
    assert bob.client.heard == ["one", "two"]
    assert ann.client.heard == ["answer"]
    assert b"unspeakable" in plain.client.sent[0]
    assert [type(trouble) for trouble in house.troubles] == [KeyError, KeyError]


def test_a_member_cut_amid_the_loop_leaves_and_the_others_hear_of_it(house):
    """A slow reader who is cut by a send leaves then and there; the rest hear all of it."""
    ann = house.member("ann")
    slow = house.member("slow", on_send=lambda: slow.room and house.leaves(slow))
    cyd = house.member("cyd")
    house.says(ann, "one")
    house.turn()
    assert cyd.client.heard == ["one", "Left"]
    assert ann.client.heard == ["Left"]
    assert slow.client.heard == ["one"]


def test_another_member_cut_amid_the_loop_is_no_trouble(house):
    """Sending to one may cut another, whose turn has not come yet."""
    ann = house.member("ann")
    house.member("bob", on_send=lambda: cyd.room and house.leaves(cyd))
    cyd, dan = house.member("cyd"), house.member("dan")
    house.says(ann, "one")
    house.turn()
    assert dan.client.heard == ["one", "Left"]


def test_a_bot_answers_from_within_a_send(house):
    """A client in the process may talk while it is sent to: that follows, after all else."""
    ann = house.member("ann")

    def answer():
        if len(bot.client.sent) == 1:
            house.says(bot, "pong")
            house.delivery.to_person(bob, Notice("psst"))

    bot = house.member("bot", on_send=answer)
    bob = house.member("bob")
    house.says(ann, "ping")
    house.turn()
    assert ann.client.heard == ["pong"]
    assert bob.client.heard == ["ping", "pong", "psst"]


def test_a_bot_that_moves_from_within_a_send_hears_nothing_from_before(house):
    """Who enters a room while its batch is being sent hears nothing that was said before."""
    ann, dan = house.member("ann"), house.member("dan", house.den)

    def move():
        if bot.room is house.tea:
            house.leaves(bot)
            house.enters(bot, house.den)
            house.delivery.release(bot, Notice("welcome"))

    bot = house.member("bot", on_send=move)
    house.says(ann, "ping")
    house.says(dan, "before")
    house.turn()
    house.says(dan, "after")
    house.turn()
    assert bot.client.heard == ["ping", "welcome", "after"]


def test_what_is_held_survives_what_a_send_brings_about(house):
    """Lines held back for one person are kept when a send leads to more of them."""
    ann, bob = house.member("ann"), house.person("bob")

    def answer():
        if len(bot.client.sent) == 1:
            house.delivery.to_person(bob, Notice("psst"))

    bot = house.member("bot", on_send=answer)
    house.enters(bob)
    house.says(ann, "one")
    house.turn()
    house.delivery.release(bob, Notice("welcome"))
    house.turn()
    assert bob.client.heard == ["welcome", "one", "psst"]
    assert bot.client.heard == ["Joined", "one"]


# Against a model that delivers one by one


class Model:
    """Delivers each line to each person at once."""

    def __init__(self):
        self.heard = {}
        self.held = {}

    def show(self, name, text):
        (self.held if name in self.held else self.heard).setdefault(name, []).append(text)

    def let_go(self, name, *first):
        self.heard.setdefault(name, []).extend((*first, *self.held.pop(name, [])))


STEPS = st.tuples(
    st.sampled_from(("say", "say", "say", "tell", "enter", "release", "leave", "settle", "turn")),
    st.integers(0, 4),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=60))
def test_random_sequences_are_as_if_delivered_one_by_one(steps):
    """Whatever happens in whatever order, everybody hears what they would without batches."""
    house, model, formats = House(), Model(), (Words(), Words())
    people = [
        house.person(str(number), formats[number % 2], elsewhere=number == 4) for number in range(5)
    ]
    model.heard = {person.who.name: [] for person in people if person.client}
    for count, (step, number) in enumerate(steps):
        _do(house, model, step, people[number], f"{step}{count}")
        if step == "turn":
            _compare(model, people)
    house.turn()
    _compare(model, people)


def _compare(model, people):
    for person in people:
        if person.client:
            assert person.client.heard == model.heard[person.who.name]


def _everyone_but(model, speaker, text, room):
    for name, person in room.members.items():
        if person is not speaker and person.client:
            model.show(name, text)


def _do(house, model, step, person, text):
    name, room = person.who.name, person.room
    if step == "say" and room:
        house.says(person, text)
        _everyone_but(model, person, text, room)
    elif step == "tell" and person.client:
        house.delivery.to_person(person, Notice(text))
        model.show(name, text)
    elif step == "enter":
        if room:
            _leave(house, model, person)
        room = house.den if room is house.tea else house.tea
        house.enters(person, room)
        _everyone_but(model, person, "Joined", room)
        if person.client:
            model.held[name] = []
    elif step == "release" and name in model.held:
        house.delivery.release(person, Notice(text))
        model.let_go(name, text)
    elif step == "leave" and room:
        _leave(house, model, person)
    elif step == "settle" and person.client:
        house.delivery.settle(person)
        model.let_go(name)
        assert person.client.heard == model.heard[name]
    elif step == "turn":
        house.turn()


def _leave(house, model, person):
    room = person.room
    house.leaves(person)
    model.let_go(person.who.name) if person.client else None
    _everyone_but(model, person, "Left", room)
