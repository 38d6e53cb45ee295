"""What becomes of people when nodes go, without Redis: two sets of rules that apply the same."""

import pytest
from town import Town

from twisted_chat.chat import snapshot
from twisted_chat.chat.events import NOBODY, Reaped
from twisted_chat.chat.reunion import REAPED_AT_ONCE


@pytest.fixture
def town():
    return Town("two nodes")


def reaps(town):
    """Have the second node go."""
    here, gone = town.nodes
    here.backplane.publish(Reaped(NOBODY, gone.incarnation, 120.0))
    town.clock.turn()


def without_its_own(node):
    """Give what two nodes have to agree in."""
    taken = snapshot.take(node)
    own = ("incarnation", "arrivals", "started")
    taken["chat"] = {name: one for name, one in taken["chat"].items() if name not in own}
    return taken


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
    assert without_its_own(town.nodes[0]) == without_its_own(town.nodes[1])
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
    assert without_its_own(other) == without_its_own(town.nodes[0])
    assert other.naming.find("ann").room.topic == "leaves"
    assert other.kept.find("den", town.clock.seconds()) is not None


def test_nodes_agree_on_what_they_know(town):
    """Whatever was done on either of them."""
    ann = town.registers("ann", "tea")
    bob = town.registers("bob", "tea")
    ann.types("/op bob", "/key sesame", "/lock")
    bob.types("/unlock", "/nick robert", "/leave", "/join tea sesame")
    bob.drops()
    assert without_its_own(town.nodes[0]) == without_its_own(town.nodes[1])
