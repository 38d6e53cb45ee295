"""A thread that waits in the reactor's place."""

from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from signal import SIG_BLOCK, pthread_sigmask, valid_signals
from threading import Event, Thread
from time import monotonic
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class IsWorker(Protocol):
    """Does one thing after the other, somewhere else."""

    def do(self, task: Callable[[], T], rest: float = 0.0) -> "Deferred[T]":
        """Have ``task`` done once all before it are; what it gives comes after a rest.

        A task whose answer is cancelled before it has begun is not done.

        :param rest: seconds, from the beginning of the task, in which nothing else is done.
        """

    def hurry(self) -> None:
        """Rest no more."""

    def stop(self) -> None:
        """End, once everything is done that was asked for."""


class Worker:
    """Does things in a thread, which begins with the first of them.

    The process does not wait for the thread to end: it may hang in a disk that never answers.
    """

    def __init__(self, reactor: Any, name: str) -> None:
        """
        :param name: of the thread.
        """
        self._reactor = reactor
        self._name = name
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._hurry = Event()
        self._thread: Thread | None = None

    def do(self, task: Callable[[], T], rest: float = 0.0) -> "Deferred[T]":
        done: Deferred[T] = Deferred()

        def attempt() -> None:
            if done.called:  # given up while it waited
                return
            end = monotonic() + rest
            try:
                result = task()
            except Exception:
                answer = partial(done.errback, Failure())
            else:
                answer = partial(done.callback, result)
            if rest and (left := end - monotonic()) > 0:
                self._hurry.wait(left)
            self._reactor.callFromThread(answer)

        self._tasks.put(attempt)
        if self._thread is None:  # not before a daemon has forked
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return done

    def hurry(self) -> None:
        self._hurry.set()

    def stop(self) -> None:
        self._tasks.put(None)

    def _run(self) -> None:
        pthread_sigmask(SIG_BLOCK, valid_signals())  # they are for the thread of the reactor
        while task := self._tasks.get():
            task()
