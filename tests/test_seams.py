"""The seams on which everything later hangs, each with its test."""

import json
from dataclasses import dataclass

import pytest
from town import DELAYED, KINDS, Town
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer
from zope.interface.verify import verifyClass, verifyObject

from twisted_chat import ChatService
from twisted_chat.chat.events import Event, Line, Said, Who
from twisted_chat.cluster.local import LocalBackplane
from twisted_chat.doors.protocol import ChatProtocol
from twisted_chat.interfaces import IAccounts, IBackplane, IClient, IDelivery, IFormat, IStore
from twisted_chat.state.memory import MemoryStore
from twisted_chat.testing import DelayedBackplane, ManualClock, RecordingClient, rooms
from twisted_chat.wire.delivery import Delivery
from twisted_chat.wire.text import PLAIN, Text


def test_the_providers_provide():
    """Whatever says that it provides an interface does."""
    clock = ManualClock()
    verifyObject(IBackplane, LocalBackplane(clock.seconds))
    verifyObject(IBackplane, DelayedBackplane(clock))
    verifyObject(IStore, MemoryStore())
    verifyObject(IAccounts, rooms(clock).accounts)
    verifyObject(IDelivery, Delivery(clock.end_of_turn, print))
    verifyObject(IFormat, PLAIN)
    verifyObject(IClient, RecordingClient())
    verifyClass(IClient, ChatProtocol, tentative=True)


# 1. Commands decide, events change


@pytest.mark.parametrize("line", ["/nick bob", "/join tea", "/leave", "/topic x", "/away", "hi"])
def test_nothing_changes_until_the_event_comes_back(line):
    """A command only proposes: the state is as it was until the backplane applies the event."""
    town = Town("delayed")
    ann = town.enters("ann", "den")

    def state():
        node = town.nodes[0]
        people = [(p.name, p.away, p.room and p.room.id) for p in node.people.values()]
        rooms = [
            (room.topic, list(room.members), result(node.store.history(room.id, 9)))
            for room in node.rooms.values()
        ]
        return people, rooms

    before = state()
    ann.session.receive(line)
    assert state() == before
    town.clock.turn()
    assert state() != before


# 2. Events


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_says_what_it_is(kind):
    """Ids rise and are never used again; time, room and person are in every event."""
    town = Town(kind)
    seen: dict[int, Event] = {}
    node = town.nodes[0]

    def see(event: Event) -> None:
        assert event.id > max(seen, default=0)
        seen[event.id] = event
        if kind not in DELAYED:  # which take one more subscriber; the others have one
            node.apply(event)

    node.backplane.subscribe(node.admit, see)
    ann = town.enters("ann")
    ann.types("hello", "/me waves", "/nick anna", "/leave", "/join coffee", "hello", "/quit")
    kinds = [type(event).__name__ for event in seen.values()]
    assert kinds == [
        "Arrived",
        "Renamed",
        "Joined",
        "Said",
        "Emoted",
        "Renamed",
        "Left",
        "Joined",
        "Said",
        "Quit",
    ]
    assert all(event.time == town.clock.seconds() for event in seen.values())
    assert {event.who.person for event in seen.values()} == {ann.session.id}
    said = [event for event in seen.values() if isinstance(event, Said)]
    assert said[0].room != said[1].room


def test_ids_go_on_after_a_restart():
    """A later start gives higher ids, though its clock be set back."""
    clock = ManualClock()
    first = LocalBackplane(clock.seconds)
    first.subscribe(lambda event: None, lambda event: None)
    event = Said(Who("a.1", None, "ann"), 1, "hi")
    first.publish(event)
    last = event.id
    clock.rightNow -= 3600
    second = LocalBackplane(clock.seconds)
    second.resume(last)
    second.subscribe(lambda event: None, lambda event: None)
    second.publish(event)
    assert event.id > last


# 3. A person may live elsewhere


def test_a_person_of_another_node_is_a_person():
    """They are seen, told, and heard, though their client is not here."""
    town = Town("two nodes")
    ann, bob = town.enters("ann"), town.enters("bob")
    here = town.nodes[0].people[bob.session.id]
    assert here.client is None
    assert town.nodes[1].people[bob.session.id].client is bob.client
    ann.reads()
    assert ann.asks("/tell bob hi") == ["> [you -> bob] hi"]
    assert bob.reads()[-1] == "> [ann -> you] hi"
    assert ann.asks("/who") == ["> here: ann, bob"]


# 4. A room has an id of its own: see test_chat.test_an_empty_room_is_gone and above.


# 5. A session is plain data: see test_session and test_model.


# 6. Formats


@implementer(IFormat)
@dataclass(frozen=True)
class Json:
    """A format that a door of one file could bring."""

    rendered: list

    def __hash__(self) -> int:
        return 1

    def render(self, event: object) -> bytes:
        self.rendered.append(event)
        return json.dumps({"type": type(event).__name__}).encode() + b"\r\n"

    def adapted(self, zone, quiet):
        return self


def test_a_format_is_one_class_and_renders_once():
    """A room may hold members of several formats; each event is rendered once for each."""
    clock = ManualClock()
    chat = rooms(clock)
    rendered: list = []
    bots = [RecordingClient(Json(rendered)) for _ in range(3)]
    for client in bots:
        chat.connect(client).receive("/join tea")
    clock.turn()
    human = RecordingClient()
    session = chat.connect(human)
    session.receive("/join tea")
    clock.turn()
    rendered.clear()
    for bot in bots:
        bot.lines()
    session.receive("hello")
    clock.turn()
    assert [bot.lines() for bot in bots] == [['{"type": "Said"}']] * 3
    assert len(rendered) == 1


def test_text_formats_are_shared_by_their_wishes():
    """Those who wish the same share the bytes."""
    assert PLAIN.adapted("Asia/Tokyo", True) == Text().adapted("Asia/Tokyo", True)
    assert hash(PLAIN.adapted(None, False)) == hash(PLAIN)


# 7. A store answers when it can


class SlowStore(MemoryStore):
    """A store whose answers come when they are let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Deferred[None]] = []

    async def history(self, room: int, limit: int, since: float = 0.0) -> list[Line]:
        self.asked.append(Deferred())
        await self.asked[-1]
        return await super().history(room, limit, since)


def test_the_past_comes_before_what_is_said_meanwhile():
    """While the store looks for the past, lines of the room wait, and are shown once."""
    clock, store = ManualClock(), SlowStore()
    chat = rooms(clock, store=store)
    ann, bob = RecordingClient(), RecordingClient()
    talker = chat.connect(ann)
    talker.receive("/join tea")
    store.asked.pop().callback(None)
    talker.receive("one")
    joiner = chat.connect(bob)
    joiner.receive("/nick bob")
    joiner.receive("/join tea")
    clock.turn()
    assert bob.lines()[1:] == ["> all right, I will call you bob"]
    talker.receive("two")
    talker.receive("/tell bob psst")
    clock.turn()
    assert bob.lines() == []
    store.asked.pop().callback(None)
    clock.turn()
    assert bob.lines() == [
        "> welcome to tea",
        "> [2023-11-14 22:13] anonymous: one",
        "> here: anonymous, bob",
        "> anonymous: two",
        "> [anonymous -> you] psst",
    ]


def test_a_store_that_fails_keeps_nobody_out(logged_failures):
    """Who enters while the past cannot be read is told so, and hears what is said."""
    clock, store = ManualClock(), SlowStore()
    chat = rooms(clock, store=store)
    client, other = RecordingClient(), RecordingClient()
    session = chat.connect(client)
    session.receive("/join tea")
    store.asked.pop().errback(OSError("disk"))
    second = chat.connect(other)
    second.receive("/join tea")
    store.asked.pop().callback(None)
    second.receive("hi")
    clock.turn()
    assert client.lines()[1:] == [
        "> welcome to tea",
        "> what was said before cannot be read now",
        "> here: anonymous",
        "> anonymous-2 joined the room",
        "> anonymous-2: hi",
    ]
    assert len(logged_failures.flush(OSError)) == 1


def test_who_leaves_while_the_past_is_looked_for_is_not_welcomed():
    """An answer that comes too late is shown to nobody."""
    clock, store = ManualClock(), SlowStore()
    chat = rooms(clock, store=store)
    client = RecordingClient()
    session = chat.connect(client)
    session.receive("/join tea")
    session.end()
    store.asked.pop().callback(None)
    clock.turn()
    assert len(client.lines()) == 1
    assert chat.rooms == {}


def test_a_line_that_comes_twice_is_kept_once():
    """A store ignores what it has already."""
    clock = ManualClock()
    store = MemoryStore()
    line = Said(Who("a.1", None, "ann"), 7, "hi")
    line.id, line.time = 5, clock.seconds()
    store.record(line)
    store.record(line)
    assert [*result(store.history(7, 10))] == [line]


def result(coroutine):
    """Give what a coroutine that never waits returns."""
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


# 8. Listening sockets


class Adopting:
    """A reactor that listens in its own way, as at a hand-over."""

    def __init__(self, reactor: MemoryReactorClock) -> None:
        self._reactor = reactor
        self.adopted: list[int] = []

    def __getattr__(self, name: str):
        return getattr(self._reactor, name)

    def listenTCP(self, port, factory, backlog=50, interface=""):
        self.adopted.append(port)
        return self._reactor.listenTCP(port, factory, backlog, interface)


def test_every_endpoint_goes_through_the_reactor_that_was_given():
    """A reactor that adopts sockets needs no other endpoint strings; the ports are kept."""
    reactor = Adopting(MemoryReactorClock())
    service = ChatService(reactor, ["tcp:8888", "tcp:8889:interface=127.0.0.1"])
    service.startService()
    assert reactor.adopted == [8888, 8889]
    assert [listener.port.getHost().port for listener in service.listeners] == [8888, 8889]


# 9. The process belongs to tap: see test_layers.
