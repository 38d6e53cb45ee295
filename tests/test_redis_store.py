"""A store in Redis that several nodes share; the server is a real one."""

import json
from contextlib import asynccontextmanager
from random import Random

import pytest
import pytest_twisted
from redis_server import RedisServer, until
from test_store import ANN, BOB, RECORD, deed, line
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import globalLogPublisher

from twisted_chat.chat.charter import Charter
from twisted_chat.chat.events import ChatError, Told, Who
from twisted_chat.chat.kept import Kept, KeptRoom, StateError
from twisted_chat.chat.place import Gone, Place
from twisted_chat.link import Link, Target
from twisted_chat.state.redis import RedisStore

pytestmark = [pytest.mark.real, pytest.mark.redis]
SCRIBE_SECONDS = 0.3
ROOM = KeptRoom(7, "tea", "leaves", None, Charter("@ann", ("@bob",)))


class Node:
    """One of the nodes: it applies events in order, as far as it has come."""

    def __init__(self, server, name, **how):
        self.name = name
        self.applied = 0
        self.emptied = 0
        self.link = Link(reactor, Target.parse(server.url), retry=lambda tries: 0.01)
        self.store = RedisStore(
            reactor,
            self.link,
            name,
            scribe_seconds=SCRIBE_SECONDS,
            version=lambda: self.applied,
            **{"keep_seconds": 1e10, **how},
        )
        self.store.emptied = self._note_emptied

    def _note_emptied(self):
        self.emptied += 1
        self.store.keep(ROOM)

    def apply(self, number, *does):
        """Apply the event of that id, and have the store do something."""
        self.applied = number
        for do in does:
            do(self.store)

    async def shows(self, room=1):
        return [one.id for one in await self.store.history(room, 10_000)]

    async def die(self):
        """Be gone from one moment to the next, as Redis sees it."""
        await self.link.stop()


class Nodes:
    """Some nodes, and the server they share."""

    def __init__(self, server):
        self.server = server
        self.all = []
        self.gone = []

    def add(self, name, begin=0, left=None, **how):
        node = Node(self.server, name, **how)
        node.link.start()
        node.store.open(left)
        if left is None:
            node.applied = begin
            node.store.begin(begin)
        self.all.append(node)
        return node

    def scribe(self):
        """Give the node that writes, None if there is none now."""
        holder = self.server.ask("GET", "tcpchat:scribe") or b""
        return next((n for n in self.all if n.name == holder.decode().partition(" ")[0]), None)

    async def chosen(self, name):
        await until(lambda: (found := self.scribe()) and found.name == name, f"{name} to write")

    async def written(self, *nodes):
        """Wait until nothing waits on any of some nodes."""
        for node in nodes or self.all:
            await until(
                lambda node=node: len(node.store.condition()) == 1,
                f"nothing to wait on {node.name}",
            )

    def lines(self, room=1):
        return [
            int(score)
            for score in self.server.ask("ZRANGE", f"tcpchat:lines:{room}", 0, -1, "WITHSCORES")[
                1::2
            ]
        ]


@asynccontextmanager
async def cluster(server, *names, **how):
    nodes = Nodes(server)
    try:
        for name in names:
            node = nodes.add(name, **how)
            await until(lambda node=node: node.link.is_up, f"a link of {name}")
        if names:
            await until(nodes.scribe, "a scribe")
        yield nodes
    finally:
        for node in nodes.all + nodes.gone:
            await node.store.close()
            await node.link.stop()


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path / "redis", appendonly=True) as server:
        yield server


@pytest.fixture
def log():
    """What is logged, as text."""
    lines = []

    def observe(event):
        lines.append(event.get("log_format", "").format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def says(number, room=1, who=ANN, time=None):
    return lambda store: store.record(line(number, room=room, who=who, time=time))


def letter(number, to="@bob"):
    made = Told(ANN, Who("", to, to[1:]), f"letter {number}")
    made.id, made.time = number, float(number)
    return made


def happens(nodes, number, *does):
    for node in nodes:
        node.apply(number, *does)


# Who writes


@pytest_twisted.ensureDeferred
async def test_everything_is_written_once(server):
    """All nodes make the same statements, several of one event too; each is carried out once."""
    async with cluster(server, "one", "two", "three") as nodes:
        for number in range(1, 1201):
            happens(
                nodes.all,
                number,
                says(number),
                lambda store, number=number: store.keep_letter(letter(number, f"@{number % 20}")),
                lambda store, number=number: store.note(deed(number)),
            )
        await nodes.written()
        assert nodes.lines() == list(range(1, 1201))
        assert server.ask("ZCARD", "tcpchat:audit") == 1200
        assert server.ask("ZCARD", "tcpchat:letters:@7") == 60
        await until(lambda: server.ask("GET", "tcpchat:scribed") == b"1200 3", "the checkpoint")
        for node in nodes.all:
            assert await node.shows() == list(range(1, 1201))


@pytest_twisted.ensureDeferred
async def test_the_scribe_dies(server):
    """Another one goes on; nothing is lost, and nothing is there twice."""
    async with cluster(server, "one", "two", "three") as nodes:
        for number in range(1, 2001):
            happens(nodes.all, number, says(number))
        await until(nodes.lines, "the first lines")
        dead = await until(nodes.scribe, "a scribe")  # it may have been busy for too long
        await dead.die()
        others = [node for node in nodes.all if node is not dead]
        for number in range(2001, 3001):
            happens(others, number, says(number))
        await nodes.written(*others)
        assert nodes.lines() == list(range(1, 3001))
        await until(lambda: nodes.scribe() in others, "one of the others to write")


@pytest_twisted.ensureDeferred
async def test_answers_that_are_lost(server):
    """What may have been written already is not written again."""
    async with cluster(server, "one", "two") as nodes:
        for step in range(20):
            for number in range(step * 50 + 1, step * 50 + 51):
                happens(nodes.all, number, says(number))
            server.ask("CLIENT", "KILL", "TYPE", "normal")
            await until(lambda: all(node.link.is_up for node in nodes.all), "links")
        await nodes.written()
        assert nodes.lines() == list(range(1, 1001))


@pytest_twisted.ensureDeferred
async def test_a_scribe_that_was_away(server):
    """One that has been paused for too long writes nothing any more."""
    async with cluster(server, "one") as nodes:
        slow = nodes.all[0]
        two = nodes.add("two")
        server.ask("SET", "tcpchat:scribe", "two and its token")  # as if it had been taken
        happens(nodes.all, 1, says(1))
        await until(lambda: slow.store.backlog == 0, "it to see that")
        assert nodes.lines() == []
        server.ask("DEL", "tcpchat:scribe")
        await nodes.written(slow, two)
        assert nodes.lines() == [1]


@pytest_twisted.ensureDeferred
async def test_leaving_in_order(server):
    """Whoever closes writes what waits first, and another may go on at once."""
    async with cluster(server, "one") as nodes:
        one = nodes.all[0]
        two = nodes.add("two")
        for number in range(1, 1201):
            happens(nodes.all, number, says(number))
        happens(nodes.all, 1300)  # something that leaves no trace
        await one.store.close()
        assert nodes.lines() == list(range(1, 1201))
        assert server.ask("GET", "tcpchat:scribed") == b"1300 0"
        await nodes.chosen("two")
        happens([two], 1301, says(1301))
        await nodes.written(two)
        assert nodes.lines()[-2:] == [1200, 1301]


@pytest_twisted.ensureDeferred
async def test_a_node_that_lags(server):
    """It may become the scribe: what it comes to know late is not written again."""
    async with cluster(server, "one") as nodes:
        one = nodes.all[0]
        late = nodes.add("late")
        happens(nodes.all, 1, says(1))
        happens([one], 2, says(2), lambda store: store.keep_letter(letter(2)))
        happens([one], 3, lambda store: store.keep(ROOM), lambda store: store.erase(7))
        await nodes.written(one)
        assert await one.store.letters("@bob") == [letter(2)]
        one.store.drop_letters("@bob", 2)
        await one.store.close()
        await nodes.chosen("late")
        assert await late.shows() == [1]
        late.apply(2, says(2), lambda store: store.keep_letter(letter(2)))
        late.apply(3, lambda store: store.keep(ROOM), lambda store: store.erase(7))
        late.apply(4, says(4))
        await nodes.written(late)
        assert nodes.lines() == [1, 2, 4]
        assert await late.store.letters("@bob") == []
        assert server.ask("HGETALL", "tcpchat:rooms") == []


@pytest_twisted.ensureDeferred
async def test_letters_that_are_dropped_before_they_are_written(server):
    """They are not kept later on, whoever writes by then; newer ones are."""
    async with cluster(server) as nodes:
        one = nodes.add("one", begin=5)
        await until(lambda: one.link.is_up, "a link")
        server.ask("SET", "tcpchat:scribe", "somebody who writes nothing")
        one.apply(6, lambda store: store.keep_letter(letter(6)))
        assert await one.store.letters("@bob") == [letter(6)]
        one.store.drop_letters("@bob", 1 << 63)
        assert await one.store.letters("@bob") == []
        one.apply(7, lambda store: store.keep_letter(letter(7)))
        server.ask("DEL", "tcpchat:scribe")
        await nodes.written()
        assert server.ask("ZCARD", "tcpchat:letters:@bob") == 1
        assert await one.store.letters("@bob") == [letter(7)]


@pytest_twisted.ensureDeferred
async def test_letters_are_dropped_after_an_outage(server):
    """What could not be done at once is done as soon as the server is there again."""
    async with cluster(server, "one") as nodes:
        one = nodes.all[0]
        one.apply(1, lambda store: store.keep_letter(letter(1)))
        await nodes.written()
        server.kill()
        await until(lambda: not one.link.is_up, "the loss")
        one.store.drop_letters("@bob", 1)
        server.start()
        await until(lambda: server.ask("ZCARD", "tcpchat:letters:@bob") == 0, "none any more")


@pytest_twisted.ensureDeferred
async def test_a_newcomer_gives_precedence(server):
    """Who has begun after what is written does not write while somebody may know more."""
    async with cluster(server, "one") as nodes:
        one = nodes.all[0]
        one.apply(40, says(40))
        await nodes.written()
        await one.store.close()
        server.ask("SET", "tcpchat:scribe", "somebody", "PX", 200)
        newcomer = nodes.add("newcomer", begin=50)
        knows = nodes.add("knows", begin=40)
        knows.apply(45, says(45))
        for node in (newcomer, knows):
            node.apply(51, says(51))
        await nodes.chosen("knows")
        await nodes.written(newcomer, knows)
        assert nodes.lines() == [40, 45, 51]
        await knows.store.close()
        await nodes.chosen("newcomer")  # at once, for now it knows enough


@pytest_twisted.ensureDeferred
async def test_a_newcomer_goes_on_at_last(server, log):
    """If nobody comes forward who knows more, it writes; that something is missing is logged."""
    async with cluster(server, "one") as nodes:
        nodes.all[0].apply(40, says(40))
        await nodes.written()
        await nodes.all[0].store.close()
        newcomer = nodes.add("newcomer", begin=50)
        newcomer.apply(51, says(51))
        await nodes.written(newcomer)
        assert nodes.lines() == [40, 51]
        assert "nobody has written to Redis what happened from 40 to 50" in log
        await until(lambda: nodes.scribe() is newcomer, "the newcomer to write")


@pytest_twisted.ensureDeferred
async def test_nobody_writes_before_they_begin(server):
    """A node that does not know yet what happens does not become the scribe."""
    async with cluster(server) as nodes:
        node = Node(server, "early")
        nodes.all.append(node)
        node.link.start()
        assert node.store.open() == Kept()
        await until(lambda: node.link.is_up, "a link")
        assert await node.store.kept() == Kept()
        assert nodes.scribe() is None
        node.store.begin(0)
        await nodes.chosen("early")


class Troubles:
    """Has events happen on nodes that come and go, lag and lose their links, by chance."""

    def __init__(self, nodes, chance):
        self.nodes, self.chance = nodes, chance
        self.last = 0

    async def go_on(self):
        """Do one thing or the other."""
        self.last += self.chance.randrange(50)
        for node in self.nodes.all:
            self.catch_up(node, self.chance.randint(node.applied, self.last))
        does = [self.break_links, self.hang, self.restart, self.move, self.leave, self.turn]
        await self.chance.choice(does)()

    def catch_up(self, node, until_):
        for number in range(node.applied + 1, until_ + 1):
            node.apply(number, says(number), lambda store, n=number: store.note(deed(n)))

    async def turn(self):
        await until(lambda: any(node.link.is_up for node in self.nodes.all), "a link")

    async def break_links(self):
        self.nodes.server.ask("CLIENT", "KILL", "TYPE", "normal")

    async def hang(self):
        self.nodes.server.pause()
        await self.go_on_without()
        self.nodes.server.resume()

    async def restart(self):
        self.nodes.server.kill()
        await self.go_on_without()
        self.nodes.server.start()

    async def go_on_without(self):
        self.last += 20
        for node in self.nodes.all:
            self.catch_up(node, self.last)

    async def move(self):
        """Have another process go on as one of the nodes."""
        node = self.chance.choice(self.nodes.all)
        left = json.loads(json.dumps(await node.store.release()))
        await node.link.stop()
        self.nodes.all.remove(node)
        self.nodes.add(node.name, left=left).applied = node.applied

    async def leave(self):
        """Have a node go, in order or not, and another come; one of them stays."""
        node = self.chance.choice([one for one in self.nodes.all if one.name != "one"])
        if self.chance.random() < 0.5:
            await node.store.close()
        await node.link.stop()
        self.nodes.all.remove(node)
        self.nodes.gone.append(node)
        self.nodes.add(f"{node.name}'", begin=self.last)


@pytest.mark.parametrize("seed", range(8))
@pytest_twisted.ensureDeferred
async def test_whatever_happens(server, seed):
    """As long as one node has known everything, everything is written, once."""
    async with cluster(server, "one", "two", "three") as nodes:
        troubles = Troubles(nodes, Random(seed))
        for _ in range(30):
            await troubles.go_on()
        for node in nodes.all:
            troubles.catch_up(node, troubles.last)
        await nodes.written()
        assert nodes.lines() == list(range(1, troubles.last + 1))
        assert server.ask("ZCARD", "tcpchat:audit") == troubles.last


# When Redis fails


@pytest_twisted.ensureDeferred
async def test_an_outage(server):
    """The chat goes on meanwhile; what was said then is there afterwards, once."""
    async with cluster(server, "one", "two") as nodes:
        happens(nodes.all, 1, says(1))
        await nodes.written()
        server.kill()
        await until(lambda: not any(node.link.is_up for node in nodes.all), "the loss")
        for number in range(2, 1501):
            happens(nodes.all, number, says(number))
        for node in nodes.all:
            assert node.store.backlog == 0
            assert node.store.condition() == [
                "Redis cannot be reached: what is said is kept in memory until it can",
                "1499 changes are not known to be kept there yet",
            ]
            with pytest.raises(ChatError, match="what was kept before cannot be read now"):
                await node.shows()
            with pytest.raises(ChatError, match=r"cannot be kept now\. try again later"):
                await node.store.keep_account(RECORD)
            with pytest.raises(ChatError, match=r"cannot be kept now\. try again later"):
                await node.store.drop_account(RECORD.id)
            with pytest.raises(StateError, match="cannot be read"):
                await node.store.kept()
        server.start()
        await nodes.written()
        assert nodes.lines() == list(range(1, 1501))
        assert [node.emptied for node in nodes.all] == [0, 0]


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_emptied(server, log):
    """The chat goes on, and what it knows is kept anew by one of the nodes."""
    async with cluster(server, "one", "two") as nodes:
        happens(nodes.all, 1, says(1))
        await nodes.written()
        server.flushall()
        happens(nodes.all, 2, says(2))
        await until(lambda: server.ask("HLEN", "tcpchat:rooms"), "the room")
        happens(nodes.all, 3, says(3))
        await nodes.written()
        assert nodes.lines()[-2:] == [2, 3]
        assert sum(node.emptied for node in nodes.all) == 1
        assert log.count("Redis has lost what was kept there") == 1
        assert (await nodes.all[0].store.kept()).rooms == (ROOM,)


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_full(server, logged_failures):
    """Nothing is lost while it takes nothing, and that is told."""
    async with cluster(server, "one") as nodes:
        one = nodes.all[0]
        server.ask("CONFIG", "SET", "maxmemory", 1)
        one.apply(1, says(1))
        await until(lambda: "OOM" in one.store.condition()[0], "the trouble to be told")
        assert one.store.backlog == 0
        assert nodes.lines() == []
        server.ask("CONFIG", "SET", "maxmemory", 0)
        await nodes.written()
        assert nodes.lines() == [1]
        assert [event["log_format"] for event in logged_failures.events] == [
            "Redis does not keep what is said: {why}"
        ]
        logged_failures.events.clear()


@pytest_twisted.ensureDeferred
async def test_something_else_lies_there(server, logged_failures):
    """One statement that cannot be carried out holds up no other."""
    async with cluster(server, "one") as nodes:
        server.ask("SET", "tcpchat:lines:1", "something else")
        nodes.all[0].apply(1, says(1), lambda store: store.keep(ROOM))
        nodes.all[0].apply(2, says(2, room=2))
        await nodes.written()
        assert nodes.lines(2) == [2]
        assert server.ask("HLEN", "tcpchat:rooms") == 1
        assert "WRONGTYPE" in logged_failures.events[0]["wrong"]
        logged_failures.events.clear()


@pytest_twisted.ensureDeferred
async def test_too_much_waits(server, monkeypatch):
    """So much is held and no more; but who is forgotten is forgotten."""
    monkeypatch.setattr("twisted_chat.state.redis_pending.HELD", 5000)
    async with cluster(server, "one") as nodes:
        one = nodes.all[0]
        server.kill()
        await until(lambda: not one.link.is_up, "the loss")
        for number in range(1, 101):
            one.apply(number, says(number))
        one.apply(101, lambda store: store.forget(ANN.identity, 3))
        held = int(one.store.condition()[1].split()[0]) - 1
        assert 5 < held < 20
        lost = f"{100 - held} changes could not be kept since the start"
        assert one.store.condition()[2] == lost
        server.start()
        await until(lambda: len(one.store.condition()) == 2, "what waits to be kept")
        assert one.store.condition()[1] == lost
        assert await one.shows() == list(range(4, held + 1))


# What is kept no longer


@pytest_twisted.ensureDeferred
async def test_who_is_forgotten_is_gone_for_good(server, monkeypatch):
    """Nothing of them is shown from then on, and soon nothing is left, whoever sees to that."""
    monkeypatch.setattr("twisted_chat.state.redis_sweeping.SLICE", 10)
    async with cluster(server, "one", "two") as nodes:
        for number in range(1, 601):
            who = BOB if number % 3 else ANN
            happens(nodes.all, number, says(number, room=number % 5, who=who))
        await nodes.written()
        happens(nodes.all, 601, lambda store: store.forget(BOB.identity, 601))
        for node in nodes.all:
            assert await node.shows(1) == list(range(6, 601, 15))
        await until(lambda: server.ask("HLEN", "tcpchat:forgotten"), "it to be written")
        dead = await until(nodes.scribe, "a scribe")
        await dead.die()
        [other] = [node for node in nodes.all if node is not dead]
        other.apply(602, says(602, who=BOB))
        assert (await other.shows(1))[-1] == 602
        await until(lambda: not server.ask("HLEN", "tcpchat:forgotten"), "nobody to be left")
        left = [one for room in range(5) for one in nodes.lines(room)]
        assert sorted(left) == [*range(3, 601, 3), 602]


@pytest_twisted.ensureDeferred
async def test_forgotten_anew_meanwhile(server):
    """Who is forgotten again while they are being forgotten loses the rest as well."""
    async with cluster(server, "one") as nodes:
        one = nodes.all[0]
        for number in range(1, 301):
            one.apply(number, says(number), lambda store, n=number: store.forget(ANN.identity, n))
        await nodes.written()
        await until(lambda: not server.ask("HLEN", "tcpchat:forgotten"), "nobody to be left")
        assert nodes.lines() == []


@pytest_twisted.ensureDeferred
async def test_so_many_lines_are_kept(server):
    """The eldest of a room make way, and an erased room is gone."""
    async with cluster(server, "one", keep_lines=100) as nodes:
        one = nodes.all[0]
        for number in range(1, 1001):
            one.apply(number, says(number, room=number % 2))
        await nodes.written()
        assert nodes.lines(0) == list(range(802, 1001, 2))
        assert nodes.lines(1) == list(range(801, 1001, 2))
        one.store.keep_for(1e10, 10)
        one.apply(1001, says(1001), lambda store: store.erase(0))
        await nodes.written()
        assert nodes.lines(1) == list(range(983, 1002, 2))
        assert not server.ask("EXISTS", "tcpchat:lines:0")


@pytest_twisted.ensureDeferred
async def test_a_scribe_that_has_missed_something_writes_no_more(server):
    """It begins anew, and what only the others know is written by one of them."""
    async with cluster(server, "one", "two", "three") as nodes:
        scribe = await until(nodes.scribe, "a scribe")
        others = [node for node in nodes.all if node is not scribe]
        for number in (1, 2):
            for node in nodes.all:
                node.apply(number, says(number))
        await nodes.written()
        for number in (3, 4, 5):
            for node in others:
                node.apply(number, says(number))
        scribe.applied = 6  # it is told what came of these, but not of these themselves
        scribe.store.begin(6)
        for node in others:
            node.apply(6)
        for number in (7, 8):
            for node in nodes.all:
                node.apply(number, says(number))
        await nodes.written()
        assert nodes.lines() == [1, 2, 3, 4, 5, 7, 8]


@pytest_twisted.ensureDeferred
async def test_who_has_missed_something_waits_for_it(server):
    """What others have yet to write is in the history that a node gives which begins anew."""
    async with cluster(server, "one", "two") as nodes:
        scribe = await until(nodes.scribe, "a scribe")
        [other] = [node for node in nodes.all if node is not scribe]
        for node in nodes.all:
            node.apply(1, says(1))
        await nodes.written()
        for number in (2, 3):
            other.apply(number, says(number))
        other.apply(4)
        scribe.applied = 4
        scribe.store.begin(4)
        assert await scribe.shows() == [1, 2, 3]


@pytest_twisted.ensureDeferred
async def test_it_waits_not_for_ever(server):
    """If nobody writes it, the history is what there is."""
    async with cluster(server, "one") as nodes:
        [one] = nodes.all
        one.apply(1, says(1))
        await nodes.written()
        one.applied = 4
        one.store.begin(4)
        begin = reactor.seconds()
        assert await one.shows() == [1]
        assert reactor.seconds() - begin < 2


@pytest_twisted.ensureDeferred
async def test_what_is_too_old(server, monkeypatch):
    """It is erased from time to time, in all rooms."""
    monkeypatch.setattr("twisted_chat.state.redis_sweeping.TIDY_SECONDS", 0.0)
    now = reactor.seconds()
    async with cluster(server, "one", keep_seconds=1000) as nodes:
        one = nodes.all[0]
        for number in range(1, 601):
            age = 2000 if number < 500 else 10
            one.apply(number, says(number, room=number % 25, time=now - age))
        one.apply(601, says(601, room=77, time=now - 2000))
        await until(lambda: not server.ask("EXISTS", "tcpchat:lines:77"), "all to be erased")

        def left():
            return sorted(one for room in range(25) for one in nodes.lines(room))

        await until(lambda: left() == list(range(500, 601)), "all to be erased, and nothing else")
        await until(lambda: server.ask("ZCARD", "tcpchat:eldest") == 25, "all to be known")


# What is read


@pytest_twisted.ensureDeferred
async def test_what_is_kept(server):
    """Rooms, places and the last id come back whole."""
    place = Place("@ann", "ann", 7, "tea", 5.0, None, {"zone": "UTC"}, Gone(3, 4.0, 9.0))
    async with cluster(server, "one", "two") as nodes:
        one = nodes.all[0]
        happens(
            nodes.all,
            9,
            lambda store: store.keep(ROOM),
            lambda store: store.keep(ROOM._replace(id=8)),
            lambda store: store.keep_place(place),
            lambda store: store.keep_place(place._replace(account="@bob")),
        )
        happens(nodes.all, 10, lambda store: store.erase(8), lambda store: store.drop_place("@bob"))
        happens(nodes.all, 17)
        await nodes.written()
        await until(lambda: server.ask("GET", "tcpchat:scribed") == b"17 0", "the last id")
        assert await one.store.kept() == Kept(17, (ROOM,), (place,))


@pytest_twisted.ensureDeferred
async def test_a_node_shows_what_it_knows(server):
    """What others know already is not shown before it has happened here."""
    async with cluster(server, "one") as nodes:
        late = nodes.add("late")
        happens(nodes.all, 1, says(1))
        happens(nodes.all[:1], 2, says(2))
        await nodes.written(nodes.all[0])
        assert nodes.lines() == [1, 2]
        await until(lambda: late.link.is_up, "a link")
        assert await late.shows() == [1]
        late.apply(2, says(2))
        assert await late.shows() == [1, 2]


@pytest_twisted.ensureDeferred
async def test_a_long_search(server):
    """It looks far back, but not at everything."""
    async with cluster(server, "one") as nodes:
        one = nodes.all[0]
        one.apply(1, lambda store: store.record(line(1, "needle")))
        one.apply(2, lambda store: store.record(line(2, "Needle")))
        for number in range(3, 20_002):
            one.apply(number, says(number))
        await nodes.written()
        assert [found.id for found in await one.store.search(1, ["needle"], 5)] == [2]
        assert await one.store.search(1, ["haystack"], 5) == []


# Accounts


async def both(*asked):
    """Ask two at once; give what was refused."""
    results = await DeferredList([Deferred.fromCoroutine(one) for one in asked], consumeErrors=True)
    return [str(result.value) for succeeded, result in results if not succeeded]


@pytest_twisted.ensureDeferred
async def test_two_who_want_one_name(server):
    """Of accounts that are made at once on two nodes, under names that look alike, one is made."""
    async with cluster(server, "one", "two") as nodes:
        one, two = (node.store for node in nodes.all)
        ann, anna = (RECORD._replace(id=f"@{name}", name=name) for name in ("lain", "Iain"))
        anna = anna._replace(id="@iain")
        refused = await both(one.keep_account(ann), two.keep_account(anna))
        assert refused in (
            ['"Iain" looks like "lain", which is registered'],
            ['"lain" looks like "Iain", which is registered'],
        )
        assert len(server.ask("HKEYS", "tcpchat:accounts")) == 1


@pytest_twisted.ensureDeferred
async def test_two_who_want_the_same_name(server):
    """The first has it; its password can be changed afterwards, on any node."""
    async with cluster(server, "one", "two") as nodes:
        one, two = (node.store for node in nodes.all)
        other = RECORD._replace(secret="other", since=RECORD.since + 1)
        refused = await both(one.keep_account(RECORD), two.keep_account(other))
        assert refused == ['"Żółw" is registered already']
        kept = await one.account(["żółw"])
        assert kept in (RECORD, other)
        await two.keep_account(kept._replace(secret="new"))
        assert (await one.account(["żółw"])).secret == "new"


@pytest_twisted.ensureDeferred
async def test_an_account_from_before_there_were_keys(server):
    """It has none, can be given some, and is dropped with all the keys of its name."""
    async with cluster(server, "one") as nodes:
        store = nodes.all[0].store
        await store.keep_account(RECORD)
        old = json.loads(server.ask("HGET", "tcpchat:accounts", RECORD.id))[:5]
        server.ask("HSET", "tcpchat:accounts", RECORD.id, json.dumps(old))
        assert await store.account(["żółw"]) == RECORD
        with_keys = RECORD._replace(ssh_keys=("SHA256:b/+", "SHA256:a"))
        await store.keep_account(with_keys)
        assert await store.account(["żółw"]) == with_keys
        assert json.loads(server.ask("HGET", "tcpchat:accounts", RECORD.id))[:5] == old
        await store.drop_account(RECORD.id)
        assert server.ask("HKEYS", "tcpchat:account_keys") == []


# Another process goes on


@pytest.mark.parametrize("is_there", [True, False])
@pytest_twisted.ensureDeferred
async def test_another_process_goes_on(server, is_there):
    """It takes over what waits and writes it, with or without a server at that moment."""
    async with cluster(server, "one") as nodes:
        one = nodes.all[0]
        one.apply(1, says(1))
        await nodes.written()
        if not is_there:
            server.kill()
            await until(lambda: not one.link.is_up, "the loss")
        one.apply(2, says(2), lambda store: store.keep(ROOM), lambda store: store.note(deed(2)))
        one.store.drop_letters("@bob", 2)
        left = await one.store.release()
        assert bool(left["pending"]) == (not is_there)
        await one.link.stop()
        if is_there:
            assert nodes.scribe() is None
        else:
            server.start()
        heir = nodes.add("heir", left=left)
        heir.apply(3, says(3))
        await nodes.written(heir)
        assert nodes.lines() == [1, 2, 3]
        assert (await heir.store.kept()).rooms == (ROOM,)
        assert await heir.store.deeds(5) == [deed(2)]
        heir.apply(3, says(3))
        assert await heir.shows() == [1, 2, 3]


@pytest_twisted.ensureDeferred
async def test_who_ends_while_it_becomes_the_scribe(server):
    """It is none when it has ended: another one need not wait."""
    async with cluster(server, "one") as nodes:
        one = nodes.all[0]
        await nodes.chosen("one")
        server.ask("DEL", "tcpchat:scribe")
        scribe = one.store._scribe
        await until(lambda: not scribe._is_looking, "the end of a look")
        scribe.is_scribe = False
        scribe._look_soon()
        await scribe.stop(1.0)
        await until(lambda: not scribe._is_looking, "the end of a look")
        assert nodes.scribe() is None


@pytest_twisted.ensureDeferred
async def test_it_goes_on_after_all(server):
    """If the other process does not take over, this one writes again."""
    async with cluster(server, "one") as nodes:
        one = nodes.all[0]
        await one.store.release()
        assert nodes.scribe() is None
        one.store.regain()
        one.apply(1, says(1))
        await nodes.written()
        assert nodes.lines() == [1]
