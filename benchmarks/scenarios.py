"""What is measured."""

from dataclasses import dataclass, replace

from benchmarks.servers import COMPARED

Settings = dict[str, int]
"""Of ``load.c``."""


@dataclass(frozen=True)
class Figure:
    key: str
    """As ``load.c`` calls it."""
    title: str
    more_is_better: bool = False
    digits: int = 0


@dataclass(frozen=True)
class Scenario:
    title: str
    cases: dict[str, Settings]
    figures: tuple[Figure, ...]
    scene: str = "talk"
    """As ``load.c`` calls it."""
    servers: tuple[str, ...] = COMPARED
    """Of the table of servers; ratios are to the first."""


SPEED = Figure("deliveries_per_s", "deliveries a second", more_is_better=True)
COST = Figure("us_per_delivery", "µs for a delivery", digits=2)
P50 = Figure("p50_us", "p50, µs")
P90 = Figure("p90_us", "p90, µs")
P99 = Figure("p99_us", "p99, µs")
P999 = Figure("p999_us", "p99.9, µs")
LONGEST = Figure("max_us", "longest, µs")
PERCENTILES = (P50, P90, P99, P999)

OURS = ("tcpchat",)
_PIPELINED = {"members": 100, "window": 256}
_ONE = {"members": 100, "window": 1}
_TEN = {**_ONE, "talkers": 10}
_PACED = {"members": 100, "rate": 500}
_LONG = {"rate": 50, "size": 900, "milliseconds": 5000}
_CROWD = {"at_once": 500, "milliseconds": 3000}
_ROOM_OF_10 = {"members": 9, "talkers": 1, "rooms": 1}


def _times(settings: Settings, factor: int) -> Settings:
    return {name: value * factor for name, value in settings.items()}


SCENARIOS: dict[str, Scenario] = {
    "pipelined": Scenario(
        "One talker who does not wait: 256 lines on their way",
        {f"{n:,} members": {**_PIPELINED, "members": n} for n in (10, 30, 100, 300, 1000)},
        (SPEED,),
    ),
    "one-at-a-time": Scenario(
        "One talker who waits until every member has heard the line",
        {f"{n:,} members": {**_ONE, "members": n} for n in (100, 1000)},
        (SPEED,),
    ),
    "ten-talkers": Scenario(
        "Ten talkers, each of whom waits until every member has heard the line",
        {"100 members": _TEN},
        (SPEED,),
    ),
    "latency": Scenario(
        "From a line to each of its members, at 500 lines a second",
        {"100 members": {**_PACED, "milliseconds": 3000}},
        PERCENTILES,
    ),
    "pauses": Scenario(
        "The longest waits, at 500 lines a second for ten seconds",
        {"100 members": {**_PACED, "milliseconds": 10000}},
        (P50, P999, LONGEST),
    ),
    "memory": Scenario(
        "Memory of a connection that does nothing",
        {"5,000 connections": {"members": 5000, "talkers": 0, "rooms": 0}},
        (Figure("bytes_each", "bytes resident for each"),),
        scene="hold",
    ),
    "growth": Scenario(
        "What a delivery costs as a room grows, one line at a time",
        {f"{n:,} members": {**_CROWD, "members": n, "quiet": 1} for n in (100, 1000, 10000)},
        (COST,),
        servers=OURS,
    ),
    "rooms": Scenario(
        "What a delivery costs as rooms are added, with a talker in each",
        {f"{n:,} rooms of 10": _times(_ROOM_OF_10, n) for n in (10, 100, 1000)},
        (COST,),
    ),
    "storm": Scenario(
        "All but ten leave a room at once, and return at once",
        {
            f"{n:,} members": {"members": n, "talkers": 0, "at_once": 500}
            for n in (250, 500, 1000, 2000)
        },
        (
            Figure("left_segments_each", "segments to each who stays", digits=1),
            Figure("left_bytes_each", "bytes to each who stays"),
            Figure("back_segments_each", "segments to each, on the return", digits=1),
            Figure("back_bytes_each", "bytes to each, on the return"),
            Figure("back_s", "seconds until all are back", digits=2),
        ),
        scene="storm",
        servers=OURS,
    ),
    "slow": Scenario(
        "What those who read notice of those who do not, at 50 long lines a second",
        {f"{n} of 1,000 stuck": {**_CROWD, **_LONG, "members": 1000, "stuck": n} for n in (0, 100)},
        (P50, P99),
        servers=OURS,
    ),
    "connections": Scenario(
        "10,000 connections in rooms of ten, 1,000 lines a second in all",
        {"10,000 connections": {**_CROWD, **_times(_ROOM_OF_10, 1000), "rate": 1000}},
        (
            *PERCENTILES,
            Figure("entered_per_s", "people a second who come in", more_is_better=True),
        ),
        servers=OURS,
    ),
    "reactors": Scenario(
        "The reactors of Twisted",
        {"pipelined": _PIPELINED, "one at a time": _ONE},
        (SPEED,),
        servers=tuple(
            f"tcpchat --reactor {name}" for name in ("epoll", "poll", "select", "asyncio")
        ),
    ),
    "flood": Scenario(
        "Flood control that counts, and lets everything through",
        {"pipelined": _PIPELINED, "one at a time": _ONE},
        (SPEED,),
        servers=("tcpchat", "tcpchat --flood 1000000/1000000"),
    ),
    "disk": Scenario(
        "What it costs to keep every line on disk; nats-server keeps nothing",
        {"pipelined": _PIPELINED, "one at a time": _ONE, "ten talkers": _TEN},
        (SPEED,),
        servers=("tcpchat --state chat.sqlite", "tcpchat", "nats-server"),
    ),
}

QUICK = ("pipelined", "latency", "memory", "storm")
"""The scenarios of the short form."""

_SHORT = {"milliseconds": 300, "members": 200, "talkers": 10, "rooms": 10, "stuck": 100}


def quick(scenario: Scenario) -> Scenario:
    """Give the short form, which tells that everything works, and nothing about speed."""
    cases = {
        f"{case} (short form)": {
            **{name: min(value, _SHORT.get(name, value)) for name, value in settings.items()},
            "milliseconds": _SHORT["milliseconds"],
        }
        for case, settings in list(scenario.cases.items())[:2]
    }
    return replace(scenario, cases=cases)
