"""What many nodes can hold, computed from what was measured: ``python -m benchmarks.simulation``.

A table tells what so many people need.  Then nodes and Redis are played, in plain Python, from a
seed: lines come at random, wait for each other, and are seen to in turns, as the chat does it.  It
shows how long a line takes from being typed to being shown at the last of the nodes.
"""

import argparse
import heapq
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.costs import MEASURED, SCENARIO, SIZES, Costs, needs

AT_ONCE = 200
"""Events that are read, or sent, in one go; as `cluster.stream` and `cluster.outgoing` have it."""


@dataclass(eq=False)
class Clock:
    """Time that goes by as soon as nothing more happens in it."""

    now: float = 0.0
    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0

    def after(self, delay: float, do: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (self.now + delay, self._count, do))

    def run(self) -> None:
        while self._due:
            self.now, _, do = heapq.heappop(self._due)
            do()


class Server:
    """One processor, and what waits for it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[tuple[float, Callable[[], None]]] = []
        self._is_busy = False
        self.busy = 0.0

    def ask(self, cost: float, then: Callable[[], None]) -> None:
        """Have something done after all that has been asked for before."""
        self._waiting.append((cost, then))
        self._next()

    def _next(self) -> None:
        if self._is_busy or not self._waiting:
            return
        cost, then = self._waiting.pop(0)
        self._is_busy = True
        self.busy += cost
        self._clock.after(cost, lambda: self._done(then))

    def _done(self, then: Callable[[], None]) -> None:
        self._is_busy = False
        then()
        self._next()


class Redis(Server):
    """The stream, and the nodes that wait for what comes next in it."""

    def __init__(self, clock: Clock, costs: Costs) -> None:
        super().__init__(clock)
        self._costs = costs
        self.stream: list[float] = []
        """When each line was typed."""
        self._readers: list[Node] = []

    def append(self, lines: list[float], then: Callable[[], None]) -> None:
        cost = self._costs.call + len(lines) * self._costs.append

        def appended() -> None:
            self.stream += lines
            then()
            readers, self._readers = self._readers, []
            for reader in readers:
                self.read(reader)

        self.ask(cost, appended)

    def read(self, node: "Node") -> None:
        """Give a node what it has not read, as soon as there is something."""
        if node.last == len(self.stream):
            self._readers.append(node)
            return
        found = self.stream[node.last : node.last + AT_ONCE]
        node.last += len(found)
        cost = self._costs.answer + len(found) * self._costs.entry
        self.ask(cost, lambda: self._clock.after(node.way, lambda: node.take(found)))


class Node(Server):
    """A node: lines come in, go to Redis, come back from it, and go to people."""

    def __init__(self, clock: Clock, costs: Costs, redis: Redis, own: float, way: float) -> None:
        """
        :param own: seconds for the members here, for each line of the stream.
        :param way: seconds to Redis, and from it.
        """
        super().__init__(clock)
        self._costs, self._redis, self._own = costs, redis, own
        self.way = way
        self.last = 0
        self.shown: list[float] = []
        """How long each line took."""
        self._ready: list[float] = []
        self._is_sending = False
        redis.read(self)

    def say(self) -> None:
        typed = self._clock.now
        self.ask(self._costs.say, lambda: self._said(typed))

    def _said(self, typed: float) -> None:
        self._ready.append(typed)
        self._send()

    def _send(self) -> None:
        if self._is_sending or not self._ready:  # one batch at a time
            return
        self._is_sending = True
        batch, self._ready = self._ready[:AT_ONCE], self._ready[AT_ONCE:]
        self.ask(
            self._costs.send,
            lambda: self._clock.after(self.way, lambda: self._redis.append(batch, self._sent)),
        )

    def _sent(self) -> None:
        def go_on() -> None:
            self._is_sending = False
            self._send()

        self._clock.after(self.way, go_on)

    def take(self, lines: list[float]) -> None:
        cost = self._costs.read + len(lines) * (self._costs.event + self._own)
        self.ask(cost, lambda: self._show(lines))

    def _show(self, lines: list[float]) -> None:
        self.shown += [self._clock.now - typed for typed in lines]
        self._clock.after(self.way, lambda: self._redis.read(self))


@dataclass(frozen=True)
class Played:
    p50: float
    p99: float
    node: float
    """The share of the time in which a node was busy."""
    redis: float


def play(
    costs: Costs, rate: float, nodes: int, *, hears: float, lines: int, way: float, seed: int
) -> Played:
    """Have lines come at random, and tell how long they took to be shown at the last node.

    :param rate: lines a second, of all nodes.
    :param hears: how many members hear a line, on all nodes together.
    :param lines: how many are said.
    :param way: microseconds from a node to Redis.
    """
    seconds = Costs(**{name: value / 1e6 for name, value in vars(costs).items()})
    clock, chance = Clock(), random.Random(seed)
    redis = Redis(clock, seconds)
    own = hears / nodes * seconds.delivery
    all_ = [Node(clock, seconds, redis, own, way / 1e6) for _ in range(nodes)]
    at = 0.0
    for _ in range(lines):
        at += chance.expovariate(rate)
        clock.after(at, chance.choice(all_).say)
    clock.run()
    last = sorted(map(max, zip(*(node.shown for node in all_), strict=True)))
    return Played(
        last[len(last) // 2],
        last[len(last) * 99 // 100],
        sum(node.busy for node in all_) / nodes / clock.now,
        redis.busy / clock.now,
    )


def most(costs: Costs, nodes: int, hears: float) -> float:
    """Give how many lines a second keep the busiest of all busy, if many share a turn."""
    node = costs.event + (costs.say + hears * costs.delivery) / nodes
    return 1e6 / max(node, costs.append + nodes * costs.entry)


def delays(costs: Costs, options: argparse.Namespace) -> Iterator[Sequence[str]]:
    """Give the rows of the table of delays."""
    yield "load", "lines a second", "p50, ms", "p99, ms", "a node is busy", "Redis is busy"
    hears = options.room - 1
    limit = most(costs, options.nodes, hears)
    shares = [options.rate / limit] if options.rate else [ten / 10 for ten in range(1, 11)]
    for share in shares:
        played = play(
            costs,
            limit * share,
            options.nodes,
            hears=hears,
            lines=options.lines,
            way=options.way,
            seed=options.seed,
        )
        yield (
            *(f"{share:.0%}", f"{limit * share:,.0f}"),
            *(f"{1000 * played.p50:,.2f}", f"{1000 * played.p99:,.2f}"),
            *(f"{played.node:.0%}", f"{played.redis:.0%}"),
        )


# From words to tables


def _table(title: str, rows: Iterator[Sequence[str]]) -> str:
    found = [*rows]
    widths = [max(len(cell) for cell in column) for column in zip(*found, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in found
    ]
    return "\n  ".join([title, *lines])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.simulation", description=__doc__.partition(":")[0]
    )
    add: Any = parser.add_argument
    add("--figures", type=Path, metavar="FILE", help="figures.json of --scenarios cluster-costs")
    add("--share", type=float, default=0.5, help="of a processor that a node may need (0.5)")
    add("--people", type=int, default=15_000, help="that a node may have (15000)")
    add("--nodes", type=int, default=4, help="that are played (4)")
    add("--rate", type=float, help="lines a second that are played (10 % to 100 % of the most)")
    add("--room", type=int, default=50, help="people who are in a room (50)")
    add("--lines", type=int, default=20_000, help="that are said at each load (20000)")
    add("--way", type=float, default=100, help="µs from a node to Redis (100)")
    add("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Print the tables."""
    options = _options()
    costs = MEASURED
    if options.figures:
        costs = Costs.of(json.loads(options.figures.read_text("utf-8"))["scenarios"][SCENARIO])
    told = ", ".join(f"{name} {value:.1f}" for name, value in vars(costs).items())
    played = f"{options.nodes} nodes, rooms of {options.room}: from typed to shown at the last node"
    tables = (
        f"costs, µs: {told}",
        _table(
            f"what people need in rooms of 50, if a node is to be {options.share:.0%} busy at most "
            f"and to have {options.people:,} people at most",
            needs(costs, SIZES, options),
        ),
        _table(played, delays(costs, options)),
    )
    sys.stdout.write("\n\n".join([*tables, ""]))


if __name__ == "__main__":
    main()
