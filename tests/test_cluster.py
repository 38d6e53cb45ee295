"""Many nodes, one chat: real processes, and a real Redis server that comes and goes."""

import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import LEASE, Cluster, eventually, rest
from real import VERSION, WELCOME, Chat, Peer, wait_until

pytestmark = [pytest.mark.real, pytest.mark.long]

PASSWORD = "correct horse"


@pytest.fixture
def cluster(tmp_path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as cluster:
        yield cluster


def enters(node: Chat, name: str, room: str = "tea") -> Peer:
    """Have someone enter a room, and read what that brings."""
    peer = node.connect(greeted=False)
    peer.say(f"/nick {name}", f"/join {room}")
    while not peer.read().startswith("> here: "):
        pass
    return peer


def registers(node: Chat, name: str) -> Peer:
    peer = enters(node, name)
    peer.say(f"/register {PASSWORD}")
    while "brings you back" not in peer.read():
        pass
    return peer


class Talker:
    """Says numbered lines at a pace, in a thread, and keeps what all of the others say."""

    def __init__(self, node: Chat, name: str, rate: float) -> None:
        self.name, self._rate = name, rate
        self._peer = enters(node, name)
        self.heard: list[str] = []
        self.said = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._talk, self._listen)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def _talk(self) -> None:
        while not self._stop.wait(1 / self._rate):
            self._peer.say(f"{self.name} {self.said}")
            self.said += 1

    def _listen(self) -> None:
        while True:
            line = self._peer.read()
            if line.startswith("> twisted-chat"):
                return
            self.heard.append(line)

    def stop(self) -> None:
        """Say nothing more."""
        self._stop.set()
        self._threads[0].join()

    def finish(self) -> None:
        """Hear everything to the end."""
        self._peer.say("/version")
        self._threads[1].join()

    def lines(self, of: str) -> list[int]:
        """Give the numbers of the lines that somebody has said, as they were heard."""
        said = re.compile(rf"> {of}: {of} (\d+)")
        return [int(found[1]) for line in self.heard if (found := said.fullmatch(line))]


def in_one_order(talkers: list[Talker]) -> None:
    """See that all have heard the lines of any two in one order."""
    said = re.compile(r"> (\w+): \1 \d+")
    orders = [[line for line in talker.heard if said.fullmatch(line)] for talker in talkers]
    for one, mine in zip(talkers, orders, strict=True):
        for other, theirs in zip(talkers, orders, strict=True):
            left = [line for line in mine if not line.startswith(f"> {other.name}:")]
            right = [line for line in theirs if not line.startswith(f"> {one.name}:")]
            assert left == right


def test_a_conversation(cluster):
    """Rooms, names, private lines and accounts are one, whichever node one is on."""
    a, b, c = cluster.nodes
    ann, bob = enters(a, "ann"), enters(b, "bob")
    ann.expect("> bob joined the room")
    cyd = c.connect(greeted=False)
    cyd.expect(WELCOME.format("anonymous"))
    cyd.asks("/nick ann", 'err: "ann" is taken')
    cyd.asks("/nick cyd", "> all right, I will call you cyd")
    cyd.asks("/rooms", "> available rooms: tea")
    cyd.asks("/who tea", "> in tea: ann, bob")
    ann.say("hello", "/tell cyd hi", "/topic leaves")
    ann.expect("> [you -> cyd] hi", "> ann set the topic: leaves")
    bob.expect("> ann: hello", "> ann set the topic: leaves")
    cyd.expect("> [ann -> you] hi")
    cyd.asks("/reply yes", "> [you -> ann] yes")
    ann.expect("> [cyd -> you] yes")
    cyd.asks("/join tea", "> welcome to tea", "> topic: leaves", "> here: ann, bob, cyd")
    ann.say("/history")
    ann.expect("> cyd joined the room")
    assert ann.read().endswith("] ann: hello")
    bob.expect("> cyd joined the room")
    bob.say("/quit")
    bob.expect_end("> sad to see you go =(")
    cyd.expect("> bob has left the room")


def test_accounts_order_and_grace_across_nodes(cluster):
    """Who logs in elsewhere goes on there; who is kicked or gone is so on all nodes."""
    a, b, c = cluster.nodes
    ann, bob = registers(a, "ann"), enters(b, "bob")
    ann.expect("> bob joined the room")
    again = c.connect(greeted=False)
    again.read()
    again.asks(f"/login ann {PASSWORD}", "> welcome back, ann. you are logged in, in tea")
    ann.expect_end("err: you have logged in elsewhere, and go on there. goodbye")
    again.say("here now")
    bob.expect("> ann: here now")
    again.reset()
    wait_until(lambda: gone(bob), "a place that is kept")
    eve = enters(c, "eve")
    bob.say("missed")
    eve.expect("> bob: missed")
    back = a.connect(greeted=False)
    back.read()
    back.asks(f"/login ann {PASSWORD}", "> welcome back, ann. you are logged in, in tea")
    assert back.read().endswith("and missed 1 line:")
    assert back.read().endswith("] bob: missed")


def gone(peer: Peer) -> bool:
    """Tell whether somebody in the room is marked as gone."""
    peer.say("/who")
    return "gone" in peer.read()


@pytest.fixture
def lasting(tmp_path) -> Iterator[Cluster]:
    """Give a cluster whose Redis keeps what it has on disk."""
    with Cluster(tmp_path, appendonly=True) as cluster:
        yield cluster


def test_redis_is_killed_under_load(lasting, capsys):
    """It is away for three seconds: every node shows every line, once, in the same order."""
    cluster = lasting
    talkers = [Talker(node, name, 500) for node, name in zip(cluster.nodes, "xyz", strict=True)]
    for talker in talkers:
        talker.start()
    wait_until(lambda: all(len(one.heard) > 200 for one in talkers), "a conversation")
    cluster.redis.kill()
    time.sleep(3)  # what is tested is an absence of that length
    cluster.redis.start()
    before = [len(one.heard) for one in talkers]
    wait_until(
        lambda: all(
            len(one.heard) > so_far + 1000 for one, so_far in zip(talkers, before, strict=True)
        ),
        "the conversation to go on",
    )
    for talker in talkers:
        talker.stop()
    for talker in talkers:
        for other in talkers:
            if other is not talker:
                wait_until(
                    lambda one=talker, other=other: len(one.lines(other.name)) >= other.said,
                    "the last line",
                )
    for talker in talkers:
        talker.finish()
    for talker in talkers:
        assert not [line for line in talker.heard if line.startswith("err:")]
        for other in talkers:
            if other is not talker:
                assert talker.lines(other.name) == list(range(other.said))
    in_one_order(talkers)
    with capsys.disabled():
        print(f"\n{sum(one.said for one in talkers)} lines, none lost, doubled or reordered")  # noqa: T201


def test_a_node_is_killed(cluster):
    """Its names are free when its lease is over, and each of its people leaves once."""
    a, b, c = cluster.nodes
    enters(a, "ann")
    registers(a, "dot")
    bob, cyd = enters(b, "bob"), enters(c, "cyd")
    bob.expect("> cyd joined the room")
    a.signal(signal.SIGKILL)
    bob.asks("/nick ann", 'err: "ann" is taken')
    bob.expect("> ann has left the room")
    cyd.expect("> ann has left the room")
    wait_until(lambda: gone(cyd), "a place that is kept")
    bob.asks("/nick ann", "> all right, I will call you ann")
    back = b.connect(greeted=False)
    back.read()
    back.asks(f"/login dot {PASSWORD}", "> welcome back, dot. you are logged in, in tea")
    assert "left" not in "".join(rest(bob) + rest(cyd))


def test_a_node_is_paused_for_too_long(cluster):
    """It is fenced: no line of it is doubled, and whoever has lost a name is told and renamed."""
    a, b, _ = cluster.nodes
    ann, eve = enters(a, "ann"), enters(a, "eve")
    bob = enters(b, "bob")
    ann.expect("> eve joined the room", "> bob joined the room")
    eve.expect("> bob joined the room")
    a.signal(signal.SIGSTOP)
    ann.say("while it was away")
    seen = [bob.read() for _ in range(2)]
    assert sorted(seen) == ["> ann has left the room", "> eve has left the room"]
    bob.asks("/nick ann", "> all right, I will call you ann")
    bob.say("meanwhile")
    a.signal(signal.SIGCONT)
    told = {ann.read() for _ in range(2)}
    assert told == {
        "err: not sent: link lost",
        "> ann is somebody else by now. you are anonymous",
    }
    eventually(bob, "/who", "> here: ann, anonymous, eve")
    eve.say("back")
    while (line := bob.read()) != "> eve: back":
        assert "while it was away" not in line
    shown = rest(eve)
    assert shown.count("> meanwhile:") == 1
    assert len([line for line in shown if line.endswith("] ann: meanwhile")]) == 1
    eventually(eve, "/who", "> here: ann, anonymous, eve")


@pytest.mark.parametrize("appendonly", [True, False])
def test_redis_is_away_for_longer(tmp_path, appendonly):
    """People stay, are told once, are refused what they say, and told when it is over."""
    with Cluster(tmp_path, 2, lease=30, appendonly=appendonly) as cluster:
        a, b = cluster.nodes
        ann, bob = enters(a, "ann"), enters(b, "bob")
        ann.expect("> bob joined the room")
        cluster.redis.kill()
        ann.expect("> link lost: lines are not going out")
        bob.expect("> link lost: lines are not going out")
        ann.asks("hello?", "err: not sent: link lost")
        ann.asks("/join den", "err: not sent: link lost")
        ann.asks("/who", "> here: ann, bob")
        ann.asks("/version", VERSION)
        with b.connect(greeted=False) as cyd:  # who goes again before anything goes out
            cyd.expect("> link lost: lines are not going out. /quit leaves")
            cyd.asks("/quit", "> sad to see you go =(")
            cyd.expect_end()
        cluster.redis.start()
        for peer in (ann, bob):
            while peer.read() != "> the link is back: lines are going out again":
                pass
        for node in cluster.nodes if not appendonly else ():  # it has forgotten everything
            node.wait_for_log("takes part, beside", 2)
        eventually(ann, "/who", "> here: ann, bob")
        eventually(bob, "/who", "> here: ann, bob")
        ann.say("there you are")
        while bob.read() != "> ann: there you are":
            pass


def test_a_node_falls_behind(tmp_path):
    """It says so to its people, and fills in what was said from the history of the room."""
    with Cluster(tmp_path, 2, lease=30) as cluster:
        a, b = cluster.nodes
        ann, bob = enters(a, "ann"), enters(b, "bob")
        ann.expect("> bob joined the room")
        b.signal(signal.SIGSTOP)
        for number in range(4):  # it is given the first of these, before it is stopped
            ann.say(str(number))
            rest(ann)
        lines = f"tcpchat:lines:{room_of(cluster)}"
        wait_until(lambda: cluster.redis.ask("ZCARD", lines) == 4, "the lines to be kept")
        cluster.redis.ask("XTRIM", "tcpchat:events", "MAXLEN", 1)
        b.signal(signal.SIGCONT)
        b.wait_for_log("this node begins anew, for")
        bob.expect("> ann: 0", "> meanwhile:")
        assert [bob.read()[-8:] for _ in range(3)] == ["] ann: 1", "] ann: 2", "] ann: 3"]
        eventually(bob, "/who", "> here: ann, bob")
        ann.say("four")
        while bob.read() != "> ann: four":
            pass


def room_of(cluster: Cluster) -> str:
    """Give the id of the one room that is kept."""
    return wait_until(lambda: cluster.redis.ask("HKEYS", "tcpchat:rooms"), "a kept room")[
        0
    ].decode()


def test_the_stream_is_emptied(cluster):
    """All nodes have to begin anew at once, and none waits for another for ever."""
    peers = [enters(node, name) for node, name in zip(cluster.nodes, "xyz", strict=True)]
    cluster.redis.ask("XTRIM", "tcpchat:events", "MAXLEN", 0)
    for node in cluster.nodes:
        node.wait_for_log("takes part, beside", 2)
    for peer in peers:
        eventually(peer, "/who", "> here: x, y, z")
    peers[0].say("/nick xx", "/topic anew")
    for peer in peers:
        eventually(peer, "/topic", "> topic: anew")
        eventually(peer, "/who", "> here: xx, y, z")


def test_redis_is_emptied(cluster):
    """Rooms, topics and names stay, for the nodes know them; new people are told apart."""
    a, b, c = cluster.nodes
    ann, bob, cyd = enters(a, "ann"), enters(b, "bob"), enters(c, "cyd")
    ann.say("/topic leaves")
    cyd.expect("> ann set the topic: leaves")
    cluster.redis.flushall()
    for node in cluster.nodes:
        node.wait_for_log("this node begins anew")
        node.wait_for_log("takes part, beside", 2)
    for peer in (ann, bob, cyd):
        eventually(peer, "/who", "> here: ann, bob, cyd")
    assert not [line for line in rest(bob) if "joined" in line or "left" in line]
    ann.say("still here")
    while bob.read() != "> ann: still here":
        pass
    eventually(cyd, "/topic", "> topic: leaves")
    dot = c.connect(greeted=False)
    dot.read()
    dot.asks("/nick bob", 'err: "bob" is taken')


def test_redis_has_lost_its_tail(tmp_path):
    """An append-only file that was cut off: the nodes notice, and agree again."""
    with Cluster(tmp_path, 3, appendonly=True) as cluster:
        peers = [enters(node, name) for node, name in zip(cluster.nodes, "xyz", strict=True)]
        for number in range(20):
            peers[0].say(f"/topic {number}")
        for peer in peers:  # who has not heard of it would not notice that it is gone
            eventually(peer, "/topic", "> topic: 19")
        cluster.redis.kill()
        cut_off(tmp_path / "redis")
        cluster.redis.start()
        for node in cluster.nodes:
            node.wait_for_log("this node begins anew, for")
            node.wait_for_log("takes part, beside", 2)
        for peer in peers:
            eventually(peer, "/who", "> here: x, y, z")
        peers[1].say("/topic anew")
        for peer in peers:
            eventually(peer, "/topic", "> topic: anew")


def cut_off(directory: Path) -> None:
    """Cut the tail off a file to which Redis appends: the last entries of the stream, in a word."""
    [file] = [*directory.glob("appendonly.aof"), *directory.glob("appendonlydir/*.incr.aof")]
    whole = file.read_bytes()
    end = len(whole)
    for _ in range(5):
        end = whole.rindex(b"XADD", 0, end)
    file.write_bytes(whole[:end])


def test_an_operator_is_one_everywhere(cluster):
    """Whom one node was told runs the server on all, until that node goes."""
    a, b, _ = cluster.nodes
    root_of = cluster.add("--operator", "root")
    root_of.wait_for_log("with the code")
    code = re.search(r"with the code (\w+)", root_of.log())[1]
    root = enters(root_of, "root")
    root.say("/register", code, PASSWORD)
    seen = b""
    while b"operator of the server" not in seen:
        seen += root.read_bytes(1)
    again = b.connect(greeted=False)
    again.read()
    again.asks(f"/login root {PASSWORD}", "> welcome back, root. you are logged in, in tea")
    again.expect("> you are an operator of the server. /help tells what you can do")
    ann = enters(a, "ann")
    again.expect("> ann joined the room")
    again.say("/wall hear, hear")
    ann.expect("> announcement by root: hear, hear")


def test_redis_goes_on_with_a_clock_that_is_behind(lasting):
    """Ids do not go by the clock: what is said then comes after what was said before."""
    cluster = lasting
    a, b, _ = cluster.nodes
    ann, bob = enters(a, "ann"), enters(b, "bob")
    ann.say("before")
    bob.expect("> ann: before")
    cluster.redis.kill()
    cluster.redis.start(behind=3600)
    seconds, _ = cluster.redis.ask("TIME")
    assert int(seconds) < time.time() - 3000
    ann.say("after")
    bob.expect("> ann: after")
    bob.say("/history 2")
    assert [bob.read()[-13:], bob.read()[-12:]] == ["] ann: before", "] ann: after"]
    bob.asks("/nick bobby", "> all right, I will call you bobby")
    assert "begins anew" not in a.log() + b.log()


def test_foreign_entries(cluster):
    """What none of us has written to the stream is ignored, however large."""
    a, b, _ = cluster.nodes
    ann, bob = enters(a, "ann"), enters(b, "bob")
    ann.expect("> bob joined the room")
    cluster.redis.ask("XADD", "tcpchat:events", "*", "foreign", "entry")
    ann.say("one")
    bob.expect("> ann: one")
    [[top, _]] = cluster.redis.ask("XREVRANGE", "tcpchat:events", "+", "-", "COUNT", 1)
    number = int(top.partition(b"-")[0])
    cluster.redis.ask("XADD", "tcpchat:events", f"{number + 1}-0", "foreign", "entry")
    ann.say("two")
    bob.expect("> ann: two")
    b.wait_for_log("is not ours, and ignored")
    [node, *_] = cluster.redis.ask("HKEYS", "tcpchat:nodes")
    huge = {"i": node.decode(), "s": 9, "t": 0, "p": number + 2, "k": "p", "e": "x" * 1_000_000}
    pairs = [word for pair in huge.items() for word in pair]
    cluster.redis.ask("XADD", "tcpchat:events", f"{number + 3}-0", *pairs)
    ann.say("three")
    bob.expect("> ann: three")
    b.wait_for_log("an entry of the stream is ignored: an entry of 1000000 bytes")
    assert "begins anew" not in a.log() + b.log()


def test_eight_reapers(tmp_path):
    """However many notice that a node is gone, its people leave once."""
    with Cluster(tmp_path, 8) as cluster:
        enters(cluster.nodes[0], "ann")
        peers = [enters(node, f"p{number}") for number, node in enumerate(cluster.nodes[1:])]
        for number, peer in enumerate(peers):
            peer.expect(*(f"> p{later} joined the room" for later in range(number + 1, len(peers))))
        cluster.nodes[0].signal(signal.SIGKILL)
        for peer in peers:
            peer.expect("> ann has left the room")
        for peer in peers:
            assert rest(peer) == []
        gone_entries = [
            entry
            for entry in cluster.redis.ask("XRANGE", "tcpchat:events", "-", "+")
            if b"gone" in entry[1]
        ]
        assert len(gone_entries) == 1


def test_a_node_is_renewed(cluster):
    """SIGUSR2 for a node of a cluster: it goes on as the incarnation that it is."""
    a, b, _ = cluster.nodes
    ann, bob = enters(a, "ann"), enters(b, "bob")
    ann.expect("> bob joined the room")
    ann.send(b"half a ")
    a.signal(signal.SIGUSR2)
    bob.say("meanwhile")
    a.wait_for_log("went on with 1 connections")
    ann.expect("> bob: meanwhile")
    ann.send(b"line\r\n")
    bob.expect("> ann: half a line")
    bob.say("after")
    ann.expect("> bob: after")
    time.sleep(2 * LEASE)  # for nobody is to be reaped
    assert rest(bob) == []
    enters(a, "cyd")
    bob.expect("> cyd joined the room")


def test_a_node_whose_new_code_is_broken(tmp_path, monkeypatch):
    """It goes on where it was, and the other nodes have noticed nothing."""
    new = tmp_path / "new"
    new.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(new))
    with Cluster(tmp_path, 2) as cluster:
        a, b = cluster.nodes
        ann, bob = enters(a, "ann"), enters(b, "bob")
        ann.expect("> bob joined the room")
        (new / "sitecustomize.py").write_text(
            "import twisted_chat.chat.snapshot as s\n"
            "def load(*_): raise ValueError('what is that')\ns.load = load"
        )
        for times in (1, 2):
            a.signal(signal.SIGUSR2)
            a.wait_for_log("the chat was not handed over to a new process", times)
            ann.say(f"still {times}")
            bob.expect(f"> ann: still {times}")
            bob.say("yes")
            ann.expect("> bob: yes")
        assert "begins anew" not in a.log() + b.log()


def test_a_node_stops_in_order(cluster):
    """Its people leave at once, and the others need not wait for the lease."""
    a, b, _ = cluster.nodes
    ann, bob = enters(a, "ann"), enters(b, "bob")
    ann.expect("> bob joined the room")
    a.signal(signal.SIGTERM)
    bob.expect("> ann has left the room")
    assert a.exit_code() == 0
    entries = cluster.redis.ask("HKEYS", "tcpchat:nodes")
    assert len(entries) == 2


def test_latency(cluster, capsys):
    """From say to shown on another node, at 300 lines a second: measured and printed."""
    a, b, _ = cluster.nodes
    ann, bob = enters(a, "ann"), enters(b, "bob")
    ann.expect("> bob joined the room")
    times = []
    for number in range(600):
        begin = time.perf_counter()
        ann.say(f"line {number}")
        bob.expect(f"> ann: line {number}")
        times.append(time.perf_counter() - begin)
        time.sleep(max(0, 1 / 300 - times[-1]))  # a pace
    times.sort()
    with capsys.disabled():
        p50, p99 = times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000
        print(f"\nsay to shown across nodes: p50 {p50:.2f} ms, p99 {p99:.2f} ms")  # noqa: T201
