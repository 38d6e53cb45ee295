"""Those who guess have to wait, and nobody may do too much of one thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_chat.accounts.throttle import Quota, Throttle
from twisted_chat.testing import ManualClock

DAY = 24 * 3600
LONGEST = 15 * 60


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def throttle(clock):
    return Throttle(clock.seconds)


@pytest.fixture
def quota(clock):
    return Quota(clock.seconds, 5, DAY)


def fail(throttle, times, key="ann"):
    for _ in range(times):
        throttle.failed(key)


# Those who guess


def test_the_first_tries_are_free(throttle):
    """Who is mistaken a few times does not wait."""
    for _ in range(5):
        assert throttle.refusal("ann") == 0
        throttle.failed("ann")
    assert throttle.refusal("ann") == 1


def test_each_failure_doubles_the_wait(throttle):
    """From the fifth failure on it is a second, then twice as long, up to 15 minutes."""
    fail(throttle, 4)
    waits = []
    for _ in range(13):
        throttle.failed("ann")
        waits.append(throttle.refusal("ann"))
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    fail(throttle, 10_000)
    assert throttle.refusal("ann") == 900


def test_a_wait_ends(clock, throttle):
    """What is told is what is left, and to ask does not make it longer."""
    fail(throttle, 7)
    clock.advance(1.5)
    assert throttle.refusal("ann") == 2.5
    assert throttle.refusal("ann") == 2.5
    clock.advance(2.5)
    assert throttle.refusal("ann") == 0
    throttle.failed("ann")
    assert throttle.refusal("ann") == 8


def test_success_ends_the_row(throttle):
    """Who has succeeded begins anew; to succeed without a failure changes nothing."""
    fail(throttle, 8)
    throttle.succeeded("ann")
    throttle.succeeded("bob")
    assert throttle.refusal("ann") == 0
    fail(throttle, 4)
    assert throttle.refusal("ann") == 0


def test_keys_do_not_wait_for_each_other(throttle):
    """Nobody waits for what another has done."""
    fail(throttle, 8)
    assert throttle.refusal("bob") == 0
    throttle.succeeded("bob")
    assert throttle.refusal("ann") == 8


def test_an_hour_of_quiet_is_forgotten(clock, throttle):
    """After an hour the row begins anew, and not a moment earlier."""
    fail(throttle, 12)
    clock.advance(3599)
    throttle.failed("ann")
    assert throttle.refusal("ann") == 256
    clock.advance(3600)
    throttle.failed("ann")
    assert throttle.refusal("ann") == 0


def test_a_clock_set_back_locks_nobody_out(clock, throttle):
    """When the clock was set back one may try, and waits as ever after the next failure."""
    fail(throttle, 20)
    clock.rightNow -= 10 * DAY
    assert throttle.refusal("ann") == 0
    throttle.failed("ann")
    assert throttle.refusal("ann") == LONGEST
    clock.advance(LONGEST)
    assert throttle.refusal("ann") == 0


def test_the_one_that_failed_longest_ago_goes_first(clock):
    """There is room for so many keys, and for those that failed last."""
    throttle = Throttle(clock.seconds, keys=2)
    fail(throttle, 5, "ann")
    fail(throttle, 5, "bob")
    throttle.failed("ann")
    fail(throttle, 5, "joe")
    assert [throttle.refusal(key) for key in ("ann", "bob", "joe")] == [2, 0, 1]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdef"),
            st.integers(0, 20),
            st.sampled_from([0.0, 0.0, 1.0, 500.0, 3600.0, -0.5, -500.0, -7200.0]),
        ),
        max_size=30,
    )
)
def test_it_is_bounded_whatever_happens(steps):
    """Whatever the clock does, few keys are remembered and nobody waits for over 15 minutes."""
    clock = ManualClock()
    throttle = Throttle(clock.seconds, keys=3)
    latest = clock.seconds()
    for key, failures, step in steps:
        clock.rightNow += step
        latest = max(latest, clock.seconds())
        fail(throttle, failures, key)
        if not failures:
            throttle.succeeded(key)
        assert len(throttle._failures) <= 3
        assert all(0 <= throttle.refusal(key) <= LONGEST for key in "abcdef")
    clock.rightNow = latest + LONGEST
    assert all(throttle.refusal(key) == 0 for key in "abcdef")


# Too much of one thing


def taken(quota, key="ann"):
    """Tell whether it may be done once more, which then counts; nothing waits."""
    with pytest.raises(StopIteration) as answer:
        quota.take(key).send(None)
    return answer.value.value


def test_five_a_day(clock, quota):
    """The sixth is refused until the first is a day old."""
    for _ in range(5):
        assert taken(quota)
        clock.advance(60)
    assert not taken(quota)
    assert taken(quota, "bob")
    clock.advance(DAY - 5 * 60 - 1)
    assert not taken(quota)
    clock.advance(1)
    assert taken(quota)
    assert not taken(quota)


def test_what_was_not_done_is_taken_back(quota):
    """It may be done once more; of whom nothing is known there is nothing to take back."""
    for _ in range(5):
        assert taken(quota)
    for key in ("ann", "bob"):
        with pytest.raises(StopIteration):
            quota.take_back(key).send(None)
    assert taken(quota)
    assert not taken(quota)


def test_nothing_at_all(clock):
    """A quota of none refuses everybody."""
    quota = Quota(clock.seconds, 0, DAY)
    assert not taken(quota)
    assert not taken(quota, "bob")


def test_a_quota_after_the_clock_was_set_back(clock, quota):
    """What would be yet to come does not count, and the quota is as ever from then on."""
    for _ in range(5):
        assert taken(quota)
    clock.rightNow -= 10 * DAY
    for _ in range(5):
        assert taken(quota)
    assert not taken(quota)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from([0.0, 0.0, 1.0, 10.0, -5.0])),
        max_size=100,
    )
)
def test_a_quota_is_bounded_whatever_happens(steps):
    """Whatever the clock does, few keys are remembered, and no more of each than are needed."""
    clock = ManualClock()
    quota = Quota(clock.seconds, 2, 10, keys=3)
    latest = clock.seconds()
    for key, step in steps:
        clock.rightNow += step
        latest = max(latest, clock.seconds())
        taken(quota, key)
        assert len(quota._taken) <= 3
        assert all(len(taken) <= 2 for taken in quota._taken.values())
    clock.rightNow = latest + 10
    assert all(taken(quota, key) for key in "abcdef")


def test_what_was_no_failure_is_taken_back(throttle):
    """It is as if it had not been; of whom nothing is known there is nothing to take back."""
    fail(throttle, 5)
    throttle.failed("ann")
    throttle.take_back("ann")
    throttle.take_back("bob")
    assert throttle.refusal("ann") == 1
    throttle.take_back("ann")
    assert throttle.refusal("ann") == 0
