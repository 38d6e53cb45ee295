"""Those who come back by themselves: a page that was cut off finds its place by a key."""

import pytest
from town import ALONE, Town

from twisted_chat.chat.events import ChatError, Ending


def comes(town, key, after=None):
    """Have somebody connect with a key; give them once the turn is over."""
    return town.arrives(key=key, after=after)


@pytest.fixture
def bob(town):
    """Somebody in a room, whom others see, and who has a key."""
    ann = town.enters("ann")
    bob = comes(town, "bobs")
    bob.types("/nick bob", "/join tea")
    bob.ann = ann
    ann.reads()
    bob.reads()
    return bob


def test_a_guest_comes_back(town, bob):
    """The others see nothing of it, but for a mark; what was said meanwhile is shown once."""
    bob.drops()
    bob.ann.types("meanwhile")
    assert bob.ann.asks("/who") == ["> here: ann, bob (gone 0 s)"]
    town.clock.advance(5)
    back = comes(town, "bobs")
    shown = back.reads()
    assert shown[:2] == [
        "> welcome back, bob. you are in tea",
        "> you were gone for 5 seconds, and missed 1 line:",
    ]
    assert shown[2].endswith("] ann: meanwhile")
    assert len(shown) == 3
    back.types("hello")
    assert bob.ann.reads() == ["> bob: hello"]
    assert bob.ann.asks("/who") == ["> here: ann, bob"]


def test_from_what_was_seen_last(town, bob):
    """Whoever says which event they know of is shown what came after it, and nothing twice."""
    bob.ann.types("one", "two")
    bob.reads()
    room = bob.session.person.room
    lines = town.settles(bob.session.rooms.store.history(room.id, 9))
    bob.drops()
    bob.ann.types("three")
    back = comes(town, "bobs", after=lines[0].id)
    said = [line.rpartition(": ")[2] for line in back.reads()]
    assert [one for one in said if one in ("one", "two", "three")] == ["two", "three"]


def test_while_the_old_connection_is_not_known_to_be_gone(town, bob):
    """The new one goes on in its place, and the old one ends for good."""
    bob.ann.types("one")
    back = comes(town, "bobs", after=0)
    assert bob.client.closed
    assert bob.client.ending is Ending.ELSEWHERE
    shown = back.reads()
    assert shown[0] == "> welcome back, bob. you are in tea"
    assert [line for line in shown if line.endswith("ann: one")]
    back.types("hello")
    assert bob.ann.reads() == ["> bob: hello"]


def test_a_place_is_kept_for_a_while(town, bob):
    """When the grace ends the others see them leave, and the key is nobody's."""
    bob.drops()
    town.grace_ends()
    assert bob.ann.reads() == ["> bob has left the room"]
    assert comes(town, "bobs").reads()[0].startswith("> welcome. you are anonymous")


def test_whoever_quits_has_no_place(town, bob):
    """They are gone at once; so are those who have no key."""
    bob.types("/quit")
    assert bob.client.ending is Ending.QUIT
    assert bob.ann.reads() == ["> bob has left the room"]
    assert comes(town, "bobs").reads()[0].startswith("> welcome. you are anonymous")
    guest = town.enters("guest")
    bob.ann.reads()
    guest.drops()
    assert bob.ann.reads() == ["> guest has left the room"]


def test_another_key_is_somebody_else(town, bob):
    """Nobody comes back by the key of another."""
    bob.drops()
    assert comes(town, "cyds").reads()[0].startswith("> welcome. you are anonymous")
    assert comes(town, "").reads()[0].startswith("> welcome. you are anonymous")
    assert comes(town, "bobs").reads()[0].startswith("> welcome back, bob")


def test_an_account_comes_back_by_its_key(town, bob):
    """No password is asked for; a login elsewhere makes the key nobody's."""
    bob.types("/register correct horse")
    bob.drops()
    back = comes(town, "bobs")
    assert back.reads()[0] == "> welcome back, bob. you are in tea"
    assert back.session.who.account == "@bob"
    again = town.arrives("/login bob correct horse")
    assert back.client.ending is Ending.ELSEWHERE
    assert again.session.who.account == "@bob"
    assert comes(town, "bobs").reads()[0].startswith("> welcome. you are anonymous")


def test_what_waits_is_shown_to_an_account_that_comes_back(town, bob):
    """Private lines as well as those of the room, each once, and not those of who is ignored."""
    bob.types("/register correct horse", "/ignore ann")
    town.enters("cyd").types("/tell bob for you")
    bob.drops()
    bob.ann.types("/tell bob not for you")
    town.enters("dan").types("meanwhile", "/tell bob a secret")
    told = [line.partition("] ")[2] for line in comes(town, "bobs").reads()[2:]]
    assert told == ["dan: meanwhile", "[dan -> you] a secret"]
    bob.types("/quit")
    again = town.arrives("/login bob correct horse")
    assert [line for line in again.reads() if "->" in line] == []


@pytest.mark.parametrize("kind", ALONE)
def test_what_waits_cannot_be_read(kind, monkeypatch):
    """It is said so, and what is typed is obeyed."""
    town = Town(kind)
    bob = town.arrives("/nick bob", "/register correct horse", "/join tea", key="bobs")
    bob.drops()
    rooms = town.nodes[0]

    async def fails(account):
        raise ChatError("the disk does not answer")

    monkeypatch.setattr(rooms.store, "letters", fails)
    back = comes(town, "bobs")
    assert back.reads()[-1] == "err: the disk does not answer"
    assert back.asks("/who") == ["> here: bob (owner)"]


def test_from_a_banned_address(town):
    """A key is no way in for a guest, and for an account it is one, as a password is."""
    root = town.registers("root")
    bob, cyd = (
        town.arrives(f"/nick {name}", "/join tea", address="203.0.113.7", key=name)
        for name in ("bob", "cyd")
    )
    cyd.types("/register correct horse")
    root.types("/ban * 203.0.113.8 10m")
    bob.drops()
    cyd.drops()
    back = town.arrives(address="203.0.113.8", key="cyd")
    assert back.reads()[0] == "> welcome back, cyd. you are in tea"
    again = town.arrives("still here", address="203.0.113.8", key="bob")
    assert again.reads()[0] == "> your address is banned for another 10 minutes"
    assert "your address is banned" in again.asks("/join tea")[0]
    assert back.asks("/who") == ["> here: cyd"]
    again.drops()
    town.arrives(address="203.0.113.7", key="bob").types("/join tea", "hello")
    assert back.reads()[-1] == "> bob: hello"


def test_from_an_address_that_is_banned_from_the_room(town):
    """They are back in the chat, but not in the room."""
    ann = town.registers("ann", "tea")
    bob = town.arrives("/nick bob", "/join tea", address="203.0.113.7", key="bobs")
    other = town.enters("other", address="203.0.113.8")
    ann.types("/ban other")
    bob.drops()
    back = town.arrives(address="203.0.113.8", key="bobs")
    assert "> you are banned from tea" in back.reads()
    assert "you are banned from tea" in back.asks("/join tea")[0]
    assert other.session.who.name == "other"
    assert ann.asks("/who") == ["> here: ann (owner)"]


def test_a_lockdown_lets_those_back_who_were_in(town, bob):
    """It is against those who come while it holds, and who comes back by a key was here."""
    town.registers("root").types("/lockdown")
    bob.drops()
    assert comes(town, "bobs").reads()[0] == "> welcome back, bob. you are in tea"
    stranger = comes(town, "cyds")
    stranger.drops()
    again = comes(town, "cyds")
    again.reads()
    assert "only who has an account may come in now" in again.asks("/join tea")[0]


def test_who_was_banned_does_not_come_back(town, bob):
    """The connection ends for good, and the key brings nobody in."""
    root = town.registers("root")
    root.types("/ban * bob")
    assert bob.client.ending is Ending.BANNED
    assert comes(town, "bobs").reads()[0].startswith("> welcome. you are anonymous")


def test_what_is_typed_on_coming_back_waits(town, bob):
    """It is obeyed after the greeting, by who they are."""
    bob.drops()
    back = town.arrives("/who", key="bobs")
    assert [line for line in back.reads() if line.startswith("> here")] == ["> here: ann, bob"]


def test_settings_come_along(town, bob):
    """What was set up holds on in the next connection."""
    bob.types("/quiet on", "/ignore ann")
    bob.drops()
    back = comes(town, "bobs")
    back.reads()
    town.enters("cyd").types("hello")
    bob.ann.types("not heard")
    assert [line for line in back.reads() if "hello" in line or "ann" in line] == ["> cyd: hello"]
    assert back.asks("/ignore") == ["> you ignore: ann"]


def test_a_restart_in_between(town, bob):
    """Another process knows the place, and the key."""
    if town.kind not in ALONE:
        return
    bob.drops()
    town.moves()
    bob.ann.types("meanwhile")
    assert comes(town, "bobs").reads()[0] == "> welcome back, bob. you are in tea"
