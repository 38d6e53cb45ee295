"""Hashes of passwords: what is checked, what is refused, and what is never shown."""

from collections import deque

import pytest
from argon2 import PasswordHasher, extract_parameters
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.logger import formatEvent
from twisted.python.failure import Failure

from twisted_chat.accounts.hashing import Hasher
from twisted_chat.chat.events import ChatError
from twisted_chat.testing import ManualClock, ManualWorker

CHEAP = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}
PASSWORD = "correct horse"
REFUSED = "too many people log in just now. try again in a moment"
A_HASH = PasswordHasher(**CHEAP).hash(PASSWORD)


class Desk:
    """A hasher, and those who ask it."""

    def __init__(self):
        self.clock = ManualClock()
        self.hasher = Hasher([ManualWorker(self.clock), ManualWorker(self.clock)], **CHEAP)

    def answer(self, asked):
        """Wait for an answer."""
        answers = []
        ensureDeferred(asked).addBoth(answers.append)
        self.clock.turn()
        return answers[0]


class SlowWorker:
    """Keeps what it is to do until it is told to do the next."""

    def __init__(self):
        self.tasks = deque()

    def do(self, task):
        done = Deferred()
        self.tasks.append((task, done))
        return done

    def next(self):
        task, done = self.tasks.popleft()
        try:
            done.callback(task())
        except Exception:
            done.errback(Failure())


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def workers():
    return SlowWorker(), SlowWorker()


@pytest.fixture
def hasher(workers):
    return Hasher(workers, **CHEAP)


@pytest.fixture
def hashed(monkeypatch):
    """What argon2 was asked to do: its operations, each with the parameters."""
    operations = []
    make, check = PasswordHasher.hash, PasswordHasher.verify

    def counted_hash(self, password):
        operations.append(self._parameters)
        return make(self, password)

    def counted_verify(self, hash, password):  # noqa: A002
        operations.append(extract_parameters(hash))
        return check(self, hash, password)

    monkeypatch.setattr(PasswordHasher, "hash", counted_hash)
    monkeypatch.setattr(PasswordHasher, "verify", counted_verify)
    return operations


def ask(hasher, times):
    """Ask for so many hashes; the answers come into the list that this gives."""
    answers = []
    for _ in range(times):
        ensureDeferred(hasher.hash(PASSWORD)).addBoth(answers.append)
    return answers


def words(answers):
    """Tell what those were told who got an answer: that they are refused."""
    assert all(answer.check(ChatError) for answer in answers)
    return [answer.getErrorMessage() for answer in answers]


# What is checked


def test_a_password_and_its_hash(desk):
    """A hash is of the password that it was made of, and of no other."""
    kept = desk.answer(desk.hasher.hash(PASSWORD))
    assert kept.startswith("$argon2id$")
    assert desk.answer(desk.hasher.verify(kept, PASSWORD)) is True
    assert desk.answer(desk.hasher.verify(kept, PASSWORD + " ")) is False
    assert desk.answer(desk.hasher.verify(kept, "")) is False


def test_two_hashes_of_one_password_differ(desk):
    """Nobody sees from the hashes that two have the same password."""
    assert desk.answer(desk.hasher.hash(PASSWORD)) != desk.answer(desk.hasher.hash(PASSWORD))


@pytest.mark.parametrize("password", ["", "näïve ☂", "half \udc80 a letter", "a\0b", "x" * 100_000])
def test_any_text_is_a_password(desk, password):
    """What cannot be encoded, or is nothing at all, is a password like others."""
    kept = desk.answer(desk.hasher.hash(password))
    assert desk.answer(desk.hasher.verify(kept, password)) is True
    assert desk.answer(desk.hasher.verify(kept, password + "y")) is False


def test_an_unknown_name_costs_the_same(desk, hashed):
    """Without an account as much is hashed as with a wrong password, also the first time."""
    assert desk.answer(desk.hasher.verify(None, PASSWORD)) is False
    unknown = hashed.copy()
    hashed.clear()
    assert desk.answer(desk.hasher.verify(A_HASH, "wrong")) is False
    assert unknown == hashed
    assert len(hashed) == 1


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "nonsense",
        "$argon2id$",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdA",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$!!!!",
        "$argon2id$ünlesbar",
        A_HASH[:-1] + "\n",
        A_HASH.replace("m=8", "m=0"),
        "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
    ],
    ids=[f"malformed-{number}" for number in range(9)],
)
def test_a_malformed_hash_is_nobodys(desk, logged_failures, malformed):
    """Nobody logs in with it, and the log says so without it."""
    assert desk.answer(desk.hasher.verify(malformed, PASSWORD)) is False
    [event] = logged_failures.events
    logged_failures.events.clear()
    assert formatEvent(event).startswith("a password cannot be checked: ")
    assert PASSWORD not in repr(event)
    assert not malformed or malformed not in repr(event)
    assert "log_failure" not in event


# Where, and how many at a time


def test_nothing_is_hashed_but_by_a_worker(hasher, workers, hashed):
    """The reactor hashes nothing: not to begin with, not for a known name, nor an unknown one."""
    answers = ask(hasher, 1)
    for kept in (A_HASH, None):
        ensureDeferred(hasher.verify(kept, PASSWORD)).addBoth(answers.append)
    assert hashed == []
    assert answers == []
    for worker in workers:
        while worker.tasks:
            worker.next()
    assert len(hashed) == 3
    assert answers[1:] in ([True, False], [False, True])


def test_the_work_goes_to_who_has_less_to_do(hasher, workers):
    """Two are at work at once, and none waits behind a worker while the other is idle."""
    first, second = workers
    ask(hasher, 10)
    assert (len(first.tasks), len(second.tasks)) == (5, 5)
    for _ in range(5):
        second.next()
    ask(hasher, 5)
    assert (len(first.tasks), len(second.tasks)) == (5, 5)


def test_the_thirty_third_is_refused(hasher, workers, hashed):
    """At most 32 are asked for at a time; the next is refused at once, until one is done."""
    answers = ask(hasher, 33)
    assert words(answers) == [REFUSED]
    ensureDeferred(hasher.verify(None, PASSWORD)).addBoth(answers.append)
    ensureDeferred(hasher.verify(A_HASH, PASSWORD)).addBoth(answers.append)
    assert words(answers) == [REFUSED] * 3
    assert hashed == []
    workers[1].next()
    assert len(answers) == 4
    assert words(ask(hasher, 2)) == [REFUSED]


def test_when_they_are_done_one_may_try_again(hasher, workers):
    """However each of them ended, all have their place again."""
    answers = ask(hasher, 16)
    for _ in range(16):
        ensureDeferred(hasher.verify(None, PASSWORD)).addBoth(answers.append)
    for worker in workers:
        for _ in range(16):
            worker.next()
    assert answers.count(False) == 16
    assert words(ask(hasher, 33)) == [REFUSED]


def test_who_goes_away_makes_no_room(hasher, workers):
    """A hash that nobody waits for any more has its place until it is made."""
    gone = [ensureDeferred(hasher.hash(PASSWORD)) for _ in range(32)]
    for asked in gone:
        asked.addErrback(lambda failure: failure.trap(CancelledError))
        asked.cancel()
    assert words(ask(hasher, 1)) == [REFUSED]
    workers[0].next()
    assert ask(hasher, 1) == []


# What is never shown


def test_a_password_is_in_no_task(hasher, workers):
    """Neither the hasher nor what it gives to a worker shows a password."""
    ask(hasher, 1)
    ensureDeferred(hasher.verify(A_HASH, PASSWORD))
    shown = repr(hasher) + "".join(repr(worker.tasks) for worker in workers)
    assert PASSWORD not in shown
    assert A_HASH not in shown


def test_a_password_is_in_no_error(hasher, workers, monkeypatch):
    """If argon2 fails, the one who asked gets its error, which does not show the password."""

    def fail(self, password):
        raise MemoryError

    monkeypatch.setattr(PasswordHasher, "hash", fail)
    answers = ask(hasher, 1)
    workers[0].next()
    [failure] = answers
    assert failure.check(MemoryError)
    assert PASSWORD not in repr(failure.value) + failure.getTraceback()
