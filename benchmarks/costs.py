"""What a cluster costs, from what was measured, and what so many people need by that."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

DAY = 24 * 3600
SCENARIO = "cluster-costs"
TWO, FOUR = "tcpchat 2 nodes, people on 1", "tcpchat 4 nodes, people on 1"
FEW, MANY, FULL = (
    "300 lines a second, rooms of 2",
    "1,000 talkers who wait, rooms of 2",
    "300 lines a second, rooms of 50",
)


@dataclass(frozen=True)
class Costs:
    """Microseconds of a processor, as ``--scenarios cluster-costs`` has found them."""

    say: float
    """To take in a line, and to have it ready for the others."""
    send: float
    """To send what is ready; as much for one line as for many."""
    event: float
    """To apply an event, on each node."""
    read: float
    """To read what has come; as much for one event as for many."""
    delivery: float
    """To write a line to one member."""
    append: float
    """Redis, to take a line, and to keep it."""
    call: float
    """Redis, for each call that brings lines."""
    entry: float
    """Redis, to give an event to one node."""
    answer: float
    """Redis, for each answer to a node that reads."""

    @classmethod
    def of(cls, found: dict[str, dict[str, list[dict[str, float]]]]) -> "Costs":
        """Tell them from the runs of the scenario.

        Where few lines come each has a turn of its own; where a thousand talk at once, they share
        them.
        """

        def cost(case: str, server: str, key: str) -> float:
            return median(run[f"{key}_us_per_line"] for run in found[case][server])

        delivery = (cost(FULL, TWO, "node") - cost(FEW, TWO, "node")) / 48
        event, said = cost(MANY, TWO, "other"), cost(MANY, TWO, "node")
        say = said - event - delivery
        per_node = {
            case: (cost(case, FOUR, "redis") - cost(case, TWO, "redis")) / 2 for case in (FEW, MANY)
        }
        taken = {case: cost(case, TWO, "redis") - 2 * per_node[case] for case in (FEW, MANY)}
        costs = cls(
            say=say,
            send=cost(FEW, TWO, "node") - cost(FEW, TWO, "other") - say - delivery,
            event=event,
            read=cost(FEW, TWO, "other") - event,
            delivery=delivery,
            append=taken[MANY],
            call=taken[FEW] - taken[MANY],
            entry=per_node[MANY],
            answer=per_node[FEW] - per_node[MANY],
        )
        return cls(**{name: max(0.0, value) for name, value in vars(costs).items()})


@dataclass(frozen=True)
class Sizes:
    """Bytes, as ``--scenarios cluster-memory`` and ``INFO`` of Redis have them."""

    here: float
    """Of a person, on the node to which they are connected."""
    known: float
    """The same on each of the other nodes."""
    snapshot: float
    """The same in what a node is given that comes in."""
    entry: float
    """From Redis to each node, for a line."""
    line: float
    """Of a line in Redis, as long as it is kept."""
    heard: float
    """From a node to a member, for a line, with TCP/IP."""


MEASURED = Costs(
    say=27.9,
    send=148.9,
    event=22.1,
    read=184.6,
    delivery=9.9,
    append=12.7,
    call=107.3,
    entry=1.8,
    answer=34.9,
)
SIZES = Sizes(here=3321, known=929, snapshot=225, entry=316, line=250, heard=138)


@dataclass(frozen=True)
class Habits:
    people: int
    lines: float
    """That one of them says in a minute."""
    room: int
    """How many are in a room."""

    @property
    def rate(self) -> float:
        """Lines a second, of all."""
        return self.people * self.lines / 60


def node_load(costs: Costs, habits: Habits, nodes: int) -> float:
    """Give the share of its processor that each node needs, where many lines share a turn."""
    own = costs.say + (habits.room - 1) * costs.delivery
    return habits.rate * (costs.event + own / nodes) / 1e6


def redis_load(costs: Costs, habits: Habits, nodes: int) -> float:
    """The same of Redis."""
    return habits.rate * (costs.append + nodes * costs.entry) / 1e6


def nodes_needed(costs: Costs, habits: Habits, share: float, people: int) -> int | None:
    """Give how many nodes it takes for none to be too busy; None if none are enough.

    :param share: of its processor, that a node may need.
    :param people: that a node may have.
    """
    left = share - habits.rate * costs.event / 1e6
    if left <= 0:
        return None
    own = costs.say + (habits.room - 1) * costs.delivery
    return max(ceil(habits.people / people), ceil(habits.rate * own / 1e6 / left))


def needs(costs: Costs, sizes: Sizes, options: argparse.Namespace) -> Iterator[Sequence[str]]:
    """Give the rows of the table of what people need."""
    yield (
        *("people", "lines a minute", "lines a second", "nodes", "each node, processor"),
        *("Redis, processor", "each node, memory", "Redis to all nodes", "a node to its people"),
        *("snapshot", "a day of history"),
    )
    for people in (1_000, 10_000, 100_000, 1_000_000):
        for lines in (1.0, 0.1):
            habits = Habits(people, lines, 50)
            nodes = nodes_needed(costs, habits, options.share, options.people)
            yield _row(costs, sizes, habits, nodes)


def _row(costs: Costs, sizes: Sizes, habits: Habits, nodes: int | None) -> Sequence[str]:
    begin = f"{habits.people:,}", f"{habits.lines:g}", f"{habits.rate:,.0f}"
    end = (
        _bytes(habits.people * sizes.snapshot),
        _bytes(habits.rate * DAY * sizes.line),
    )
    if nodes is None:
        alone = habits.rate * costs.event / 1e6
        return (*begin, "none will do", f"over {alone:.0%}", "–", "–", "–", "–", *end)
    redis = redis_load(costs, habits, nodes)
    here = habits.people / nodes
    memory = here * sizes.here + (habits.people - here) * sizes.known
    told = habits.rate * (habits.room - 1) / nodes * sizes.heard
    return (
        *begin,
        f"{nodes}",
        f"{node_load(costs, habits, nodes):.1%}",
        f"{redis:.1%}" if redis < 1 else f"{redis:.0%}, too much",
        _bytes(memory),
        f"{_bytes(habits.rate * nodes * sizes.entry)}/s",
        f"{_bytes(told)}/s",
        *end,
    )


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:,.1f} GB"
