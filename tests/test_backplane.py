"""The backplane of many nodes, step by step: what goes when, and what becomes of it."""

from itertools import count

import pytest
from twisted.internet.defer import Deferred

from twisted_chat.chat.events import NOBODY, ChatError, Reason, Said, Who
from twisted_chat.chat.kept import Kept
from twisted_chat.cluster.redis import RedisBackplane
from twisted_chat.cluster.sending import BACK, COMING_IN, LOST, NOT_KNOWN, NOT_SENT
from twisted_chat.cluster.stream import Entry, Registered
from twisted_chat.link import LinkError
from twisted_chat.testing import ManualClock, RecordingClient, rooms


class ManualLink:
    """A link that is up and down as it is told."""

    is_up = True
    down_since = 0.0

    def __init__(self, clock):
        self._clock = clock

    def watch(self, up, down):
        self._up, self._down = up, down

    def breaks(self, silence=0.0):
        """Break, after it has not answered for so many seconds."""
        self.is_up = False
        self.down_since = self._clock.seconds() - silence
        self._down("it broke")

    def comes_back(self):
        self.is_up = True
        self._up()


class ManualStream:
    """A stream that answers when it is told; the first of the nodes is alone."""

    def __init__(self):
        self.appended = []
        """The numbers of what was sent, and who waits for the answer."""
        self.reading = None
        self.registered = 0

    async def register(self, epoch, node, lease, seen):
        self.node = node
        self.registered += 1
        return Registered(b"epoch", max(seen, 100) + 1, ())

    async def reap(self, seen, grace, node=""):
        pass

    def append(self, epoch, node, lease, seen, events):
        answer = Deferred()
        self.appended.append(([one.number for one in events], answer))
        return answer

    def read(self, after):
        self.reading = Deferred()
        return self.reading

    def shows(self, *entries):
        """Have entries come."""
        reading, self.reading = self.reading, None
        reading.callback([(entry.id, entry) for entry in entries])


class Node:
    """A node, and what it is to work with."""

    def __init__(self):
        self.clock, self.stream = ManualClock(), ManualStream()
        self.link = ManualLink(self.clock)
        self.backplane = RedisBackplane(
            self.clock,
            self.stream,
            self.link,
            "a",
            token=map(str, count()).__next__,
            turn=self.clock.end_of_turn,
        )
        self.rooms = rooms(self.clock, self.backplane)
        self.client = RecordingClient()
        self.backplane.start(self.rooms, self.nothing, lambda version, is_first: None)
        self.session = self.rooms.connect(self.client)
        self.clock.turn()

    async def nothing(self):
        return Kept()

    def says(self, *texts):
        """Have lines said, by somebody the rules do not know."""
        for text in texts:
            self.backplane.publish(Said(Who(self.session.id, None, "ann"), 1, text))
        self.clock.turn()

    def sent(self):
        return [numbers for numbers, _ in self.stream.appended]

    def answers(self, word="ok", accepted=0, newest=1000):
        """Have the eldest append answered."""
        _, answer = self.stream.appended.pop(0)
        answer.callback((word, accepted, newest))
        self.clock.turn()

    def fails(self, sent=True):
        _, answer = self.stream.appended.pop(0)
        answer.errback(LinkError("no answer", sent=sent))
        self.clock.turn()

    def comes_back(self, number, id_, before):
        """Have an event of this node come back."""
        self.stream.shows(Entry(id_, before, 0.0, self.stream.node, number, "p", b""))
        self.clock.turn()

    def shown(self):
        self.clock.turn()
        return self.client.lines()


@pytest.fixture
def node():
    node = Node()
    assert node.sent() == [[1]]  # that somebody has come
    node.answers(accepted=1)
    node.comes_back(1, 102, 101)
    node.client.lines()
    return node


def test_one_batch_is_under_way_at_a_time(node):
    """What is said meanwhile is gathered, and nothing can overtake."""
    node.says("one")
    node.says("two")
    node.says("three")
    assert node.sent() == [[2]]
    node.answers(accepted=2)
    assert node.sent() == [[3, 4]]


def test_nothing_goes_before_the_fate_of_the_rest_is_known(node):
    """What may have been lost is sent again before what was said after it."""
    node.says("one")
    node.link.breaks()
    node.fails()
    node.says("two")
    node.link.comes_back()
    node.says("three")
    assert node.sent() == [[]]  # which asks what was accepted
    node.answers(accepted=1)
    assert node.sent() == [[2, 3, 4]]


def test_what_was_accepted_is_not_sent_again(node):
    """Its answer was lost, but not the event."""
    node.says("one", "two")
    node.link.breaks()
    node.fails()
    node.link.comes_back()
    node.answers(accepted=2)
    assert node.sent() == [[3]]


def test_after_some_seconds_lines_are_refused(node):
    """People are told once; what may have gone is not refused before that is known."""
    node.says("one")
    node.link.breaks()
    node.fails()
    node.says("two")
    node.clock.advance(5)
    assert node.shown() == ["err: not sent: link lost", f"> {LOST}"]
    assert node.rooms.refusals[Reason.LINK_LOST] == 1
    node.says("three")
    assert node.shown() == [f"err: {NOT_SENT}"]
    node.link.comes_back()
    node.answers(accepted=1)
    assert node.shown() == [f"err: {NOT_SENT}", f"> {BACK}"]
    assert node.sent() == []


def test_a_claim_is_refused_likewise(node):
    """Whoever has asked for something hears that it was not done."""
    node.link.breaks()
    node.clock.advance(5)
    failures = []
    node.backplane.claim(Said(NOBODY, 1, "")).addErrback(failures.append)
    assert [failure.check(ChatError) for failure in failures] == [ChatError]


def test_who_leaves_is_not_forgotten(node):
    """What nobody waits for an answer to goes once it can."""
    node.link.breaks()
    node.clock.advance(5)
    node.session.end()
    node.link.comes_back()
    node.clock.turn()
    node.answers(accepted=1)
    assert node.sent() == [[2]]


def test_when_redis_was_emptied_nobody_knows(node):
    """What was sent may have been shown elsewhere: that is said, and the node begins anew."""
    node.says("one")
    node.answers("emptied")
    node.stream.shows()
    assert f"err: {NOT_KNOWN}" in node.shown()
    assert node.backplane.last == 103


def test_when_it_was_reaped_everything_is_known(node):
    """All that was accepted came back before; what is left was not sent."""
    node.says("one")
    node.answers("fenced")
    node.stream.shows(Entry(103, 102, 0.0, node.stream.node, 0, "gone", b"120"))
    assert f"err: {NOT_SENT}" in node.shown()


def test_a_gap_is_noticed(node):
    """An entry that does not follow the last one means that some are lost."""
    node.stream.shows(Entry(110, 108, 0.0, "b-1", 1, "p", b""))
    node.clock.turn()
    assert node.backplane.last == 103


def test_the_link_is_asked_again_if_redis_refuses(node, logged_failures):
    """A server that is out of memory is asked again, and nothing overtakes meanwhile."""
    from twisted_chat.link import RedisError

    node.says("one")
    _, answer = node.stream.appended.pop(0)
    answer.errback(RedisError("OOM"))
    node.says("two")
    assert node.sent() == []
    node.clock.advance(0.5)
    assert node.sent() == [[]]
    node.answers(accepted=1)
    assert node.sent() == [[2, 3]]
    logged_failures.events.clear()  # it is told of in the log


def test_what_is_said_of_an_earlier_incarnation_does_not_count(node):
    """It has been reaped already, and has begun anew: once is enough."""
    node.says("one")
    node.stream.shows(Entry(103, 102, 0.0, node.stream.node, 0, "gone", b"120"))
    node.clock.turn()
    node.answers("fenced")
    node.stream.shows()
    node.clock.turn()
    assert node.stream.registered == 2


def test_nobody_is_announced_twice(node):
    """Who begins anew twice in a row announces its people as they are the second time."""
    for id_ in (103, 105):
        node.stream.shows(Entry(id_, 1, 0.0, "b-1", 1, "p", b""))  # others are lost before it
        node.clock.turn()
    assert node.stream.registered == 3
    assert node.sent() == [[1]]  # of the second incarnation, and unanswered
    node.answers(accepted=1)
    assert node.sent() == [[1]]  # of the third, once and no more


def test_silence_counts(node):
    """Whether Redis has gone or is stuck: people wait for so long, not longer."""
    node.link.breaks(silence=2.0)
    node.clock.advance(2.9)
    assert node.shown() == []
    node.clock.advance(0.2)
    assert node.shown() == [f"> {LOST}"]


def newcomer(node):
    client = RecordingClient()
    session = node.rooms.connect(client)
    node.clock.turn()
    return session, client


def test_who_comes_while_the_link_is_lost_may_go(node):
    """They are told at once, and what they say waits; nobody ever hears of those who go."""
    node.link.breaks()
    node.clock.advance(5)
    session, client = newcomer(node)
    node.clock.advance(0.1)
    assert client.lines() == [f"> {LOST}. /quit leaves"]
    session.receive("/nick bob")
    session.receive("/rooms")
    assert client.lines() == []
    session.receive(" /EXIT for now")
    node.clock.turn()
    assert client.lines() == ["> sad to see you go =("]
    assert client.closed
    node.link.comes_back()
    node.answers(accepted=1)
    node.comes_back(2, 103, 102)
    node.comes_back(3, 104, 103)
    assert len(node.rooms.people) == 1
    assert client.lines() == []


def test_who_is_not_greeted_for_long_is_told(node):
    """But not who is greeted soon, as is usual."""
    _, client = newcomer(node)
    _, late = newcomer(node)
    node.answers(accepted=3)
    node.comes_back(2, 103, 102)
    assert client.lines()[0].startswith("> welcome")
    node.clock.advance(1.1)
    node.clock.turn()
    assert client.lines() == []
    assert late.lines() == [f"> {COMING_IN}. /quit leaves"]


@pytest.mark.parametrize("line", ["quit", "//quit", "/quiet", "/q"])
def test_what_is_not_leaving_waits(node, line):
    """Only what leaves is obeyed before the chat knows somebody."""
    node.link.breaks()
    node.clock.advance(5)
    session, client = newcomer(node)
    node.clock.advance(0.1)
    session.receive(line)
    assert not client.closed
