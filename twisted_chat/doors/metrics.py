"""Metrics: a table of what can be counted here, and how Prometheus is given it.

What happens is counted where it happens, in plain numbers; this reads them when it is asked.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector as BaseCollector

from twisted_chat.chat.events import Reason
from twisted_chat.chat.rooms import Rooms
from twisted_chat.doors.address import REASONS
from twisted_chat.doors.outcome import Outcome
from twisted_chat.doors.tcp import ChatFactory
from twisted_chat.histogram import Histogram

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"

Labelled: TypeAlias = Mapping[tuple[str, ...], float]
"""Figures by the values of the labels."""
Found: TypeAlias = float | Labelled | Histogram


class Observed(Protocol):
    """What is looked at: a `ChatService`."""

    rooms: Rooms
    factory: ChatFactory
    restarts: int
    reactor_delay: Histogram

    @property
    def trouble(self) -> str:
        """Why nobody should be sent here now; empty if they may come."""


class Metric(NamedTuple):
    """One thing that can be known."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    read: Callable[[Observed], Found]


def _connections(chat: Observed) -> Labelled:
    here = Counter(protocol.door for protocol in chat.factory.protocols)
    return {(door,): here[door] for door in {*here, *chat.factory.opened}}


def _ended(chat: Observed) -> Labelled:
    ended = chat.factory.ended
    doors = {*chat.factory.opened, *(door for door, _ in ended)}
    return {(door, how.value): ended[door, how] for door in doors for how in Outcome}


METRICS = (
    Metric(
        *("tcpchat_info", GAUGE, ("version",)),
        "1, and the version that runs",
        lambda chat: {(chat.rooms.version,): 1},
    ),
    Metric(
        *("tcpchat_ready", GAUGE, ()),
        "1 if /readyz says so, else 0",
        lambda chat: not chat.trouble,
    ),
    Metric(
        *("tcpchat_people", GAUGE, ()),
        "people in the chat, on all nodes, with those whose place is kept",
        lambda chat: len(chat.rooms.people),
    ),
    Metric(
        *("tcpchat_rooms", GAUGE, ()),
        "rooms that somebody is in, on all nodes",
        lambda chat: len(chat.rooms.rooms),
    ),
    Metric(
        *("tcpchat_connections", GAUGE, ("door",)),
        "connections of people to this process; of SSH, each session is one",
        _connections,
    ),
    Metric(
        *("tcpchat_connections_opened_total", COUNTER, ("door",)),
        "connections that were let in",
        lambda chat: {(door,): number for door, number in chat.factory.opened.items()},
    ),
    Metric(
        *("tcpchat_connections_ended_total", COUNTER, ("door", "how")),
        "connections that are over, by how they ended",
        _ended,
    ),
    Metric(
        *("tcpchat_connections_refused_total", COUNTER, ("reason",)),
        "connections that were not let in",
        lambda chat: {(why,): chat.factory.admission.refused[why] for why in REASONS},
    ),
    Metric(
        *("tcpchat_lines_total", COUNTER, ()),
        "lines that came in through a door, commands among them",
        lambda chat: chat.factory.traffic.lines,
    ),
    Metric(
        *("tcpchat_refusals_total", COUNTER, ("reason",)),
        "lines that were refused",
        lambda chat: {(why.value,): chat.rooms.refusals[why] for why in Reason},
    ),
    Metric(
        *("tcpchat_received_bytes_total", COUNTER, ()),
        "bytes that people sent, without TLS, SSH and WebSocket around them",
        lambda chat: chat.factory.traffic.bytes,
    ),
    Metric(
        *("tcpchat_deliveries_total", COUNTER, ()),
        "lines that people here were shown: one that ten hear counts ten times",
        lambda chat: chat.rooms.delivery.lines_shown,
    ),
    Metric(
        *("tcpchat_delivered_bytes_total", COUNTER, ()),
        "bytes of those lines",
        lambda chat: chat.rooms.delivery.bytes_shown,
    ),
    Metric(
        *("tcpchat_waiting_output_bytes", GAUGE, ()),
        "output that waits for readers, of all connections together",
        lambda chat: chat.factory.waiting.total,
    ),
    Metric(
        *("tcpchat_waiting_output_largest_bytes", GAUGE, ()),
        "output that waits for the slowest reader",
        lambda chat: chat.factory.waiting.largest,
    ),
    Metric(
        *("tcpchat_slow_readers_cut_total", COUNTER, ()),
        "connections that were cut because too much waited for them",
        lambda chat: chat.factory.waiting.cut,
    ),
    Metric(
        *("tcpchat_flood_delays_total", COUNTER, ()),
        "times that somebody's lines were held back: they came too fast, for --flood or the store",
        lambda chat: chat.factory.traffic.delays,
    ),
    Metric(
        *("tcpchat_flood_delay_seconds_total", COUNTER, ()),
        "for how long they were held back",
        lambda chat: chat.factory.traffic.delay_seconds,
    ),
    Metric(
        *("tcpchat_store_backlog_bytes", GAUGE, ()),
        "what waits to be kept, about; 0 while it cannot be kept at all",
        lambda chat: chat.rooms.store.backlog,
    ),
    Metric(
        *("tcpchat_store_commit_seconds", HISTOGRAM, ()),
        "how long each write to the disk or to Redis took",
        lambda chat: chat.rooms.store.commits,
    ),
    Metric(
        *("tcpchat_backplane_lag_seconds", HISTOGRAM, ()),
        "how long what this node sent took to come back to it; nothing on a single node",
        lambda chat: chat.rooms.backplane.lag,
    ),
    Metric(
        *("tcpchat_hot_restarts_total", COUNTER, ()),
        "how often the code was replaced since the chat was started",
        lambda chat: chat.restarts,
    ),
    Metric(
        *("tcpchat_reactor_delay_seconds", HISTOGRAM, ()),
        "how late the reactor was, asked five times a second",
        lambda chat: chat.reactor_delay,
    ),
)


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Give name, type, labels and help of each metric, as the reference has them."""
    for metric in METRICS:
        yield metric.name, metric.kind, ", ".join(metric.labels), metric.help


class Collector(BaseCollector):
    """Gives the metrics of one chat to whichever registry it is registered in."""

    def __init__(self, chat: Observed) -> None:
        self._chat = chat

    def describe(self) -> Iterator[Family]:
        """Give the names alone, which a registry asks for at once."""
        return map(_family, METRICS)

    def collect(self) -> Iterator[Family]:
        """Give the figures as they are now."""
        for metric in METRICS:
            family = _family(metric)
            _add(family, metric.read(self._chat))
            yield family


def registry(chat: Observed) -> CollectorRegistry:
    """Make a registry of one chat alone, and of the process in which it is."""
    made = CollectorRegistry()
    made.register(Collector(chat))
    for kind in (ProcessCollector, PlatformCollector, GCCollector):
        kind(registry=made)
    return made


def _family(metric: Metric) -> Any:
    families = {
        GAUGE: GaugeMetricFamily,
        COUNTER: CounterMetricFamily,
        HISTOGRAM: HistogramMetricFamily,
    }
    return families[metric.kind](metric.name, metric.help, labels=metric.labels)


def _add(family: Any, found: Found) -> None:
    """Put what was read into a family."""
    if isinstance(found, Histogram):
        bounds = [*map(str, found.bounds), "+Inf"]
        family.add_metric((), list(zip(bounds, found.cumulative(), strict=True)), found.total)
        return
    for labels, figure in (found if isinstance(found, Mapping) else {(): found}).items():
        family.add_metric(labels, figure)
