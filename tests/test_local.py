"""The backplane of a single node, and what puts a chat together."""

import pytest
from twisted.internet.testing import MemoryReactorClock
from zope.interface.verify import verifyObject

from twisted_chat.assembly import assemble
from twisted_chat.chat.events import Arrived, ChatError, Who
from twisted_chat.cluster.local import LocalBackplane
from twisted_chat.interfaces import IBackplane
from twisted_chat.testing import ManualClock, RecordingClient

ANN = Who("1", None, "ann")


class Node:
    """Keeps what it is shown, and refuses if told to."""

    def __init__(self, clock=None, after=0):
        self.clock = clock or ManualClock()
        self.backplane = LocalBackplane(self.clock.seconds)
        self.backplane.resume(after)
        self.backplane.subscribe(self.admit, self.applied_append)
        self.applied = []
        self.refuses = False

    def admit(self, event):
        assert event.id
        assert event.time  # by which it can be judged
        if self.refuses:
            raise ChatError("no")

    def applied_append(self, event):
        self.applied.append((event, event.id, event.time))


def run(coroutine):
    """Run a coroutine that waits for nothing."""
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


def test_it_is_a_backplane():
    """It provides what the rules ask of a backplane."""
    verifyObject(IBackplane, LocalBackplane(lambda: 0.0))


def test_what_is_published_is_applied_within_the_call():
    """An event is numbered, stamped and applied before ``publish`` returns."""
    node, event = Node(), Arrived(ANN)
    node.backplane.publish(event)
    (applied, number, time) = node.applied.pop()
    assert applied is event
    assert (number, time) == (event.id, node.clock.seconds())
    assert number > 0


def test_a_claim_is_applied_without_waiting():
    """A claim that may be is applied within the call, and gives the event."""
    node, event = Node(), Arrived(ANN)
    assert run(node.backplane.claim(event)) is event
    assert [applied for applied, _, _ in node.applied] == [event]


def test_a_claim_that_is_refused_changes_nothing():
    """A claim that may not be raises, and is not applied."""
    node, event = Node(), Arrived(ANN)
    node.refuses = True
    with pytest.raises(ChatError, match="no"):
        node.backplane.claim(event).send(None)
    assert node.applied == []


def test_ids_rise_in_the_order_of_events_even_if_the_clock_is_set_back():
    """Every id is above all before it, published or claimed, whatever the clock says."""
    node = Node()
    for number in range(100):
        node.backplane.publish(Arrived(ANN))
        run(node.backplane.claim(Arrived(ANN)))
        node.clock.rightNow -= number
    ids = [number for _, number, _ in node.applied]
    assert ids == sorted(set(ids))


def test_ids_go_on_after_a_restart():
    """A node that starts later, or knows the last id, gives none that was given before."""
    first = Node()
    first.backplane.publish(Arrived(ANN))
    last = first.applied[-1][1]
    first.clock.advance(1)
    later = Node(first.clock)
    later.backplane.publish(Arrived(ANN))
    assert later.applied[0][1] > last
    first.clock.rightNow -= 3600
    informed = Node(first.clock, after=last)
    informed.backplane.publish(Arrived(ANN))
    assert informed.applied[0][1] == last + 1


# The assembly


def end_turn(reactor):
    for reader in reactor.getReaders():
        reader.doRead()


def test_a_reactor_is_all_that_a_chat_needs():
    """What is left out is that of a single node, and what is said leaves at the turn's end."""
    reactor = MemoryReactorClock()
    chat, client = assemble(reactor), RecordingClient()
    session = chat.connect(client)
    session.receive("/version")
    assert client.received == b""
    end_turn(reactor)
    welcome, version = client.lines()
    assert welcome.startswith("> welcome. you are anonymous.")
    assert version == f"> twisted-chat {chat.version}"
    reactor.getReaders()[0].close()


def test_two_chats_share_nothing():
    """People of two chats in one process neither see each other nor share an id."""
    chats = [assemble(MemoryReactorClock(), turn=ManualClock().end_of_turn) for _ in range(2)]
    ids = {chat.connect(RecordingClient()).id for chat in chats}
    assert len(ids) == 2
    assert [len(chat.people) for chat in chats] == [1, 1]


def test_what_fails_unseen_is_logged(logged_failures):
    """A coroutine that fails, and trouble that is reported, end in the log as failures."""
    chat = assemble(MemoryReactorClock(), turn=ManualClock().end_of_turn)

    async def fail():
        raise ZeroDivisionError

    chat.start(fail())
    chat.trouble(KeyError("lost"))
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
    assert len(logged_failures.flush(KeyError)) == 1
