"""Metrics: each moves as what it counts happens, and the reference tells of all of them."""

from importlib.metadata import version

import pytest

pytest.importorskip("prometheus_client")
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from test_json import Program
from test_readme import ROOT, literals, page, table
from test_sqlite import Desk
from test_tcp import House, Peer, SlowStore
from twisted.internet.address import IPv4Address

from twisted_chat.chat.events import Ending
from twisted_chat.chat.limits import BACKLOG, PENDING_LINES
from twisted_chat.doors.metrics import METRICS, registry, rows
from twisted_chat.doors.monitor import PULSE_SECONDS, Pulse
from twisted_chat.histogram import Histogram
from twisted_chat.testing import ManualClock, RecordingClient

VERSION = version("twisted-chat")


class Watched(House):
    """A house, and what a monitor sees of it."""

    trouble = ""
    restarts = 0

    def __init__(self, **how):
        super().__init__(**how)
        self.reactor_delay = Histogram()
        self._registry = registry(self)

    def sees(self):
        """Give the figures, by name and labels."""
        return figures(generate_latest(self._registry))


def figures(text):
    """Read what a monitor is given."""
    families = text_string_to_metric_families(text.decode())
    return {spelled(one): one.value for family in families for one in family.samples}


def spelled(sample):
    labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}" if labels else sample.name


def is_cut_off(house):
    house.trouble = "the disk fails"


def says_something(house):
    ann, bob = house.enters("ann"), house.enters("bob")
    ann.reads()
    return ann, bob


def two_lines_for_two(house):
    ann, _, _ = *says_something(house), house.enters("cyd")
    before = house.sees()
    ann.types("one", "two")
    return before


def does_not_read(house):
    ann, slow = says_something(house)
    slow.wire.producer.pauseProducing()
    ann.types("x" * 900)


def is_cut(house):
    ann, slow = says_something(house)
    slow.wire.producer.pauseProducing()
    for _ in range(5):
        ann.types("x" * 1000)


def is_told_to_slow_down(house):
    house.comes().types(*["/rooms"] * 22)


def is_behind(house):
    house.rooms.store.backlog = BACKLOG


def takes_a_while(name):
    def add(house):
        owner = house
        for part in name.split("."):
            owner = getattr(owner, part)
        owner.add(0.02)

    return add


def is_renewed(house):
    house.restarts += 1


SLOW = {"sendq": 4096}
ENDED = "tcpchat_connections_ended_total{{door=telnet,how={}}}"
REFUSED = "tcpchat_refusals_total{{reason={}}}"

MOVES = [
    ("tcpchat_info", {}, lambda house: {}, {f"tcpchat_info{{version={VERSION}}}": 1}),
    ("tcpchat_ready", {}, is_cut_off, {"tcpchat_ready": -1}),
    ("tcpchat_people", {}, House.comes, {"tcpchat_people": 1}),
    ("tcpchat_rooms", {}, says_something, {"tcpchat_rooms": 1}),
    ("tcpchat_connections", {}, House.comes, {"tcpchat_connections{door=telnet}": 1}),
    (
        *("tcpchat_connections_opened_total", {}, lambda house: house.comes().hangs_up()),
        {"tcpchat_connections_opened_total{door=telnet}": 1},
    ),
    (
        *("tcpchat_connections_ended_total", {}, lambda house: house.comes().hangs_up()),
        {ENDED.format("lost"): 1},
    ),
    (
        *("tcpchat_connections_refused_total", {"max_connections": 1}),
        lambda house: [house.comes(), Peer(house)],
        {"tcpchat_connections_refused_total{reason=full}": 1},
    ),
    (
        *("tcpchat_connections_refused_total", {"max_per_address": 1}),
        lambda house: [house.comes(), Peer(house)],
        {"tcpchat_connections_refused_total{reason=address}": 1},
    ),
    (
        *("tcpchat_connections_refused_total", {"max_per_address": 1}),
        lambda house: [house.comes("/quit").hangs_up(), Peer(house)],
        {"tcpchat_connections_refused_total{reason=address_rate}": 1},
    ),
    ("tcpchat_lines_total", {}, says_something, {"tcpchat_lines_total": 4}),
    *(
        ("tcpchat_refusals_total", {}, lambda house, line=line: house.comes(line), {sample: 1})
        for line, sample in {
            "/foo": REFUSED.format("unknown_command"),
            "/nick": REFUSED.format("usage"),
            "/motd now": REFUSED.format("usage"),
            "hello": REFUSED.format("not_allowed"),
            "/wall all": REFUSED.format("not_allowed"),
            "/tell nobody hello": REFUSED.format("rules"),
            "x" * 1025: REFUSED.format("too_long"),
            "é" * 600: REFUSED.format("too_long"),
        }.items()
    ),
    (
        *("tcpchat_received_bytes_total", {}, lambda house: house.comes("/rooms")),
        {"tcpchat_received_bytes_total": 8},
    ),
    ("tcpchat_deliveries_total", {}, two_lines_for_two, {"tcpchat_deliveries_total": 4}),
    (
        *("tcpchat_delivered_bytes_total", {}, two_lines_for_two),
        {"tcpchat_delivered_bytes_total": 4 * len("> ann: one\r\n")},
    ),
    (
        *("tcpchat_waiting_output_bytes", {}, does_not_read),
        {"tcpchat_waiting_output_bytes": 900 + len("> ann: \r\n")},
    ),
    (
        *("tcpchat_waiting_output_largest_bytes", {}, does_not_read),
        {"tcpchat_waiting_output_largest_bytes": 900 + len("> ann: \r\n")},
    ),
    ("tcpchat_slow_readers_cut_total", SLOW, is_cut, {"tcpchat_slow_readers_cut_total": 1}),
    (
        *("tcpchat_flood_delays_total", {"flood": (5.0, 20)}, is_told_to_slow_down),
        {"tcpchat_flood_delays_total": 1},
    ),
    (
        *("tcpchat_flood_delay_seconds_total", {"flood": (5.0, 20)}, is_told_to_slow_down),
        {"tcpchat_flood_delay_seconds_total": pytest.approx(0.2)},
    ),
    (
        *("tcpchat_store_backlog_bytes", {"store": SlowStore()}, is_behind),
        {"tcpchat_store_backlog_bytes": BACKLOG},
    ),
    *(
        (
            *(name, {}, takes_a_while(where)),
            {
                f"{name}_count": 1,
                f"{name}_sum": 0.02,
                f"{name}_bucket{{le=0.01}}": 0,
                f"{name}_bucket{{le=0.025}}": 1,
                f"{name}_bucket{{le=+Inf}}": 1,
            },
        )
        for name, where in {
            "tcpchat_store_commit_seconds": "rooms.store.commits",
            "tcpchat_backplane_lag_seconds": "rooms.backplane.lag",
            "tcpchat_reactor_delay_seconds": "reactor_delay",
        }.items()
    ),
    ("tcpchat_hot_restarts_total", {}, is_renewed, {"tcpchat_hot_restarts_total": 1}),
]
"""A metric, the house, what happens there, and by how much which figures change.

What happens may give the figures since which they do.
"""


@pytest.mark.parametrize(("metric", "how", "happens", "changes"), MOVES)
def test_a_metric_moves(metric, how, happens, changes):
    """As something happens, the figures that count it change by as much."""
    house = Watched(**how)
    before = house.sees()
    began = happens(house)
    if isinstance(began, dict):
        before = began
    after = house.sees()
    assert {one: after[one] - before.get(one, 0) for one in changes} == changes
    assert all(one.startswith(metric) for one in changes)


def test_every_metric_has_such_a_test():
    """None can be added that nobody has seen move."""
    assert {metric for metric, *_ in MOVES} == {metric.name for metric in METRICS}


def ends(outcome):
    """Give what makes a connection end so, in a house with limits for it."""

    def quits(house, peer):
        peer.types("/quit")

    def breaks(house, peer):
        peer.hangs_up()

    def closes_its_half(house, peer):
        peer.door.readConnectionLost()

    def browses(house, peer):
        peer.types("GET / HTTP/1.1")

    def says_nothing(house, peer):
        house.passes(301)

    def says_no_more(house, peer):
        peer.types("/rooms")
        house.passes(61)

    def does_not_read(house, peer):
        peer.types("/nick bob", "/join tea")
        peer.wire.producer.pauseProducing()
        talker = house.enters("talker")
        for _ in range(5):
            talker.types("x" * 1000)

    def is_sent_home(house, peer):
        house.rooms.close("goodbye")

    return {
        "quit": [quits],
        "lost": [breaks, closes_its_half],
        "http": [browses],
        "silent": [says_nothing],
        "idle": [says_no_more],
        "slow": [does_not_read],
        "stopped": [is_sent_home],
    }[outcome]


@pytest.mark.parametrize(
    ("outcome", "limits"),
    [
        *[(how, {}) for how in ("quit", "lost", "http", "silent", "stopped")],
        ("idle", {"idle_timeout": 60}),
        ("slow", {"sendq": 4096}),
    ],
)
def test_how_connections_end(outcome, limits):
    """Each counts once, by what was first, whatever becomes of the connection then."""
    for happens in ends(outcome):
        house = Watched(**limits)
        peer = Peer(house)
        house.clock.turn()
        happens(house, peer)
        if peer.door in house.factory.protocols:
            peer.hangs_up()
        seen = house.sees()
        ended = {one for one, value in seen.items() if "ended_total" in one and value}
        assert ended == {ENDED.format(outcome)}
        assert seen[ENDED.format(outcome)] == 1


def test_who_goes_on_elsewhere():
    """Their first connection is told apart from those that end by themselves."""
    house = Watched()
    first = house.comes("/nick ann", "/register correct horse")
    second = Peer(house, IPv4Address("TCP", "192.0.2.2", 1))
    second.types("/login ann correct horse")
    house.passes(1)
    assert first.wire.disconnecting
    first.hangs_up()
    assert house.sees()[ENDED.format("elsewhere")] == 1


def test_who_is_banned():
    """Their connection ends as theirs alone."""
    house = Watched()
    peer = house.comes()
    peer.door.close("not wanted", Ending.BANNED)
    peer.hangs_up()
    assert house.sees()[ENDED.format("banned")] == 1


def refused(house):
    """Give how many lines were refused, by why."""
    return {reason.value: number for reason, number in house.rooms.refusals.items() if number}


def test_what_a_program_sends_that_is_no_message():
    """It is refused as malformed."""
    house = Watched()
    Program(house).sends(b"hello\n")
    assert refused(house) == {"malformed": 1}


def test_lines_that_come_while_a_command_is_under_way():
    """Those that are too many to wait are refused as such."""
    house = Watched(delayed=True)
    session = house.rooms.connect(RecordingClient())
    for _ in range(PENDING_LINES + 3):
        session.receive("/rooms")
    house.clock.turn()
    assert refused(house) == {"too_many": 3}


def test_a_mistake_of_the_program(logged_failures):
    """It is told apart from refusals that are meant."""
    house = Watched()
    house.rooms.person = lambda name: 1 / 0
    house.comes("/whois ann")
    assert refused(house) == {"failure": 1}
    assert logged_failures.flush(ZeroDivisionError)


def test_hidden_lines_are_no_deliveries():
    """Who has joins and leaves hidden is not shown them."""
    house = Watched()
    ann = house.enters("ann")
    ann.types("/quiet on")
    ann.reads()
    before = house.sees()["tcpchat_deliveries_total"]
    cyd = house.comes()
    before_join = house.sees()["tcpchat_deliveries_total"]
    assert before_join > before  # the welcome
    cyd.types("/join tea")
    shown_to_cyd = len(cyd.reads())
    assert ann.reads() == []
    assert house.sees()["tcpchat_deliveries_total"] == before_join + shown_to_cyd


def test_a_transaction_is_measured_and_a_look_is_none(tmp_path, logged_failures):
    """Of what a store in a file does, only what it writes counts; it says when it cannot."""
    desk = Desk(tmp_path)
    desk.passes(5)
    assert desk.store.commits.cumulative()[-1] == 0
    desk.says(1)
    desk.passes(0.1)
    assert desk.store.commits.cumulative()[-1] == 1
    assert desk.store.trouble == ""
    desk.fills_the_disk()
    desk.says(*range(2, 500))
    desk.passes(0.1)
    assert desk.store.trouble == "the disk fails"
    logged_failures.events.clear()
    desk.fills_the_disk(full=False)
    desk.passes(2)
    assert desk.store.trouble == ""
    desk.end()


def test_a_pulse_tells_how_late_the_reactor_is():
    """It is measured from when it was to be until it was, for as long as the service runs."""
    clock, delay = ManualClock(), Histogram()
    pulse = Pulse(clock, delay)
    pulse.startService()
    clock.advance(PULSE_SECONDS)
    assert (delay.cumulative()[-1], delay.total) == (1, 0)
    clock.advance(PULSE_SECONDS + 0.5)
    assert (delay.cumulative()[-1], delay.total) == (2, pytest.approx(0.5))
    pulse.stopService()
    assert clock.getDelayedCalls() == []


def test_a_histogram():
    """A figure counts below its bound and all above; a clock set back counts as no time."""
    histogram = Histogram((1, 2))
    for figure in (1, 1.5, 2, 3, -5):
        histogram.add(figure)
    assert (histogram.cumulative(), histogram.total) == ([2, 4, 5], 7.5)


def test_two_chats_share_nothing():
    """Each has a registry of its own."""
    one, other = Watched(), Watched()
    one.comes()
    assert (one.sees()["tcpchat_people"], other.sees()["tcpchat_people"]) == (1, 0)


def test_the_reference():
    """The page on metrics has all of them, as the code does; and all that a label can be."""
    found = [
        (literals(name)[0], kind.astext(), ", ".join(literals(labels)), meaning.astext())
        for name, kind, labels, meaning in table(page("docs/metrics.rst"), "metric")
    ]
    assert found == list(rows())
    text = (ROOT / "docs/metrics.rst").read_text("utf-8")
    house = Watched()
    house.comes().hangs_up()
    values = {one.rpartition("=")[2].rstrip("}") for one in house.sees() if one[:8] == "tcpchat_"}
    words = {value for value in values if value.islower() and "_seconds" not in value}
    assert words
    assert [word for word in words if "tcpchat" not in word and f"``{word}``" not in text] == []
