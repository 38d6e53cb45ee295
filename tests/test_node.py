"""Nodes of a chat in one process, with a real Redis server between them."""

import json

import pytest
import pytest_twisted
from redis_server import RedisServer, until
from twisted.internet import reactor

from twisted_chat import ChatService, Limits
from twisted_chat.link import Target
from twisted_chat.node import Node
from twisted_chat.testing import RecordingClient

pytestmark = [pytest.mark.real, pytest.mark.redis]

LEASE = 0.6


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path / "redis") as server:
        yield server


class Someone:
    """Someone on a node, at no connection."""

    def __init__(self, service, *lines):
        self.client = RecordingClient()
        self.session = service.rooms.connect(self.client)
        self.seen = []
        self.types(*lines)

    def types(self, *lines):
        for line in lines:
            self.session.receive(line)

    async def sees(self, text):
        """Wait for a line that ends so, and give it."""

        def found():
            self.seen += self.client.lines()
            return next((line for line in self.seen if line.endswith(text)), None)

        line = await until(found, f"{text!r} among {self.seen}")
        self.seen = self.seen[self.seen.index(line) + 1 :]
        return line


async def enter(a, b):
    """Have one person enter on each of two nodes, one after the other."""
    ann = Someone(a, "/nick ann", "/join tea")
    await ann.sees("welcome to tea")
    bob = Someone(b, "/nick bob", "/join tea")
    await bob.sees("welcome to tea")
    return ann, bob


class Chats:
    """Some nodes."""

    def __init__(self, server):
        self._server = server
        self.all = []

    async def add(self, left=None, **how):
        """Have one more node take part; if it is the heir of another, with what that has left."""
        target, name = Target.parse(self._server.url), "abc"[len(self.all) % 3]
        node = Node(reactor, target, name, lease=LEASE, **how)
        service = ChatService(reactor, [], Limits(flood=None, replay=0), node=node)
        if left is not None:
            service.inherit(left)
        self.all.append(service)
        service.startService()
        await until(lambda: node.backplane.is_inside, "a node that takes part")
        return service


@pytest.fixture
def chats(server):
    chats = Chats(server)
    yield chats
    for service in chats.all:
        pytest_twisted.blockon(service.stopService())


@pytest_twisted.ensureDeferred
async def test_two_nodes(chats):
    """People of both see each other, and whoever comes later is told what there is."""
    a = await chats.add()
    ann = Someone(a, "/nick ann", "/join tea", "/topic leaves", "hello")
    await ann.sees("set the topic: leaves")
    b = await chats.add()
    bob = Someone(b, "/nick bob", "/join tea")
    await bob.sees("topic: leaves")
    await bob.sees("here: ann, bob")
    ann.types("/tell bob hi", "welcome")
    await bob.sees("[ann -> you] hi")
    await bob.sees("ann: welcome")
    bob.types("/nick ann")
    await bob.sees('"ann" is taken')
    bob.types("/quit")
    await ann.sees("bob has left the room")


@pytest_twisted.ensureDeferred
async def test_a_node_goes_without_a_word(chats):
    """Its lease ends, and it is reaped; when it hears of that it begins anew, with its people."""
    a, b = await chats.add(), await chats.add()
    ann, bob = await enter(a, b)
    await ann.sees("bob joined the room")
    renewing = b._node.backplane._renewing
    renewing.stop()
    await ann.sees("bob has left the room")
    await ann.sees("bob joined the room")
    renewing.start(LEASE / 3)
    ann.types("hello")
    await bob.sees("ann: hello")


@pytest_twisted.ensureDeferred
async def test_whoever_has_lost_a_name_is_renamed(chats):
    """It is somebody else's by now, who keeps it."""
    a, b = await chats.add(), await chats.add()
    ann, bob = await enter(a, b)
    await ann.sees("bob joined the room")
    service, backplane = b, b._node.backplane
    backplane._begins += 1  # it hears nothing any more
    backplane._renewing.stop()
    await ann.sees("bob has left the room")
    ann.types("/nick bob", "meanwhile")
    await ann.sees("I will call you bob")
    backplane._begin()
    await bob.sees("bob is somebody else by now. you are anonymous")
    await ann.sees("anonymous joined the room")
    assert service.rooms.naming.find("bob").who.person == ann.session.id


@pytest_twisted.ensureDeferred
async def test_redis_is_emptied(chats, server):
    """All nodes begin anew, with what they know: rooms, topics, names."""
    a, b = await chats.add(), await chats.add()
    ann, bob = await enter(a, b)
    ann.types("/topic leaves")
    await bob.sees("set the topic: leaves")
    before = {service.rooms.incarnation for service in (a, b)}
    server.flushall()
    await until(
        lambda: (
            not before & {service.rooms.incarnation for service in (a, b)}
            and all(service._node.backplane.is_inside for service in (a, b))
        ),
        "other incarnations",
    )
    await until(lambda: len(a.rooms.people) == len(b.rooms.people) == 2, "everybody")
    ann.types("hello")
    await bob.sees("ann: hello")
    bob.types("/topic")
    await bob.sees("topic: leaves")
    await until(lambda: server.ask("HLEN", "tcpchat:rooms") == 1, "the room to be kept again")


@pytest_twisted.ensureDeferred
async def test_a_node_goes_on_in_another_process(chats):
    """As the incarnation that it is, with everybody who was there."""
    a, b = await chats.add(), await chats.add()
    ann, bob = await enter(a, b)
    await ann.sees("bob joined the room")
    estate = await a.freeze()
    bob.types("meanwhile")
    a.thaw()  # for it was not taken
    await ann.sees("bob: meanwhile")
    estate = await a.freeze()
    chats.all.remove(a)
    estate = estate._replace(record=json.loads(json.dumps(estate.record)))
    c = await chats.add(estate)
    assert c.rooms.incarnation == a.rooms.incarnation
    assert c.rooms.naming.find("ann").who.person == ann.session.id
    assert c.rooms.naming.find("bob").room.name.text == "tea"
    for link in a._node._links:
        await link.stop()
    a._turn.close()
    a._node._turn.close()
    a._ticking.stop()
    cyd = Someone(c, "/nick cyd", "/join tea")
    await bob.sees("cyd joined the room")
    bob.types("hello cyd")
    await cyd.sees("bob: hello cyd")


@pytest_twisted.ensureDeferred
async def test_accounts_and_places(chats):
    """Who loses the connection on one node goes on on the other; twice is once."""
    a, b = await chats.add(), await chats.add()
    ann, bob = await enter(a, b)
    await ann.sees("bob joined the room")
    ann.types("/register correct horse", "/ignore bob")
    await ann.sees("/unignore NAME ends it")
    ann.session.lose()
    await until(lambda: b.rooms.naming.find("ann").gone, "a place that is kept")
    bob.types("/whois ann")
    await bob.sees("logged in, gone for 0 seconds")
    back = Someone(b, "/login ann correct horse", "/ignore")
    await back.sees("you ignore: bob")
    again = Someone(a, "/login ann correct horse")
    await again.sees("you are logged in, in tea")
    await back.sees("you have logged in elsewhere, and go on there. goodbye")


@pytest_twisted.ensureDeferred
async def test_an_operator_that_one_node_knows(chats):
    """Whom one node was told runs the server on both, and no longer once it is told so."""
    a, b = await chats.add(), await chats.add()
    a.appoint(["root"])
    await until(lambda: "@root" in b.rooms.operators, "an operator")
    a.appoint([])
    await until(lambda: "@root" not in b.rooms.operators, "no operator")


@pytest_twisted.ensureDeferred
async def test_a_long_absence_of_redis(chats, server):
    """Everybody is told, also who comes meanwhile; and told again when it is over."""
    a = await chats.add(patience=0.2)
    ann = Someone(a, "/nick ann", "/join tea")
    await ann.sees("here: ann")
    server.kill()
    await ann.sees("link lost: lines are not going out")
    ann.types("hello", "/nick anna")
    await ann.sees("err: not sent: link lost")
    await ann.sees("err: not sent: link lost")
    bob = Someone(a)
    await bob.sees("link lost: lines are not going out. /quit leaves")
    server.start()
    await ann.sees("the link is back: lines are going out again")
    await bob.sees("/help tells the rest")
