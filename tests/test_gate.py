"""The gate: what guessing costs, and who may make accounts."""

import pytest
from twisted.internet.defer import ensureDeferred

from twisted_chat.accounts.gate import Gate
from twisted_chat.accounts.hashing import TOO_MANY, Hasher
from twisted_chat.chat.account import Account
from twisted_chat.chat.events import ChatError
from twisted_chat.state.memory import MemoryStore
from twisted_chat.testing import ManualClock, ManualWorker

PASSWORD = "correct horse"
WRONG = "that is not the password of that name"


class CountingHasher(Hasher):
    """Counts what it checks."""

    checked = 0

    async def verify(self, hash_, password):
        self.checked += 1
        return await super().verify(hash_, password)


class Door:
    """Someone who tries, and a clock."""

    def __init__(self):
        self.clock = ManualClock()
        self.hasher = CountingHasher(
            [ManualWorker(self.clock)], time_cost=1, memory_cost=8, parallelism=1
        )
        self.gate = Gate(MemoryStore(), self.hasher, self.clock.seconds)

    def tries(self, *asked):
        """Ask for some things at once; give the answers, refusals as their words."""
        answers = []
        for one in asked:
            ensureDeferred(one).addErrback(refusal).addCallback(answers.append)
        self.clock.turn()
        return answers if len(asked) > 1 else answers[0]

    def login(self, name="ann", password=PASSWORD, address="192.0.2.1"):
        return self.tries(self.gate.login(name, password, address))

    def register(self, name="ann", address="192.0.2.1"):
        return self.tries(self.gate.register(name, PASSWORD, address))


def refusal(failure):
    failure.trap(ChatError)
    return failure.getErrorMessage()


@pytest.fixture
def door():
    door = Door()
    assert door.register() == Account("@ann", "ann")
    return door


def test_an_unknown_name_costs_the_same(door):
    """A password is checked whether there is such an account or not."""
    assert door.login(password="wrong horse") == WRONG
    assert door.login(name="nobody") == WRONG
    assert door.hasher.checked == 2


def test_a_look_alike_is_not_meant(door):
    """Nobody logs in by a name that only looks like theirs."""
    assert door.login(name="\u0430nn") == WRONG
    assert door.login(name="ANN") == Account("@ann", "ann")


def test_guessing_from_many_addresses_is_slowed_down(door):
    """It is the name that has to wait; another is not concerned."""
    for number in range(5):
        assert door.login(password="wrong horse", address=f"192.0.2.{number}") == WRONG
    assert door.login(address="192.0.2.9").startswith("too many wrong passwords. wait for")
    assert door.login(name="bob", address="192.0.2.9") == WRONG
    assert door.hasher.checked == 6


def test_guessing_at_many_names_is_slowed_down(door):
    """It is the address that has to wait, although it has an account that is right."""
    for number in range(5):
        assert door.login(name=f"guest{number}") == WRONG
        assert door.login(address="192.0.2.9") == Account("@ann", "ann")
    assert door.login().startswith("too many wrong passwords. wait for")
    assert door.login(address="192.0.2.9") == Account("@ann", "ann")


def test_many_guesses_at_once_are_many(door):
    """They do not get past because none is known to be wrong yet."""
    answers = door.tries(*(door.gate.login("ann", f"wrong {n}", f"192.0.2.{n}") for n in range(20)))
    assert answers.count(WRONG) == door.hasher.checked == 5


def test_whoever_comes_from_nowhere_in_particular(door):
    """Over a unix socket, and from within the process, only the name counts."""
    for number in range(20):
        assert door.login(name=f"guest{number}", address="") == WRONG
        assert door.register(name=f"member{number}", address="").name == f"member{number}"


def test_five_accounts_a_day_from_an_address(door):
    """More are refused, until a day has passed since the first."""
    for number in range(4):
        assert door.register(name=f"member{number}").name == f"member{number}"
    refused = "5 accounts a day can be made from one address"
    assert door.register(name="another") == refused
    assert door.register(name="another", address="192.0.2.2").name == "another"
    door.clock.advance(24 * 3600)
    assert door.register(name="yet.another").name == "yet.another"


@pytest.mark.parametrize(("name", "password"), [("x" * 33, PASSWORD), ("ann", "x" * 129)])
def test_what_is_too_long_is_not_looked_at(door, name, password):
    """No account can have such a name or password."""
    assert door.login(name=name, password=password) == "there is no such name or password"
    assert door.hasher.checked == 0


def test_whoever_was_not_checked_has_not_failed(door):
    """Being one too many of those who log in just now is no wrong password."""
    crowd = [door.gate.login(f"guest{n}", PASSWORD, "") for n in range(32)]
    owner = [door.gate.login("ann", PASSWORD, "192.0.2.1") for _ in range(10)]
    answers = door.tries(*crowd, *owner)
    assert answers.count(TOO_MANY) == 10
    assert door.login() == Account("@ann", "ann")
