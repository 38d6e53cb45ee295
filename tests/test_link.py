"""The link to a Redis server, which is a real one here."""

import gc
from contextlib import asynccontextmanager

import pytest
import pytest_twisted
from doors import make_certificate
from real import free_port
from redis_server import RedisServer, until
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import globalLogPublisher
from twisted.protocols.portforward import ProxyFactory

from twisted_chat.link import Link, LinkError, RedisError, Script, Target

pytestmark = [pytest.mark.real, pytest.mark.redis]
SECRET = "p%C3%A4ss%2Fword%40"
PASSWORD = "päss/word@"


class Watcher:
    """Keeps what it is told of a link."""

    def __init__(self, link):
        self.told = []
        link.watch(lambda: self.told.append("up"), self.told.append)


@asynccontextmanager
async def linked(url, retry=lambda tries: 0.01):
    """Link to a server; give the link and who watches it, once there is anything to tell."""
    link = Link(reactor, Target.parse(url), retry=retry)
    watcher = Watcher(link)
    link.start()
    try:
        await until(lambda: watcher.told, "a connection, or why there is none")
        yield link, watcher
    finally:
        await link.stop()


def together(*calls):
    return gatherResults([Deferred.fromCoroutine(call) for call in calls], consumeErrors=True)


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def log():
    """All that is logged, as text."""
    lines = []

    def observe(event):
        lines.append(f"{event.get('log_format', '').format(**event)} {event}")

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


@pytest.mark.parametrize(
    ("url", "text", "target"),
    [
        ("redis://example.org", "redis://example.org:6379/0", Target("example.org")),
        (
            f"redis://:{SECRET}@example.org:7000/3",
            "redis://example.org:7000/3",
            Target("example.org", 7000, password=PASSWORD, db=3),
        ),
        (
            f"rediss://us%40er:{SECRET}@[::1]/?ca=/etc/ca.pem",
            "rediss://[::1]:6379/0",
            Target("::1", user="us@er", password=PASSWORD, tls=True, ca="/etc/ca.pem"),
        ),
        ("unix:///run/redis?db=2", "unix:///run/redis?db=2", Target(path="/run/redis", db=2)),
        (
            f"unix://user:{SECRET}@/run/redis",
            "unix:///run/redis?db=0",
            Target(path="/run/redis", user="user", password=PASSWORD),
        ),
    ],
)
def test_where_a_server_is(url, text, target):
    """All of a URL is understood; what is shown of it has no password in it."""
    found = Target.parse(url)
    assert found == target
    assert str(found) == repr(found) == f"{found}" == text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org:6379",
        "http://:hidden@example.org",
        "redis://",
        "redis://:hidden@",
        "redis://hidden@example.org",
        "redis://:hid/den@example.org",
        "redis://:hid#den@example.org",
        "redis://:hid?den@example.org",
        "redis://:hidden@example.org:port",
        "redis://:hidden@example.org:70000",
        "redis://:hidden@[::1",
        "redis://:hidden@example.org/one",
        "redis://:hidden@example.org/-1",
        "redis://:hidden@example.org?ca=/etc/ca.pem",
        "rediss://:hidden@example.org?cert=/etc/cert.pem",
        "unix://:hidden@relative/path",
        "unix:relative",
        "unix://:hidden@/run/redis?base=1",
    ],
)
def test_where_no_server_is(url):
    """A wrong URL is refused, in words that do not show the password."""
    with pytest.raises(ValueError, match="Redis") as refused:
        Target.parse(url)
    assert "hid" not in str(refused.value)
    assert "den" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest_twisted.ensureDeferred
async def test_calls(server):
    """What is sent comes back as it was: numbers stay text, and nothing is decoded."""
    async with linked(server.url) as (link, watcher):
        assert link.is_up
        assert watcher.told == ["up"]
        assert link.trouble == ""
        assert await link.call("SET", "key", b"007") == b"OK"
        assert await link.call("GET", "key") == b"007"
        assert await link.call("GET", "none") is None
        assert await link.call("SET", "żółw", "\N{SNOWMAN}\r\n\0") == b"OK"
        assert await link.call("GET", "żółw") == "\N{SNOWMAN}\r\n\0".encode()
        assert await link.call("ZADD", "set", 1.1, b"a", 1 << 52, b"b") == 2
        found = await link.call("ZRANGE", "set", 0, -1, "WITHSCORES")
        assert found == [b"a", b"1.1000000000000001", b"b", b"4503599627370496"]
        assert await link.call("LRANGE", "list", 0, -1) == []


@pytest_twisted.ensureDeferred
async def test_what_the_server_refuses(server):
    """It is told in the server's words, and the connection stays."""
    async with linked(server.url) as (link, watcher):
        await link.call("SET", "key", "text")
        with pytest.raises(RedisError, match="WRONGTYPE"):
            await link.call("LPUSH", "key", 1)
        with pytest.raises(RedisError, match="unknown command"):
            await link.call("SOMETHING")
        assert await link.call("GET", "key") == b"text"
        assert watcher.told == ["up"]


@pytest_twisted.ensureDeferred
async def test_calls_do_not_wait_for_each_other(server):
    """Many are under way at a time, and are carried out in order."""
    async with linked(server.url) as (link, _):
        calls = [link.call("RPUSH", "list", number) for number in range(500)]
        assert await together(*calls) == list(range(1, 501))
        found = await link.call("LRANGE", "list", 0, -1)
        assert found == [b"%d" % number for number in range(500)]


@pytest_twisted.ensureDeferred
async def test_scripts(server):
    """A script is there whenever it is run, after the server has lost it as well."""
    script = Script.of("return {KEYS[1], ARGV[1], ARGV[2] + 1}")
    async with linked(server.url) as (link, _):
        for _ in range(2):
            assert await link.run(script, ["key"], ["\N{SNOWMAN}", 6]) == [
                b"key",
                "\N{SNOWMAN}".encode(),
                7,
            ]
        await link.call("SCRIPT", "FLUSH")
        assert (await link.run(script, ["key"], [b"", 1]))[2] == 2
        assert await link.call("SCRIPT", "EXISTS", script.digest) == [1]
        with pytest.raises(RedisError, match="nonsense"):
            await link.run(Script.of("return nonsense()"), [], [])


@pytest_twisted.ensureDeferred
async def test_a_script_that_is_new_overtakes_nothing(server):
    """Runs are carried out in order from the first one on."""
    script = Script.of("return redis.call('RPUSH', KEYS[1], ARGV[1])")
    async with linked(server.url) as (link, _):
        runs = [link.run(script, ["list"], [number]) for number in range(50)]
        assert await together(*runs) == list(range(1, 51))


@pytest_twisted.ensureDeferred
async def test_a_server_that_hangs(server):
    """A call that takes too long fails, and so do the others; the link is made anew."""
    async with linked(server.url) as (link, watcher):
        server.pause()
        first = Deferred.fromCoroutine(link.call("SET", "key", 1, seconds=0.05))
        second = Deferred.fromCoroutine(link.call("SET", "key", 2, seconds=30))
        for call in (first, second):
            with pytest.raises(LinkError, match=r"no answer within 0\.05 s") as failure:
                await call
            assert failure.value.sent
        assert not link.is_up
        with pytest.raises(LinkError) as failure:
            await link.call("SET", "key", 3)
        assert not failure.value.sent
        assert watcher.told == ["up", "it gave no answer within 0.05 s"]
        server.resume()
        await until(lambda: link.is_up, "another connection")
        assert watcher.told[2:] == ["up"]
        assert await link.call("GET", "key") in (b"1", b"2", None)


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_killed(server):
    """A call under way fails, one made meanwhile was not sent, and then all is well again."""
    async with linked(server.url) as (link, watcher):
        waiting = Deferred.fromCoroutine(link.call("BLPOP", "none", 0, seconds=60))
        server.kill()
        with pytest.raises(LinkError) as failure:
            await waiting
        assert failure.value.sent
        with pytest.raises(LinkError, match="Redis is not there") as failure:
            await link.call("PING")
        assert not failure.value.sent
        await until(lambda: "refused" in link.trouble, "a try in vain")
        server.start()
        await until(lambda: link.is_up, "another connection")
        assert await link.call("PING") == b"PONG"
        assert watcher.told == ["up", watcher.told[1], "up"]


@pytest_twisted.ensureDeferred
async def test_who_asks_again_at_once(server):
    """A call made while others fail is told that it was not sent."""
    async with linked(server.url) as (link, _):
        found = []

        async def ask_again():
            for _ in range(2):
                try:
                    await link.call("BLPOP", "none", 0, seconds=60)
                except LinkError as failure:
                    found.append(failure.sent)

        asking = Deferred.fromCoroutine(ask_again())
        server.ask("CLIENT", "KILL", "TYPE", "normal")
        await asking
        assert found == [True, False]


@pytest_twisted.ensureDeferred
async def test_no_server_at_all():
    """The first try that is in vain is told, once; stopping ends all tries."""
    tries = []
    url = f"redis://127.0.0.1:{free_port()}"
    async with linked(url, retry=lambda number: tries.append(number) or 0.0) as (link, watcher):
        assert len(watcher.told) == 1
        assert "refused" in watcher.told[0]
        await until(lambda: len(tries) > 3, "more tries")
        assert tries == sorted(tries)
        assert len(watcher.told) == 1
        assert not link.is_up


@pytest_twisted.ensureDeferred
async def test_a_call_that_is_given_up(server):
    """Its answer goes nowhere, and not to anyone else."""
    async with linked(server.url) as (link, _):
        await link.call("SET", "key", "text")
        given_up = Deferred.fromCoroutine(link.call("GET", "key"))
        other = Deferred.fromCoroutine(link.call("GET", "none"))
        given_up.addErrback(lambda _: "given up")
        given_up.cancel()
        assert await given_up == "given up"
        assert await other is None
        assert await link.call("GET", "key") == b"text"


@pytest_twisted.ensureDeferred
async def test_stop(server):
    """Whoever still waits gets no answer, nobody is told of a loss, and it can start again."""
    async with linked(server.url) as (link, watcher):
        waiting = Deferred.fromCoroutine(link.call("BLPOP", "none", 0, seconds=60))
        await link.stop()
        await link.stop()
        with pytest.raises(LinkError):
            await waiting
        assert watcher.told == ["up"]
        link.start()
        await until(lambda: link.is_up, "another connection")


@pytest_twisted.ensureDeferred
async def test_stop_while_the_server_hangs(server):
    """A connection that cannot end in order is broken off."""
    async with linked(server.url) as (link, _):
        server.pause()
        waiting = Deferred.fromCoroutine(link.call("SET", "key", "x" * 50_000_000, seconds=60))
        await link.stop()
        with pytest.raises(LinkError):
            await waiting
        server.resume()


@pytest.mark.parametrize("who", ["", "nobody"])
@pytest_twisted.ensureDeferred
async def test_a_wrong_password(tmp_path, log, who):
    """Why there is no connection is told, the password is not, and it tries on."""
    with RedisServer(tmp_path / "redis", password="right-horse") as server:
        url = server.url.replace(":right-horse@", f"{who}:wrong-horse@")
        async with linked(url) as (link, watcher):
            assert "WRONGPASS" in watcher.told[0]
            assert not link.is_up
            server.ask("ACL", "SETUSER", who or "default", "on", ">wrong-horse", "~*", "+@all")
            await until(lambda: link.is_up, "a connection after all")
            assert await link.call("PING") == b"PONG"
        assert watcher.told[1:] == ["up"]
    assert "WRONGPASS" in "".join(log)
    assert "horse" not in "".join(log)
    assert "horse" not in f"{watcher.told} {link.target!r} {link!r}"


@pytest_twisted.ensureDeferred
async def test_a_password(tmp_path):
    """It is needed where the server wants one, and taken."""
    with RedisServer(tmp_path / "redis", password="horse") as server:
        async with linked(server.url) as (link, _):
            assert await link.call("PING") == b"PONG"
        async with linked(server.url.replace(":horse@", "")) as (_, watcher):
            assert "NOAUTH" in watcher.told[0]


@pytest_twisted.ensureDeferred
async def test_a_user_and_a_database(tmp_path):
    """Someone with a name may do what they may; a database that is not there is told."""
    users = "user ann on >secret ~tcpchat:* +@all -@dangerous +info"
    with RedisServer(tmp_path / "redis", configuration=[users]) as server:
        place = f"ann:secret@127.0.0.1:{server.port}"
        async with linked(f"redis://{place}/3") as (link, _):
            assert await link.call("SET", "tcpchat:key", 1) == b"OK"
            with pytest.raises(RedisError, match="NOPERM"):
                await link.call("SET", "key", 1)
        assert server.ask("GET", "tcpchat:key") is None
        async with linked(f"redis://{place}/99") as (_, watcher):
            assert "DB index" in watcher.told[0]


@pytest_twisted.ensureDeferred
async def test_a_unix_socket(server):
    """A server is reached through a file as well."""
    async with linked(f"unix://{server.socket}?db=1") as (link, _):
        await link.call("SET", "key", 1)
        assert await link.call("GET", "key") == b"1"
    assert server.ask("GET", "key") is None


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")  # of Twisted to it
@pytest_twisted.ensureDeferred
async def test_tls(server, tmp_path):
    """Only a server that is trusted is spoken to."""
    make_certificate(tmp_path)
    keys = f"privateKey={tmp_path}/key.pem:certKey={tmp_path}/cert.pem"
    tunnel = serverFromString(reactor, f"ssl:0:{keys}:interface=127.0.0.1")
    port = await tunnel.listen(ProxyFactory("127.0.0.1", server.port))
    place = f"127.0.0.1:{port.getHost().port}"
    try:
        async with linked(f"rediss://{place}?ca={tmp_path}/cert.pem") as (link, watcher):
            assert watcher.told == ["up"]
            assert await link.call("PING") == b"PONG"
        async with linked(f"rediss://{place}") as (link, watcher):
            assert "certificate" in watcher.told[0]
            assert not link.is_up
    finally:
        await port.stopListening()
    with pytest.raises(OSError, match="none"):
        Link(reactor, Target.parse(f"rediss://{place}?ca={tmp_path}/none")).start()
    with pytest.raises(ValueError, match="no certificate"):
        Link(reactor, Target.parse(f"rediss://{place}?ca={tmp_path}/key.pem")).start()


class Impostor(Protocol):
    """Says one and the same of itself."""

    def dataReceived(self, data):
        said = self.factory.said
        self.transport.write(b"$%d\r\n%b\r\n" % (len(said), said))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"redis_version:6.0.16\r\n", "it is version 6.0.16, and 6.2 is the oldest"),
        (b"redis_version:7.2.4\r\nrole:slave\r\n", "it is a replica"),
        (b"redis_version:7.2.4\r\nloading:1\r\n", "it is still reading"),
        (b"", "it is version 0"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_server_that_will_not_do(said, why):
    """One that is too old, or follows another, or is not ready yet is not used."""
    factory = Factory.forProtocol(Impostor)
    factory.said, factory.noisy = said, False
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)
    try:
        async with linked(f"redis://127.0.0.1:{port.getHost().port}") as (link, watcher):
            assert why in watcher.told[0]
            assert not link.is_up
    finally:
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_server_that_says_nothing(monkeypatch):
    """One that accepts and never speaks is found out."""
    monkeypatch.setattr("twisted_chat.link.link.CONNECT_SECONDS", 0.05)
    factory = Factory.forProtocol(Protocol)
    factory.noisy = False
    port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)
    try:
        async with linked(f"redis://127.0.0.1:{port.getHost().port}") as (_, watcher):
            assert "no answer within 0.05 s" in watcher.told[0]
    finally:
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_who_watches_and_fails(server, logged_failures):
    """It is logged, and the others are told all the same."""
    link = Link(reactor, Target.parse(server.url))
    link.watch(lambda: 1 / 0, lambda why: None)
    watcher = Watcher(link)
    link.start()
    await until(lambda: watcher.told == ["up"], "a connection")
    await link.stop()
    gc.collect()
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
