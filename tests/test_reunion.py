"""What becomes of people when nodes go, without Redis: two sets of rules that apply the same."""

import pytest
from town import Town, known

from twisted_chat.chat import snapshot
from twisted_chat.chat.events import NOBODY, Reaped
from twisted_chat.chat.reunion import REAPED_AT_ONCE
from twisted_chat.testing import RecordingClient


@pytest.fixture
def town():
    return Town("two nodes")


def reaps(town):
    """Have the second node go."""
    here, gone = town.nodes
    here.backplane.publish(Reaped(NOBODY, gone.incarnation, 120.0))
    town.clock.turn()


def test_guests_leave_and_places_are_kept(town):
    """Those of the node that went, and nobody else."""
    ann = town.enters("ann")
    guest = town.enters("guest")
    town.arrives()
    bob = town.registers("bob", "tea")
    assert bob.session.rooms is guest.session.rooms is town.nodes[1]
    ann.reads()
    reaps(town)
    assert ann.reads() == ["> guest has left the room"]
    assert ann.asks("/who") == ["> here: ann, bob (gone 0 s)"]


def test_many_are_seen_to_some_at_a_time(town):
    """All of them go, in several events; all nodes agree after each."""
    ann = town.enters("ann")
    for number in range(2 * REAPED_AT_ONCE + 10):
        town.arrives()
        town.arrives(f"/nick guest{number}") if number % 300 == 0 else None
    here = town.nodes[0]
    before = len(here.people)
    there = sum(town.nodes[1].incarnation in id_ for id_ in here.people)
    assert there > REAPED_AT_ONCE
    reaps(town)
    assert len(here.people) == before - there
    assert known(town.nodes[0]) == known(town.nodes[1])
    assert ann.asks("/who") == ["> here: ann"]


def test_a_snapshot_is_all_that_there_is(town):
    """Whoever knows what a snapshot tells knows the same."""
    ann = town.registers("ann", "tea")
    town.arrives()
    bob = town.enters("bob")
    ann.types("/topic leaves", "/mute bob 10m", "/slow 5", "hello", "/away lunch")
    cyd = town.registers("cyd", "den")
    cyd.types("/leave")
    bob.drops()
    cyd.drops()
    taken = snapshot.take(town.nodes[0])
    other = Town("local").nodes[0]
    snapshot.load(other, taken)
    assert known(other) == known(town.nodes[0])
    assert other.naming.find("ann").room.topic == "leaves"
    assert other.kept.find("den", town.clock.seconds()) is not None


def test_nodes_agree_on_what_they_know(town):
    """Whatever was done on either of them."""
    ann = town.registers("ann", "tea")
    bob = town.registers("bob", "tea")
    ann.types("/op bob", "/key sesame", "/lock")
    bob.types("/unlock", "/nick robert", "/leave", "/join tea sesame")
    bob.drops()
    assert known(town.nodes[0]) == known(town.nodes[1])


def stops_hearing(town):
    """Have the second node hear of nothing any more, and be reaped."""
    here, there = town.nodes
    town.seen = there.backplane.last
    here.backplane._nodes.remove((there.admit, there.apply))
    reaps(town)


def begins_anew(town):
    """Have the second node hear again, and find the others and its people again."""
    here, there = town.nodes
    given = snapshot.take(here)
    here.backplane._nodes.append((there.admit, there.apply))
    there.incarnation += "x"
    there.reunion.begin_anew(lambda: snapshot.load(there, given), town.seen)
    town.clock.turn()
    assert known(here) == known(there)


def test_a_node_that_was_reaped_finds_its_people_again(town):
    """They are in their rooms, with their names; what was said meanwhile is shown."""
    ann, bob = town.enters("ann"), town.registers("bob", "tea")
    town.enters("cyd")
    dot = town.arrives("/nick dot", "/away lunch")
    assert dot.session.rooms is bob.session.rooms
    for guest in (ann, bob, dot):
        guest.reads()
    stops_hearing(town)
    assert ann.reads() == []  # nobody else there was in the room but bob, who may come back
    ann.types("meanwhile")
    begins_anew(town)
    assert [line[-11:] for line in bob.reads()] == [" meanwhile:", ": meanwhile"]
    bob.types("back")
    assert ann.reads()[-1] == "> bob: back"
    assert town.nodes[0].naming.find("dot").away == "lunch"


def test_whoever_was_taken_over_meanwhile_is_told(town):
    """The place is another connection's by now."""
    town.enters("ann")
    bob = town.registers("bob", "tea")
    stops_hearing(town)
    again = town.arrives("/login bob correct horse")
    assert again.session.who.account == "@bob"
    begins_anew(town)
    assert bob.reads()[-1] == "err: you have logged in elsewhere, and go on there. goodbye"
    again.types("here")
    assert town.nodes[0].naming.find("bob").client is again.client


def test_whoever_has_lost_a_name(town):
    """They are told, and are strangers."""
    ann, bob = town.enters("ann"), town.enters("bob")
    stops_hearing(town)
    assert ann.reads()[-1] == "> bob has left the room"
    ann.types("/nick bob")
    begins_anew(town)
    assert "> bob is somebody else by now. you are anonymous" in bob.reads()
    assert ann.reads()[-1] == "> anonymous joined the room"


def test_an_owner_of_a_name_gets_it_back(town):
    """A guest who has it makes way, as when its owner logs in."""
    town.enters("ann")
    bob = town.registers("bob", "tea")
    cyd = town.arrives()
    stops_hearing(town)
    town.grace_ends()
    cyd.types("/nick bob")
    assert cyd.session.who.name == "bob"
    begins_anew(town)
    assert bob.session.who.name == "bob"
    assert cyd.reads()[-1] == "> that name belongs to an account. you are anonymous now"


def test_whoever_is_banned_meanwhile_is_in_no_room(town):
    """Coming back is no way around a ban."""
    ann = town.registers("ann", "tea")
    bob = town.registers("bob", "tea")
    stops_hearing(town)
    town.grace_ends()
    ann.types("/ban bob")
    begins_anew(town)
    assert "> you are in no room: you are banned from tea" in bob.reads()
    assert bob.session.person.room is None


def test_who_is_not_found_again_leaves(town):
    """Nobody saw them go, so that is shown once it is clear."""
    town.enters("ann")
    bob = town.enters("bob")
    _, there = town.nodes
    bob.reads()
    kept = snapshot.remembered(there)
    there.reunion.begin_anew(lambda: there.restore(kept), there.backplane.last)
    town.clock.turn()
    assert "> ann has left the room" not in bob.reads()
    town.clock.advance(30)
    there.tick()
    assert bob.reads() == ["> ann has left the room"]


def test_beginning_anew_twice_forgets_no_room(town):
    """Nobody has heard of it yet that they are here still, when the node has to begin once more."""
    town.enters("ann")
    bob = town.enters("bob")
    here, there = town.nodes
    stops_hearing(town)
    there.reunion.begin_anew(lambda: snapshot.load(there, snapshot.take(here)), town.seen)
    here.backplane._underway.clear()  # as it is taken back
    town.clock._at_the_end.clear()
    begins_anew(town)
    assert bob.session.person.room.name.text == "tea"
    assert bob.asks("/who") == ["> here: ann, bob"]


def test_who_has_come_and_gone_meanwhile(town):
    """People of a node that begins anew see it, before they see what was said."""
    ann, bob = town.enters("ann"), town.registers("bob", "tea")
    town.enters("cyd")
    town.arrives()
    eve = town.enters("eve")
    town.arrives()
    fay = town.enters("fay")
    assert fay.session.rooms is eve.session.rooms is ann.session.rooms
    bob.reads()
    stops_hearing(town)
    ann.types("/join den")
    eve.types("/quit")
    town.nodes[0].connect(client := RecordingClient()).receive("/nick gus")
    town.clock.turn()
    gus = next(one for one in town.nodes[0].sessions.values() if one.client is client)
    gus.receive("/join tea")
    gus.receive("hello")
    town.clock.turn()
    begins_anew(town)
    shown = bob.reads()
    assert shown[:2] == ["> ann has left the room", "> gus joined the room"]
    assert [line[-10:] for line in shown[2:]] == ["meanwhile:", "gus: hello"]
    town.clock.advance(30)
    town.nodes[1].tick()
    town.clock.turn()
    assert bob.reads() == ["> eve has left the room"]  # who was not to be found again


def test_who_was_sent_away_meanwhile_is_told(town):
    """A room that they think they are in is not theirs any more."""
    town.registers("ann", "tea").types("/op bob")
    bob = town.registers("bob", "tea")
    bob.reads()
    here, there = town.nodes
    town.seen = there.backplane.last
    here.backplane._nodes.remove((there.admit, there.apply))
    town.nodes[0].naming.find("ann")
    next(s for s in here.sessions.values() if s.who.name == "ann").receive("/kick bob")
    town.clock.turn()
    given = snapshot.take(here)
    here.backplane._nodes.append((there.admit, there.apply))
    there.reunion.begin_anew(lambda: snapshot.load(there, given), town.seen)
    town.clock.turn()
    assert bob.reads() == ["> you are in tea no longer"]
