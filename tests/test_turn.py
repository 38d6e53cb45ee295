"""The end of a reactor turn, with the real reactor and where there is no event counter."""

import os
import time

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorFromThreads, IReadDescriptor
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from twisted_chat.wire.turn import EndOfTurn, NextTurn, end_of_turn


@pytest.fixture
def turn():
    """Make the end of a turn of the real reactor."""
    turn = end_of_turn(reactor)
    yield turn
    turn.close()


def descriptors():
    return set(os.listdir("/proc/self/fd"))


def test_this_system_has_an_event_counter(turn):
    """On Linux the event counter is chosen, and it is what the reactor asks for."""
    assert isinstance(turn, EndOfTurn)
    verifyObject(IReadDescriptor, turn)
    assert turn.logPrefix() == "EndOfTurn"


@pytest_twisted.ensureDeferred
async def test_functions_are_called_once_in_order_and_not_within_the_call(turn):
    """All that was asked for in a turn is called at its end, in the order of asking."""
    called, done = [], Deferred()
    for number in range(1000):
        turn(lambda number=number: called.append(number))
    turn(lambda: done.callback(None))
    assert called == []
    await done
    assert called == list(range(1000))


@pytest_twisted.ensureDeferred
async def test_a_function_may_ask_for_the_next_turn(turn):
    """What is asked for at the end of a turn is called at the end of the next."""
    called, done = [], Deferred()

    def first():
        turn(lambda: (called.append("second"), done.callback(None)))
        called.append("first")

    turn(first)
    turn(lambda: called.append("beside"))
    await done
    assert called == ["first", "beside", "second"]


@pytest_twisted.ensureDeferred
async def test_it_works_again_and_again(turn):
    """After a turn has ended, the next can be asked for, with one descriptor for all."""
    await _end_of(turn)
    before = descriptors()
    for _ in range(10):
        await _end_of(turn)
    assert descriptors() == before


@pytest_twisted.ensureDeferred
async def test_a_clock_set_back_does_not_stall_it(turn, monkeypatch):
    """An hour set back holds up timers, but not the end of a turn."""
    late = reactor.callLater(0, lambda: None)
    an_hour_ago = time.time() - 3600
    monkeypatch.setattr(time, "time", lambda: an_hour_ago)
    monkeypatch.setattr(reactor, "seconds", lambda: an_hour_ago)
    await _end_of(turn)
    await _end_of(turn)
    assert late.active()
    late.cancel()


@pytest_twisted.ensureDeferred
async def test_a_function_that_raises_is_logged_and_the_others_are_called(turn, logged_failures):
    """A failing function costs neither the others of its turn nor the turns after."""
    called = []

    def fail():
        turn(lambda: called.append("next"))
        raise ZeroDivisionError

    turn(fail)
    turn(lambda: called.append("beside"))
    await _end_of(turn)
    await _end_of(turn)
    assert called == ["beside", "next"]
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


def test_nothing_is_opened_before_it_is_needed():
    """Before the first call there is no descriptor, which a daemon's fork would share."""
    before = descriptors()
    turn = end_of_turn(reactor)
    assert descriptors() == before
    assert turn.fileno() == -1
    turn.close()


@pytest_twisted.ensureDeferred
async def test_closing_gives_everything_back_and_drops_what_waits():
    """A closed one leaves neither descriptor nor reader; it opens again if it must."""
    before, readers = descriptors(), set(reactor.getReaders())
    turn = end_of_turn(reactor)
    called = []
    turn(lambda: called.append("dropped"))
    turn.close()
    turn.close()
    assert (descriptors(), set(reactor.getReaders())) == (before, readers)
    turn(lambda: called.append("kept"))
    await _end_of(turn)
    assert called == ["kept"]
    turn.close()


def test_it_closes_when_the_reactor_ends():
    """A reactor that ends loses its readers: the descriptor is given back."""
    memory, before = MemoryReactorClock(), descriptors()
    turn = end_of_turn(memory)
    turn(lambda: None)
    assert memory.getReaders() == [turn]
    turn.connectionLost(Failure(ConnectionDone()))
    assert (memory.getReaders(), descriptors()) == ([], before)


@pytest_twisted.ensureDeferred
async def test_a_system_without_event_counters_does_it_otherwise(monkeypatch):
    """Where there is no ``eventfd`` the reactor is woken as from a thread."""
    monkeypatch.delattr(os, "eventfd")
    turn = end_of_turn(reactor)
    assert isinstance(turn, NextTurn)
    called = []
    turn(lambda: called.append("one"))
    turn(lambda: called.append("two"))
    assert called == []
    await _end_of(turn)
    assert called == ["one", "two"]
    turn.close()


def test_a_reactor_without_descriptors_does_it_otherwise():
    """A reactor that cannot watch a descriptor is asked to call in its next turn."""

    @implementer(IReactorFromThreads)
    class Loop:
        def __init__(self):
            self.asked = []

        def callFromThread(self, function):
            self.asked.append(function)

    loop, called = Loop(), []
    end_of_turn(loop)(lambda: called.append("one"))
    assert called == []
    loop.asked.pop()()
    assert called == ["one"]


def _end_of(turn):
    done = Deferred()
    turn(lambda: done.callback(None))
    return done
