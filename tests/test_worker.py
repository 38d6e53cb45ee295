"""Threads that wait in the reactor's place."""

import threading
from queue import SimpleQueue

import pytest

from twisted_chat.worker import Worker

SECONDS = 15.0


class Reactor:
    """Keeps what threads would have called."""

    def __init__(self):
        self.calls = SimpleQueue()

    def callFromThread(self, function):
        self.calls.put(function)

    def turn(self):
        self.calls.get(timeout=SECONDS)()


@pytest.fixture
def reactor():
    return Reactor()


@pytest.fixture
def worker(reactor):
    worker = Worker(reactor, "a test")
    yield worker
    worker.hurry()
    worker.stop()


def test_no_thread_before_there_is_something_to_do(worker):
    """Nothing is begun until it is needed: a daemon has forked by then."""
    assert "a test" not in {thread.name for thread in threading.enumerate()}


def test_things_are_done_in_order_in_one_other_thread(reactor, worker):
    """Each is done after the last, and its answer comes in the reactor."""
    threads, answers = set(), []

    def task(number):
        threads.add(threading.current_thread().name)
        return number

    for number in range(100):
        worker.do(lambda number=number: task(number)).addCallback(answers.append)
    for _ in range(100):
        assert threading.current_thread().name not in threads
        reactor.turn()
    assert answers == list(range(100))
    assert threads == {"a test"}


def test_what_fails_is_told_and_the_rest_goes_on(reactor, worker):
    """An exception is the answer to what raised it, and to nothing else."""
    failures, answers = [], []
    worker.do(lambda: 1 / 0).addErrback(failures.append)
    worker.do(lambda: 7).addCallback(answers.append)
    reactor.turn()
    reactor.turn()
    assert failures[0].check(ZeroDivisionError)
    assert answers == [7]


def test_a_rest_comes_before_the_answer_and_the_next(reactor, worker):
    """While it rests nothing is answered, until it is told to hurry."""
    begun, answers = threading.Event(), []
    worker.do(begun.set, rest=1000).addCallback(lambda _: answers.append("first"))
    worker.do(lambda: None).addCallback(lambda _: answers.append("second"))
    assert begun.wait(SECONDS)
    assert reactor.calls.empty()
    worker.hurry()
    reactor.turn()
    reactor.turn()
    assert answers == ["first", "second"]
