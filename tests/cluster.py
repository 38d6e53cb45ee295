"""A real cluster: node processes, and the Redis server between them."""

import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from real import Chat, Peer, wait_until
from redis_server import RedisServer

LEASE = 2.0
"""Seconds; the usual would make tests long."""
_WITH_LEASE = """
import sys
from functools import partial
from twisted.scripts.twistd import run
from twisted_chat import tap
tap.Node = partial(tap.Node, lease=float(sys.argv[1]))
sys.argv = sys.argv[2:]
run()
"""
OPTIONS = ("--flood", "off", "--max-per-address", "0", "--replay", "0")


class Cluster:
    """Some nodes of one chat."""

    def __init__(self, directory: Path, nodes: int = 3, *, lease: float = LEASE, **server: Any):
        """
        :param lease: of each node; 0 for the usual.
        :param server: what `RedisServer` takes.
        """
        self._directory = directory
        self._lease = lease
        self.redis = RedisServer(directory / "redis", **server)
        self.nodes: list[Chat] = []
        try:
            for _ in range(nodes):
                self.add()
        except BaseException:
            self.end()
            raise

    def add(self, *options: str) -> Chat:
        """Start one more node, and wait until it takes part."""
        name = "abcdefgh"[len(self.nodes)]
        directory = self._directory / name
        directory.mkdir(exist_ok=True)
        prefix = (sys.executable, "-c", _WITH_LEASE, str(self._lease)) if self._lease else ()
        url = ("--redis", self.redis.url, "--node", name)
        node = Chat(directory, *OPTIONS, *url, *options, warm=False, prefix=prefix)
        self.nodes.append(node)
        node.wait_for_log("takes part, beside")
        return node

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """See to it that nothing is left."""
        for node in self.nodes:
            node.__exit__(None, None, None)
        self.redis.end()


def rest(peer: Peer) -> list[str]:
    """Read what has come, up to the answer to a question."""
    peer.say("/version")
    lines = []
    while not (line := peer.read()).startswith("> twisted-chat "):
        lines.append(line)
    return lines


def eventually(peer: Peer, question: str, answer: str) -> None:
    """Ask until the answer comes; whatever else is shown meanwhile is skipped."""

    def is_so() -> bool:
        peer.say(question)
        return answer in rest(peer)

    wait_until(is_so, f"{answer!r} in answer to {question}")
