"""Someone with an account whose connection breaks keeps their place for a while."""

import re

import pytest
from town import ALONE, PASSWORD, Town

from twisted_chat.chat.limits import LETTERS, Limits


@pytest.fixture
def ann(town):
    return town.registers("ann", "tea")


@pytest.fixture
def bob(town, ann):
    return town.enters("bob")


def untimed(lines):
    return [re.sub(r"\[\d{4}-\d\d-\d\d \d\d:\d\d\] ", "[] ", line) for line in lines]


def test_nobody_notices(town, ann, bob):
    """A connection that breaks is no leave, and coming back no join; a list has a mark."""
    bob.reads()
    ann.drops()
    town.clock.advance(40)
    assert bob.asks("/who") == ["> here: ann (owner, gone 40 s), bob"]
    assert "gone for 40 seconds" in bob.asks("/whois ann")[0]
    assert bob.asks("/nick ann") == ['err: "ann" is taken']
    back = town.arrives()
    assert back.asks(f"/login ann {PASSWORD}") == [
        "> welcome back, ann. you are logged in, in tea",
        "> you were gone for 40 seconds, and missed nothing",
    ]
    assert bob.reads() == []
    assert bob.asks("/who") == ["> here: ann (owner), bob"]
    back.types("hello")
    assert bob.reads() == ["> ann: hello"]
    town.grace_ends()
    assert bob.reads() == []


def test_what_was_missed_is_shown(town, ann, bob):
    """Each line once, marked with its time, and before what is said from then on."""
    bob.types("before")
    ann.drops()
    bob.types("one", "/me waves")
    town.enters("cyd").types("two")
    back = town.arrives()
    back.reads()
    back.session.receive(f"/login ann {PASSWORD}")
    number = 0
    while back.session.absence or not back.session.who.account:  # whatever happens between
        bob.session.receive(f"/msg {number}")
        town.clock.step()
        number += 1
    shown = untimed(back.reads())
    assert shown[0] == "> welcome back, ann. you are logged in, in tea"
    lines = [line.replace("[] ", "") for line in shown[2:]]
    assert lines[:3] == ["> bob: one", "> * bob waves", "> cyd: two"]
    assert lines[3:] == [f"> bob: {one}" for one in range(number)]
    bob.types("after")
    assert back.reads() == ["> bob: after"]


def test_a_line_of_the_same_moment_is_missed(town, ann, bob):
    """What was said just before the connection broke, and not sent yet, is not lost."""
    bob.session.receive("last words")
    ann.drops()
    back = town.arrives(f"/login ann {PASSWORD}")
    seen = [line for line in untimed([*ann.client.lines(), *back.reads()]) if "last" in line]
    assert seen in (["> [] bob: last words"], ["> bob: last words"])


def test_settings_come_back(town, ann, bob):
    """Whom one ignores, how times are shown, whom one answers."""
    troll = town.enters("troll")
    bob.types("/tell ann hi")
    ann.types("/ignore troll", "/quiet on", "/away lunch")
    ann.drops()
    troll.types("unheard")
    back = town.arrives(f"/login ann {PASSWORD}")
    assert back.reads()[-1] == "> you were gone for 0 seconds, and missed nothing"
    troll.types("unheard", "/leave")
    assert back.reads() == []
    assert back.asks("/ignore") == ["> you ignore: troll"]
    assert back.asks("/reply yes") == ["> [you -> bob] yes"]
    assert back.asks("/back") == ["> you are back"]


def test_who_does_not_come_back_has_left(town, ann, bob):
    """Once, when the time is over; the name is free then, and nothing is left behind."""
    bob.reads()
    ann.drops()
    town.clock.advance(119)
    for node in town.nodes:
        node.tick()
    assert bob.reads() == []
    town.grace_ends()
    town.grace_ends()
    assert bob.reads() == ["> ann has left the room"]
    assert bob.asks("/nick ann") == ["> all right, I will call you ann"]
    for node in town.nodes:
        assert node.places._gone == {}


def test_guests_and_who_quits_leave_at_once(town, ann, bob):
    """Nobody could know them again, or they have said so."""
    cyd = town.enters("cyd")
    cyd.reads()
    bob.drops()
    assert cyd.reads() == ["> bob has left the room"]
    ann.types("/quit")
    assert cyd.reads() == ["> ann has left the room"]


def test_who_logs_out_is_a_guest(town, ann, bob):
    """There is no place to be kept any more."""
    ann.types("/logout")
    bob.reads()
    ann.drops()
    assert bob.reads() == ["> anonymous has left the room"]


def test_what_is_told_meanwhile_waits(town, ann, bob):
    """A private line is a letter, shown after the lines of the room."""
    ann.drops()
    assert bob.asks("/tell ann psst") == ["> [you -> ann] psst", "> ann is not here; it waits"]
    back = town.arrives(f"/login ann {PASSWORD}")
    assert untimed(back.reads())[-1] == "> [] [bob -> you] psst"


def test_no_more_waits_than_a_letter_box_holds(town, ann, bob):
    """The one too many is refused, not lost."""
    ann.drops()
    for number in range(LETTERS):
        bob.types(f"/tell ann {number}")
    assert bob.asks("/tell ann more") == [f"err: {LETTERS} lines wait for ann already"]


@pytest.mark.parametrize("steps", range(1, 12))
def test_breaking_again(town, ann, bob, steps):
    """A connection that breaks at any moment of coming back takes nothing along with it."""
    ann.drops()
    bob.types("one")
    first = town.arrives()
    first.session.receive(f"/login ann {PASSWORD}")
    for _ in range(steps):
        if town.clock._at_the_end:
            town.clock.step()
    first.drops()
    before = first.client.lines()
    second = town.arrives(f"/login ann {PASSWORD}")
    shown = untimed([*before, *second.reads()])
    assert shown.count("> [] bob: one") == 1
    assert bob.asks("/who") == ["> here: ann (owner), bob"]


def test_who_is_banned_meanwhile_does_not_stay(town, ann, bob):
    """A place is no way around a ban."""
    root = town.registers("root", "tea")
    bob.reads()
    ann.drops()
    root.types("/ban * ann")
    assert bob.reads() == ["> ann has left the room"]
    assert all(node.naming.find("ann") is None for node in town.nodes)


def test_who_is_kicked_meanwhile_comes_back_outside(town, ann):
    """They are logged in, in no room."""
    bob = town.registers("bob", "tea")
    ann.types("/op bob")
    bob.drops()
    ann.types("/deop bob", "/kick bob")
    back = town.arrives()
    assert back.asks(f"/login bob {PASSWORD}") == ["> welcome back, bob. you are logged in"]


def test_without_grace_they_leave_at_once():
    """``--grace 0`` is as if nobody had an account."""
    town = Town("local", Limits(flood=None, grace=0))
    ann, bob = town.registers("ann", "tea"), town.enters("bob")
    bob.reads()
    ann.drops()
    assert bob.reads() == ["> ann has left the room"]


@pytest.mark.parametrize("kind", ALONE)
def test_the_gone_move_to_another_process(kind):
    """They may come back there, and hear what they missed on either side."""
    town = Town(kind)
    ann, bob = town.registers("ann", "tea"), town.enters("bob")
    ann.types("/quiet on")
    ann.drops()
    bob.types("one")
    town.moves()
    bob.types("two")
    back = town.arrives(f"/login ann {PASSWORD}")
    assert untimed(back.reads())[-3:] == [
        "> you were gone for 0 seconds, and missed 2 lines:",
        "> [] bob: one",
        "> [] bob: two",
    ]
    assert back.session.quiet


def crashed(town):
    """Give a town after its process died."""
    town.crashes()
    return town


def test_a_strangers_name_after_a_crash():
    """Who is logged in under one is a stranger again, and nobody else is the same."""
    town = Town("on disk")
    town.registers("foo").types("/quit")
    ann, bob = town.registers("ann", "tea"), town.registers("bob", "tea")
    for someone in (ann, bob):
        someone.types("/nick foo")
        town.arrives(f"/login foo {PASSWORD}").types("/quit")
    assert bob.asks("/who") == ["> here: anonymous-2 (owner), anonymous-3"]
    crashed(town)
    cyd = town.arrives("/join tea")
    assert cyd.asks("/who") == [
        "> here: anonymous (owner, gone 0 s), anonymous-2 (gone 0 s), anonymous-3"
    ]
    back = town.arrives(f"/login bob {PASSWORD}")
    assert "> you were gone for 0 seconds, and missed nothing" in back.reads()
    town.grace_ends()
    assert cyd.asks("/who") == ["> here: anonymous-2, anonymous-3"]
    assert town.arrives("/join tea").asks("/who") == ["> here: anonymous, anonymous-2, anonymous-3"]


def test_after_a_crash():
    """People come back to where they were, whoever is first; their settings are there."""
    town = Town("on disk")
    ann, bob = town.registers("ann", "tea"), town.registers("bob", "tea")
    ann.types("/away lunch", "/ignore bob")
    bob.types("last words")
    crashed(town)
    back = town.arrives(f"/login bob {PASSWORD}")
    assert back.reads()[1:] == [
        "> welcome back, bob. you are logged in, in tea",
        "> you were gone for 0 seconds, and missed nothing",
    ]
    assert back.asks("/who") == ["> here: ann (owner, away, gone 0 s), bob"]
    back.types("are you there?")
    again = town.arrives(f"/login ann {PASSWORD}")
    assert again.reads()[-1] == "> you were gone for 0 seconds, and missed nothing"  # from bob
    assert again.asks("/ignore") == ["> you ignore: bob"]
    town.enters("cyd").types("and you?")
    assert again.reads() == ["> cyd joined the room", "> cyd: and you?"]


def test_after_two_crashes_nobody_is_there_twice():
    """Whoever does not come back is gone for good after the grace, also from the disk."""
    town = Town("on disk")
    town.registers("ann", "tea")
    crashed(town)
    crashed(town)
    assert [person.name.text for person in town.nodes[0].people.values()] == ["ann"]
    town.grace_ends()
    assert town.nodes[0].people == {}
    crashed(town)
    assert town.nodes[0].people == {}


def test_a_room_in_which_nothing_was_said_comes_back_too():
    """It had a guest's owner, so nothing of it was kept but who was in it."""
    town = Town("on disk")
    guest = town.enters("guest", "den")
    ann = town.registers("ann", "den")
    assert not ann.session.room.kept
    number = ann.session.room.id
    crashed(town)
    assert guest.client.closed
    back = town.arrives(f"/login ann {PASSWORD}")
    assert back.session.room.id == number
    assert town.enters("bob", "den").session.room.id == number


def test_after_a_stop_in_order():
    """The server went, and not they: the place is kept for as long as after a crash."""
    town = Town("on disk")
    ann = town.registers("ann", "tea")
    town.nodes[0].close("goodbye")
    town.clock.turn()
    assert ann.client.closed == "goodbye"
    crashed(town)
    back = town.arrives(f"/login ann {PASSWORD}")
    assert back.reads()[1] == "> welcome back, ann. you are logged in, in tea"
