"""Operators of the server: the code that the log shows, for those who have no account yet."""

import re

import pytest
from real import Chat
from town import CODE, Town
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from twisted_chat.chat.account import AccountRecord
from twisted_chat.chat.events import ChatError
from twisted_chat.service import ChatService
from twisted_chat.state.memory import MemoryStore
from twisted_chat.wire.telnet import CONCEAL, REVEAL

PASSWORD = "correct horse"
INVITATION = "{0} has no account yet: connect, then /nick {0} and /register, with the code c{1}"
SHOWN = re.compile(r"ann has no account yet: .* with the code ([0-9a-f]{16})\n")


class Unreadable(MemoryStore):
    """A store that cannot find some accounts."""

    def __init__(self, *names):
        super().__init__()
        self.names = names

    async def account(self, keys):
        if keys[0] in self.names:
            raise ChatError("what was kept before cannot be read now")
        return await super().account(keys)


class Slow(MemoryStore):
    """A store that finds nothing until it is told to."""

    def __init__(self):
        super().__init__()
        self.found = Deferred()

    async def account(self, keys):
        return await self.found


@pytest.fixture
def logged():
    """Give level and words of everything that is logged about accounts."""
    found = []

    def keep(event):
        if "account" in (text := formatEvent(event)):
            found.append((event["log_level"], text))

    globalLogPublisher.addObserver(keep)
    yield found
    globalLogPublisher.removeObserver(keep)


def start(*operators, store=None, **options):
    """Start a chat whose codes are ``c1``, ``c2`` and so on."""
    codes = (f"c{number}" for number in range(1, 100))
    service = ChatService(
        MemoryReactorClock(), operators=operators, store=store, code=codes.__next__, **options
    )
    service.startService()
    return service


def store_with(*names):
    """Make a store that has some accounts."""
    store = MemoryStore()
    for name in names:
        ensureDeferred(store.keep_account(AccountRecord(f"@{name.lower()}", name, "", 0.0)))
    return store


def invitations(*names):
    """Give what is logged for these, in order."""
    return [
        (LogLevel.info, INVITATION.format(name, number)) for number, name in enumerate(names, 1)
    ]


def test_who_has_no_account_is_told_how_to_make_it(logged):
    """There is a line in the log for each, with a code that registers that name and no other."""
    operators = start("ann", "Bob").rooms.operators
    assert logged == invitations("ann", "Bob")
    operators.check_code("ann", "c1")
    operators.check_code("BOB", "c2")
    for name, code in (("ann", "c2"), ("cyd", "c1"), ("ann", "")):
        with pytest.raises(ChatError):
            operators.check_code(name, code)


def test_who_has_an_account_needs_no_code(logged):
    """Nothing is logged, whatever capitals it has."""
    operators = start("ann", "bob", store=store_with("Ann")).rooms.operators
    assert logged == invitations("bob")
    with pytest.raises(ChatError):
        operators.check_code("ann", "c1")


def test_who_is_named_twice_is_one(logged):
    """There is one line and one code, which is worth something."""
    operators = start("ann", "bob", "ann", "ANN").rooms.operators
    assert [text[-2:] for _, text in logged] == ["c1", "c2"]
    operators.check_code("ann", "c1")


def test_nothing_is_logged_without_operators(logged):
    """Nor for those who are none."""
    start(store=store_with("ann"))
    assert logged == []


def test_nobody_is_invited_where_accounts_are_made_elsewhere(logged):
    """With checkers nobody registers here: an operator logs in."""
    checker = InMemoryUsernamePasswordDatabaseDontUse(ann=b"secret")
    start("ann", checkers=[checker])
    assert logged == []


def test_a_store_that_cannot_be_read(logged, logged_failures):
    """The log says so, the others are told all the same, and the chat is there."""
    service = start("ann", "bob", store=Unreadable("ann"))
    trouble = (
        "cannot tell whether ann has an account: what was kept before cannot be read now. "
        "if not, the next start shows the code that makes it"
    )
    assert logged == [(LogLevel.error, trouble), *invitations("bob")]
    assert service.running
    with pytest.raises(ChatError):
        service.rooms.operators.check_code("ann", "c1")
    logged_failures.events.clear()


def test_a_store_that_takes_its_time(logged):
    """The start does not wait for it; until it answers there is no code."""
    store = Slow()
    operators = start("ann", store=store).rooms.operators
    assert logged == []
    with pytest.raises(ChatError):
        operators.check_code("ann", "")
    store.found.callback(None)
    assert logged == invitations("ann")


def test_codes_cannot_be_guessed(logged):
    """Each is of 64 random bits, and another for each start."""
    for _ in range(2):
        ChatService(MemoryReactorClock(), operators=["ann"]).startService()
    one, other = (SHOWN.fullmatch(f"{text}\n")[1] for _, text in logged)
    assert one != other


# Others


def test_who_is_appointed_runs_the_server_at_once():
    """Who is here gains or loses what they may by the next line; their codes go with it."""
    town = Town()
    root, ann = town.registers("root"), town.registers("ann")
    operators = town.nodes[0].operators
    assert ann.asks("/wall hello")[0].startswith("err: ")
    assert [name.text for name in operators.appoint(["ann", "boss"])] == ["ann"]
    assert root.asks("/wall hello")[0].startswith("err: ")
    assert not ann.asks("/wall hello")[0].startswith("err: ")
    operators.check_code("boss", CODE)  # is the same as before
    operators.appoint([])
    operators.appoint(["boss"])
    with pytest.raises(ChatError):
        operators.check_code("boss", CODE)


def test_a_wrong_name_appoints_nobody():
    """One name that nobody can have, and all stays as it was."""
    town = Town()
    with pytest.raises(ChatError):
        town.nodes[0].operators.appoint(["ann", "server"])
    assert [name.text for name in town.nodes[0].operators.names] == ["root", "boss"]


# For real


def registers(person, code):
    """Have someone register, and give the answer to the code, or to the password after it."""
    person.say("/register")
    assert person.read_bytes(len(CONCEAL)) == CONCEAL
    assert person.read().startswith("> type the code ")
    person.say(code)
    assert person.read_bytes(len(REVEAL)) == REVEAL
    if (begun := person.read_bytes(1)) != CONCEAL[:1]:
        return begun.decode() + person.read()
    assert person.read_bytes(len(CONCEAL) - 1) == CONCEAL[1:]
    assert person.read().startswith("> type the password")
    person.say(PASSWORD)
    assert person.read_bytes(len(REVEAL)) == REVEAL
    return person.read()


@pytest.mark.real
def test_an_operator_registers_with_the_code(tmp_path):
    """It is in the log alone, once; when the account is there, no start shows one."""
    with Chat(tmp_path, "--operator", "ann", warm=False) as chat:
        chat.wait_for_log("ann has no account yet")
        [code] = SHOWN.findall(chat.log())
        ann = chat.enter("ann")
        assert (
            registers(ann, "0" * 16) == "err: that is not the code that the log of the server shows"
        )
        assert registers(ann, code) == "> ann is yours now. /login ann brings you back"
        assert chat.log().count(code) == 1
        assert code not in chat.output.read_text()
    with Chat(tmp_path, "--operator", "ann", "--operator", "bob", warm=False) as chat:
        chat.wait_for_log("bob has no account yet")
        assert "ann has no account yet" not in chat.log()
        assert code not in chat.log()
