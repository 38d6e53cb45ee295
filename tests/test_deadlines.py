"""One deadline for many, watched by one timer."""

import pytest
from twisted.internet.task import Clock

from twisted_chat.doors.deadlines import Deadlines


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def late():
    return []


@pytest.fixture
def deadlines(clock, late):
    return Deadlines(clock, 10, late.append)


def test_whoever_is_not_done_in_time_is_told(clock, deadlines, late):
    """The deadline passes for each at their own time, in the order in which they began."""
    for name in "abc":
        deadlines.begin(name)
        clock.advance(1)
    clock.advance(6.5)
    assert late == []
    clock.advance(0.5)
    assert late == ["a"]
    clock.advance(1)
    assert late == ["a", "b"]
    clock.advance(100)
    assert late == ["a", "b", "c"]


def test_one_timer_watches_all(clock, deadlines, late):
    """However many are waiting there is one timer, and none when nobody waits."""
    for number in range(1000):
        deadlines.begin(number)
        assert len(clock.getDelayedCalls()) == 1
        clock.advance(0.001)
    clock.advance(10)
    assert late == list(range(1000))
    assert clock.getDelayedCalls() == []


def test_who_is_done_is_not_told(clock, deadlines, late):
    """Being done stops the count, of the eldest and of any other."""
    for name in "abc":
        deadlines.begin(name)
    deadlines.done("a")
    deadlines.done("c")
    clock.advance(10)
    assert late == ["b"]


def test_another_time_begins_anew_for_everyone(clock, deadlines, late):
    """Whoever is there has the new time from now on; the same time changes nothing."""
    deadlines.begin("a")
    clock.advance(9)
    deadlines.change(10, "ab")
    clock.advance(1)
    assert late == ["a"]
    deadlines.change(5, "bc")
    clock.advance(4)
    assert late == ["a"]
    clock.advance(1)
    assert late == ["a", "b", "c"]


def test_for_ever_and_back(clock, deadlines, late):
    """With no time to keep there is no timer; with one, those who are there are counted."""
    deadlines.begin("a")
    deadlines.change(0, "a")
    assert clock.getDelayedCalls() == []
    deadlines.begin("a")
    clock.advance(1000)
    deadlines.change(2, "a")
    clock.advance(2)
    assert late == ["a"]
    assert clock.getDelayedCalls() == []


def test_the_last_to_be_done_takes_the_timer_with_them(clock, deadlines):
    """When nobody waits any more, no timer is left; being done twice is no error."""
    deadlines.begin("a")
    deadlines.done("a")
    deadlines.done("a")
    assert clock.getDelayedCalls() == []


def test_beginning_again_gives_the_whole_time_anew(clock, deadlines, late):
    """Who is heard of again has the full time from then on, and goes behind the others."""
    deadlines.begin("a")
    clock.advance(1)
    deadlines.begin("b")
    clock.advance(8)
    deadlines.begin("a")
    clock.advance(2)
    assert late == ["b"]
    clock.advance(7.5)
    assert late == ["b"]
    clock.advance(0.5)
    assert late == ["b", "a"]


def test_zero_is_for_ever(clock, late):
    """A deadline of no seconds never passes, and watches nothing."""
    deadlines = Deadlines(clock, 0, late.append)
    deadlines.begin("a")
    deadlines.done("a")
    assert clock.getDelayedCalls() == []
    clock.advance(1e9)
    assert late == []


def test_those_told_may_change_who_waits(clock):
    """Being told may end the wait of another, and begin one's own anew."""
    told = []

    def tell(one):
        told.append(one)
        deadlines.done("b")
        if told == ["a"]:
            deadlines.begin("a")

    deadlines = Deadlines(clock, 10, tell)
    for name in "abc":
        deadlines.begin(name)
    clock.advance(10)
    assert told == ["a", "c"]
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(10)
    assert told == ["a", "c", "a"]


def test_one_who_raises_when_told_does_not_save_the_others(clock):
    """A failure to tell one person is the reactor's to log; the rest are told all the same."""
    told = []

    def tell(one):
        told.append(one)
        if one == "a":
            raise ZeroDivisionError

    deadlines = Deadlines(clock, 10, tell)
    for name in "abc":
        deadlines.begin(name)
    with pytest.raises(ZeroDivisionError):
        clock.advance(10)
    clock.advance(0)
    assert told == ["a", "b", "c"]
