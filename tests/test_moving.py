"""Going on in another process: nobody can tell by what they are shown."""

import pytest
from town import ALONE, PASSWORD, Town

from twisted_chat.chat import record
from twisted_chat.chat.kept import Kept
from twisted_chat.testing import rooms


@pytest.fixture(params=ALONE)
def town(request: pytest.FixtureRequest) -> Town:
    return Town(request.param)


def said(lines):
    """Give what follows the times."""
    return [line.partition("] ")[2] for line in lines]


def test_people_and_rooms(town):
    """Who is where, what they are called, and since when they are here."""
    ann, bob = town.registers("ann", "tea"), town.enters("bob", address="203.0.113.7")
    stranger, other = town.arrives(), town.arrives()
    stranger.types("/quit")
    bob.types("/away tea")
    ann.types("/topic leaves")
    town.clock.advance(3600)
    for guest in (ann, bob, other):
        guest.reads()
    town.moves()
    assert [guest.reads() for guest in (ann, bob, other)] == [[], [], []]
    assert ann.asks("/who") == ["> here: ann (owner), bob (away)"]
    assert bob.asks("/topic") == ["> topic: leaves"]
    assert other.asks("/rooms") == ["> available rooms: tea"]
    assert other.session.who.name == "anonymous-2"
    assert town.arrives().session.who.name == "anonymous"
    assert town.arrives().session.who.name == "anonymous-3"
    assert ann.asks("/whois bob")[0].startswith("> bob is in tea, connected for 1 hour")
    assert "taken" in other.asks("/nick ann")[0]
    bob.types("still here")
    assert ann.reads() == ["> bob: still here"]


def test_what_is_kept(town):
    """Lines, letters, accounts, rooms that are empty, and who did what."""
    ann, root = town.registers("ann", "tea"), town.registers("root")
    bob = town.enters("bob")
    bob.types("hello", "/me waves")
    ann.types("/mute bob", "/leave", "/quit")
    bob.types("/tell ann are you there?", "/leave")
    bob.reads()
    town.moves()
    assert said(root.asks("/audit")) == ["ann muted bob, in tea"]
    bob.types("/join tea")
    assert said(bob.asks("/history")) == ["bob: hello", "* bob waves"]
    assert bob.asks("hm") == ["err: not said: you are muted"]
    again = town.arrives()
    seen = again.asks(f"/login ann {PASSWORD}")
    assert seen[0] == "> welcome back, ann. you are logged in"
    assert seen[1].endswith("[bob -> you] are you there?")
    assert "(owner)" in again.asks("/join tea")[-1]


def test_order(town):
    """Who is barred, banned, invited, slow, and what a room asks of those who come."""
    ann, root = town.registers("ann", "tea"), town.registers("root")
    bob = town.enters("bob", address="203.0.113.7")
    root.types("/lockdown")
    barred = town.arrives()
    ann.types("/slow 10", "/key sesame", "/invite root")
    bob.types("one")
    town.moves()
    assert "only who has an account" in barred.asks("/join tea")[-1]
    assert bob.asks("two")[-1].startswith("err: not said: the room is slow")
    root.types("/lockdown off")
    assert "has a key" in barred.asks("/join tea")[-1]
    assert "welcome" in barred.asks("/join tea sesame")[0]
    assert "welcome" in root.asks("/join tea")[0]
    for number in range(9):
        ann.types(f"/join room{number}")
    town.moves()
    ann.types("/join room10")
    assert ann.asks("/who") == ["> here: ann"]  # what one owns is counted


def test_settings(town):
    """What someone has set up for themselves, and what is asked of them just now."""
    ann, bob = town.registers("ann", "tea"), town.enters("bob")
    bob.types("/ignore ann", "/quiet on", "/time on", "/tell bob note")
    ann.types("/logout", "/login ann")
    town.moves()
    assert "welcome back" in ann.asks(PASSWORD)[0]
    ann.types("not heard")
    assert "not heard" not in "".join(bob.reads())
    assert bob.asks("/ignore") == ["> you ignore: ann"]
    assert bob.asks("/reply x")[0].endswith("[bob -> you] x")


def test_who_has_no_connection_any_more_has_gone(town):
    """It broke while everything moved."""
    ann, bob = town.enters("ann"), town.enters("bob")
    ann.reads()
    town._guests.remove(bob)
    town.moves()
    assert ann.reads() == ["> bob has left the room"]


def test_ids_go_on(town):
    """Lines are kept in the order in which they are said, whatever the clock."""
    ann = town.enters("ann")
    ann.types("one")
    town.clock.rightNow -= 3600
    town.moves()
    ann.types("two")
    assert [line[-3:] for line in ann.asks("/history")] == ["one", "two"]


def test_a_record_of_another_version_is_refused():
    """What cannot be understood is not guessed at."""
    whole = record.to_record(rooms())
    with pytest.raises(ValueError, match="version 0, not"):
        record.from_record(rooms(), {**whole, "version": 0}, Kept())
