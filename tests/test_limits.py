"""The token bucket, and spans of time in words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted_chat.chat.duration import in_words
from twisted_chat.chat.limits import Bucket, Limits

# The bucket


def test_a_burst_then_one_token_at_a_time():
    """A full bucket lets a burst through; then each line waits for its own token."""
    bucket = Bucket(5.0, 20, now=100.0)
    for _ in range(20):
        assert bucket.wait(100.0) == 0
        bucket.spend(1, 100.0)
    assert bucket.wait(100.0) == pytest.approx(0.2)
    assert bucket.wait(100.15) == pytest.approx(0.05)
    assert bucket.wait(100.3) == 0
    bucket.spend(1, 100.3)
    assert bucket.wait(100.3) == pytest.approx(0.1)


def test_it_fills_up_to_the_burst():
    """A long silence earns no more than the burst."""
    bucket = Bucket(5.0, 2, now=0.0)
    bucket.spend(1, 0.0)
    bucket.spend(0, 1_000_000.0)
    assert bucket.tokens == 2


def test_what_costs_three():
    """A dear line may go while there is one token, and the debt is waited for."""
    bucket = Bucket(1.0, 1, now=0.0)
    bucket.spend(3, 0.0)
    assert bucket.tokens == -2
    assert bucket.wait(0.0) == pytest.approx(3.0)
    assert bucket.wait(2.5) == pytest.approx(0.5)
    assert bucket.wait(3.0) == 0


def test_a_clock_set_back_neither_takes_nor_stalls():
    """When the clock is set back nothing is lost, and filling goes on from there."""
    bucket = Bucket(1.0, 5, now=10_000.0)
    bucket.spend(5, 10_000.0)
    assert bucket.wait(6_400.0) == pytest.approx(1.0)
    assert bucket.wait(6_400.5) == pytest.approx(0.5)
    assert bucket.wait(6_401.0) == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 3]), st.floats(-50, 50))))
def test_it_is_never_fuller_than_full(steps):
    """Whatever the clock does, the bucket holds no more than the burst, and says a sane wait."""
    now, spent, forward = 1000.0, 0, 0.0
    bucket = Bucket(2.0, 10, now)
    for cost, step in steps:
        now += step
        spent += cost
        forward += max(step, 0.0)
        bucket.spend(cost, now)
        assert bucket.tokens <= 10
        assert bucket.tokens <= 10 - spent + 2 * forward + 1e-6
        wait = bucket.wait(now)
        assert 0 <= wait <= (1 + spent) / 2
        assert (wait == 0) == (bucket.tokens >= 1)


def test_the_limits_as_they_are_without_options():
    """What an operator does not set is as the option list says."""
    assert Limits() == Limits(
        max_line=1024,
        flood=(5.0, 20),
        max_connections=0,
        max_per_address=64,
        sendq=1048576,
        idle_timeout=0,
        drain=5,
    )


# Spans of time


def test_spans_in_words():
    """A span is told in its largest whole unit, one of it without an s."""
    assert [
        in_words(seconds)
        for seconds in (0, 0.9, 1, 59.9, 60, 119, 3599, 3600, 7200, 86399, 86400, 864000)
    ] == [
        "0 seconds",
        "0 seconds",
        "1 second",
        "59 seconds",
        "1 minute",
        "1 minute",
        "59 minutes",
        "1 hour",
        "2 hours",
        "23 hours",
        "1 day",
        "10 days",
    ]


def test_a_span_before_its_beginning():
    """A clock that was set back makes no span of less than nothing."""
    assert in_words(-3600) == "0 seconds"
