"""How often something may be done, counted once for all nodes, on a real server."""

from contextlib import asynccontextmanager

import pytest
import pytest_twisted
from redis_server import RedisServer, until
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from twisted_chat.chat.events import ChatError
from twisted_chat.link import Link, Target
from twisted_chat.state.redis_quota import RedisQuota

pytestmark = [pytest.mark.real, pytest.mark.redis]


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path / "redis") as server:
        yield server


@asynccontextmanager
async def quotas(server, most, seconds):
    """Give the quota of two nodes."""
    links = [Link(reactor, Target.parse(server.url)) for _ in range(2)]
    for link in links:
        link.start()
    await until(lambda: all(link.is_up for link in links), "two links")
    try:
        yield [RedisQuota(link, most, seconds) for link in links]
    finally:
        for link in links:
            await link.stop()


@pytest_twisted.ensureDeferred
async def test_all_nodes_together(server):
    """However many ask at once, and wherever: so many may, and no more."""
    async with quotas(server, 5, 3600) as (a, b):
        asked = [Deferred.fromCoroutine(node.take("ann")) for node in (a, b) * 10]
        assert (await gatherResults(asked)).count(True) == 5
        assert not await a.take("ann")
        assert await a.take("2001:db8::/64")
        await b.take_back("ann")
        await b.take_back("nobody")
        assert await a.take("ann")
        assert not await b.take("ann")


@pytest_twisted.ensureDeferred
async def test_it_is_over_after_a_while(server):
    """The oldest counts no more; nothing is left of who has not done it for so long."""
    async with quotas(server, 1, 1.5) as (a, b):
        assert await a.take("ann")
        assert not await b.take("ann")
        await until(lambda: _keys(server) == [], "nothing that is kept")
        assert await b.take("ann")


def _keys(server):
    return server.ask("KEYS", "*")


@pytest_twisted.ensureDeferred
async def test_without_redis(server):
    """Nobody is let through, and they are told; what cannot be taken back counts."""
    async with quotas(server, 5, 3600) as (a, _):
        server.kill()
        with pytest.raises(ChatError, match="try again later"):
            await a.take("ann")
        await a.take_back("ann")
