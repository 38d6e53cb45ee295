"""The gate: what guessing costs, and who may make accounts."""

import pytest
from twisted.cred.checkers import (
    ANONYMOUS,
    AllowAnonymousAccess,
    FilePasswordDB,
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import LoginDenied, UnauthorizedLogin, UnhandledCredentials
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.logger import formatEvent
from zope.interface import implementer

from twisted_chat.accounts.gate import Gate
from twisted_chat.accounts.hashing import TOO_MANY, Hasher
from twisted_chat.chat.account import Account
from twisted_chat.chat.events import ChatError
from twisted_chat.state.memory import MemoryStore
from twisted_chat.testing import ManualClock, ManualWorker

PASSWORD = "correct horse"
WRONG = "that is not the password of that name"
UNKNOWN = "that password cannot be checked now. try again later"
UNUSABLE = "that account cannot be used here: "
ELSEWHERE = "accounts are not made here: log in with the one you have"


class CountingHasher(Hasher):
    """Counts what it checks."""

    checked = 0

    async def verify(self, hash_, password):
        self.checked += 1
        return await super().verify(hash_, password)


class Door:
    """Someone who tries, and a clock."""

    def __init__(self, *checkers):
        self.clock = ManualClock()
        self.hasher = CountingHasher(
            [ManualWorker(self.clock)], time_cost=1, memory_cost=8, parallelism=1
        )
        self.store = MemoryStore()
        self.gate = Gate(self.store, self.hasher, self.clock.seconds)
        if checkers:
            self.asks(*checkers)

    def asks(self, *checkers):
        """Have others asked as well, from now on."""
        self.gate = Gate(self.store, self.hasher, self.clock.seconds, checkers)

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


@implementer(ICredentialsChecker)
class Directory:
    """Accounts elsewhere: answers everything in one way, and keeps what it is asked."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def requestAvatarId(self, credentials):
        self.asked.append((credentials.username, credentials.password))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Later(Directory):
    """Answers by a Deferred."""

    def requestAvatarId(self, credentials):
        return maybeDeferred(super().requestAvatarId, credentials)


REFUSES = UnauthorizedLogin()


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
        assert door.login(password="wrong horse", address=f"198.51.100.{number}") == WRONG
    assert door.login(address="192.0.2.9").startswith("too many wrong passwords. wait for")
    assert door.login(name="bob", address="192.0.2.9") == WRONG
    assert door.hasher.checked == 6


def test_guessing_elsewhere_does_not_keep_the_owner_out(door):
    """Where somebody has logged in, only what is guessed there counts."""
    for number in range(5):
        assert door.login(password="wrong horse", address=f"198.51.100.{number}") == WRONG
    assert door.login() == Account("@ann", "ann")
    for _ in range(5):
        assert door.login(password="wrong horse") == WRONG
    assert door.login().startswith("too many wrong passwords. wait for")


def test_guessing_at_many_names_is_slowed_down(door):
    """It is the address that has to wait, although it has an account that is right."""
    for number in range(5):
        assert door.login(name=f"guest{number}") == WRONG
        assert door.login(address="192.0.2.9") == Account("@ann", "ann")
    assert door.login().startswith("too many wrong passwords. wait for")
    assert door.login(address="192.0.2.9") == Account("@ann", "ann")


def test_many_guesses_at_once_are_many(door):
    """They do not get past because none is known to be wrong yet."""
    answers = door.tries(
        *(door.gate.login("ann", f"wrong {n}", f"198.51.100.{n}") for n in range(20))
    )
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


# SSH keys


def test_the_keys_of_an_account(door):
    """Those of an account that is kept here, and of no other."""
    keys = ("SHA256:b", "SHA256:a")
    assert door.tries(door.gate.ssh_keys("@ann")) == ()
    assert door.tries(door.gate.keep_ssh_keys("@ann", list(keys))) is None
    assert door.tries(door.gate.ssh_keys("@ann")) == keys
    assert door.login() == Account("@ann", "ann")
    for account in ("@bob", "@\u0430nn", "ann"):
        for asked in (door.gate.ssh_keys(account), door.gate.keep_ssh_keys(account, keys)):
            assert door.tries(asked) == "your account is not kept here"


def test_what_changes_while_a_password_is_hashed(door):
    """It is not undone: a key that was removed meanwhile stays so, and an account that is gone."""
    change, keep = door.gate.change("@ann", "battery staple"), ("SHA256:a",)
    assert door.tries(change, door.gate.keep_ssh_keys("@ann", keep)) == [None, None]
    assert door.tries(door.gate.ssh_keys("@ann")) == keep
    assert door.login() == WRONG
    assert door.login(password="battery staple") == Account("@ann", "ann")
    change = door.gate.change("@ann", PASSWORD)
    assert door.tries(change, door.gate.remove("@ann")) == [None, "your account is not kept here"]


def test_whether_accounts_are_elsewhere(door):
    """A door may have to ask for a password where nobody knows of a key."""
    assert door.gate.elsewhere is False
    assert Door(Directory(REFUSES)).gate.elsewhere is True


# Accounts elsewhere


@pytest.mark.parametrize("avatar", [b"bob", "bob"])
def test_whoever_another_knows_is_let_in(avatar):
    """Others are asked about a name that has no account here, and tell whose it is."""
    directory = Directory(avatar)
    door = Door(directory)
    assert door.login("bob@example.org") == Account("@bob", "bob")
    assert directory.asked == [(b"bob@example.org", PASSWORD.encode())]


def test_checkers_of_twisted_are_understood(tmp_path):
    """Those that Twisted brings do as they stand."""
    file = tmp_path / "passwords"
    file.write_text(f"bob:{PASSWORD}\n")
    memory = InMemoryUsernamePasswordDatabaseDontUse(cyd=b"battery staple")
    door = Door(FilePasswordDB(str(file)), memory)
    assert door.login("bob") == Account("@bob", "bob")
    assert door.login("cyd", "battery staple") == Account("@cyd", "cyd")
    assert door.login("cyd") == door.login("dan") == WRONG


def test_an_answer_may_take_its_time():
    """Until then nobody is let in."""
    answer = Deferred()
    door, answers = Door(Directory(answer)), []
    ensureDeferred(door.gate.login("bob", PASSWORD, "")).addCallback(answers.append)
    door.clock.turn()
    assert answers == []
    answer.callback(b"bob")
    assert answers == [Account("@bob", "bob")]


@pytest.mark.parametrize("no", [REFUSES, UnhandledCredentials(), LoginDenied()])
@pytest.mark.parametrize("kind", [Directory, Later])
def test_the_first_who_accepts_wins(kind, no):
    """Others are asked in order, each only if those before it have refused."""
    refuses, accepts, idle = kind(no), kind(b"bob"), kind(b"cyd")
    door = Door(refuses, accepts, idle)
    assert door.login("bob") == Account("@bob", "bob")
    assert [len(one.asked) for one in (refuses, accepts, idle)] == [1, 1, 0]


@pytest.mark.parametrize("name", ["ann", "ANN"])
def test_nobody_else_opens_an_account_of_ours(door, name):
    """About a name that has an account here nobody else is asked."""
    directory = Directory(b"ann")
    door.asks(directory)
    assert door.login(name, "wrong horse") == WRONG
    assert door.login(name) == Account("@ann", "ann")
    assert directory.asked == []


@pytest.mark.parametrize(
    ("avatar", "why"),
    [
        (b"ann", '"ann" is registered already'),
        (b"Ann", '"Ann" is registered already'),
        ("\u0430nn", '"\u0430nn" looks like "ann", which is registered'),
        (b"", "a nick holds no blank"),
        (b"bob smith", "a nick holds no blank"),
        (b"bob@example.org", "a nick holds none of : [ ] * > , / @ #"),
        (b"server", '"server" is reserved'),
        (b"anonymous-2", '"anonymous-2" is kept for people without a name'),
        (b"x" * 33, "a nick holds at most 32 characters"),
        (b"bob\xff", "a nick holds no characters that cannot be shown"),
        ("bob\u3000", '"bob" is not quite its name'),
        ("\uff42ob", '"bob" is not quite its name'),
    ],
)
def test_names_that_cannot_be_used_here(door, avatar, why):
    """Such an account gives no way in, and whoever has it is no guesser."""
    accepts_too = Directory(b"bob")
    door.asks(Directory(avatar), accepts_too)
    for _ in range(20):
        assert door.login("bob") == f"{UNUSABLE}{why}"
    assert accepts_too.asked == []


def test_guessing_at_names_elsewhere_is_slowed_down():
    """It costs what it costs with names here: a check of a hash each, and waits."""
    directory = Directory(REFUSES)
    door = Door(directory)
    for _ in range(5):
        assert door.login("bob") == WRONG
    assert door.login("bob").startswith("too many wrong passwords. wait for")
    assert door.hasher.checked == len(directory.asked) == 5


@pytest.mark.parametrize(
    "broken", [OSError(f"{PASSWORD} is not welcome"), ChatError(PASSWORD), ANONYMOUS, None, 7]
)
@pytest.mark.parametrize("kind", [Directory, Later])
def test_a_checker_that_breaks(kind, broken, logged_failures):
    """That is told as what it is, logged without the password, and others are still asked."""
    directory = kind(broken)
    assert Door(directory).login("bob") == UNKNOWN
    (event,) = logged_failures.events
    told = formatEvent(event)
    assert told.startswith(f"{kind.__name__} could not check a password: ")
    assert PASSWORD not in told
    directory.answer = OSError()
    assert Door(directory, Directory(REFUSES)).login("bob") == UNKNOWN
    assert Door(directory, Directory(b"bob")).login("bob") == Account("@bob", "bob")
    logged_failures.events.clear()


def test_a_checker_that_breaks_gives_no_free_guesses(logged_failures):
    """It may be that it breaks at each wrong password, and at no right one."""
    door = Door(Directory(OSError()))
    for _ in range(5):
        assert door.login("bob") == UNKNOWN
    assert door.login("bob").startswith("too many wrong passwords. wait for")
    logged_failures.events.clear()


def test_accounts_are_made_elsewhere(door):
    """Nobody can register, not even a name that none has; whoever did before comes back."""
    door.asks(Directory(REFUSES))
    assert door.register("bob") == ELSEWHERE
    assert door.login() == Account("@ann", "ann")


def test_only_accounts_of_ours_are_found(door):
    """Others cannot be asked whom they know."""
    door.asks(Directory(b"bob"))
    assert door.tries(door.gate.find("Ann")) == Account("@ann", "ann")
    assert door.tries(door.gate.find("bob")) is None


def test_an_account_elsewhere_is_not_changed_here(door):
    """Neither its password nor that it exists is ours."""
    door.asks(Directory(b"bob"))
    for asked in (door.gate.change("@bob", "battery staple"), door.gate.remove("@bob")):
        assert door.tries(asked) == "your account is not kept here"


@pytest.mark.parametrize("checker", [AllowAnonymousAccess(), object()])
def test_only_passwords_are_checked(checker):
    """What checks anything else is refused at once."""
    with pytest.raises(ValueError, match=f"^{type(checker).__name__} is no checker of"):
        Door(Directory(b"bob"), checker)
