"""What every store does: the same over memory, over a file and over Redis."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real import wait_until
from redis_server import RedisServer
from twisted.internet.defer import ensureDeferred
from twisted.internet.selectreactor import SelectReactor
from zope.interface.verify import verifyObject

from twisted_chat.chat.account import AccountRecord
from twisted_chat.chat.events import Deed, Emoted, Said, Told, Who
from twisted_chat.chat.kept import Kept
from twisted_chat.chat.names import Name
from twisted_chat.interfaces import IHistory, IStore
from twisted_chat.link import Link, Target
from twisted_chat.state.memory import MemoryStore
from twisted_chat.state.redis import RedisStore
from twisted_chat.state.sqlite import SQLiteStore
from twisted_chat.testing import ManualClock, ManualWorker

ANN = Who("1", None, "ann")
BOB = Who("2", "bob", "bobby")


class Shelf:
    """A store, and someone who asks it."""

    def __init__(self, kind, directory):
        self.clock = ManualClock()
        self.store = (
            MemoryStore()
            if kind == "memory"
            else SQLiteStore(self.clock, directory / "state", worker=ManualWorker)
        )
        self.kept = self.store.open()

    def answer(self, asked):
        """Wait for an answer; what is under way is done meanwhile."""
        answers = []
        ensureDeferred(asked).addCallback(answers.append)
        self.clock.turn()
        if not answers:  # it waits for the disk, which rests
            self.written()
        return answers[0]

    def written(self):
        """Have everything written that waits."""
        for _ in range(5):
            self.clock.turn()
            self.clock.advance(0.01)
        assert self.store.backlog == 0

    def record(self, *lines):
        for one in lines:
            self.store.record(one)

    def history(self, room=1, limit=10_000, since=0.0):
        return [line.id for line in self.answer(self.store.history(room, limit, since))]

    def search(self, *words, room=1, limit=100):
        return [line.id for line in self.answer(self.store.search(room, words, limit))]

    def close(self):
        closing = ensureDeferred(self.store.close())
        self.clock.turn()
        assert closing.called


class RedisShelf(Shelf):
    """The same over a real server, with a reactor of its own that is turned by hand."""

    def __init__(self, server, reactor):
        server.flushall()
        self.reactor = reactor
        # by a name, it would be looked up in a thread, and those need a reactor that runs
        self.link = Link(reactor, Target(path=server.socket))
        self.store = RedisStore(
            reactor, self.link, "one", keep_seconds=1e10, version=lambda: 1_000_000
        )
        self.link.start()
        self.kept = self.store.open()
        self.store.begin(0)
        self.until(lambda: server.ask("EXISTS", "tcpchat:scribe"), "a scribe")

    def until(self, condition, what):
        wait_until(lambda: condition() or self.reactor.iterate(0.01), what)

    def answer(self, asked):
        answers = []
        ensureDeferred(asked).addBoth(answers.append)
        self.until(lambda: answers, "an answer")
        return answers[0]

    def written(self):
        self.until(lambda: len(self.store.condition()) == 1, "all to be written")
        assert self.store.backlog == 0

    def close(self):
        self.answer(self.store.close())
        self.answer(self.link.stop())


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server, SelectReactor()


@pytest.fixture(
    params=["memory", "sqlite", pytest.param("redis", marks=[pytest.mark.real, pytest.mark.redis])]
)
def shelf(request, tmp_path):
    if request.param == "redis":
        shelf = RedisShelf(*request.getfixturevalue("redis"))
    else:
        shelf = Shelf(request.param, tmp_path)
    yield shelf
    shelf.close()


@pytest.fixture(params=["at once", "later"])
def shelves(request, shelf):
    """Ask while nothing is written yet, or when all is."""
    shelf.settle = shelf.written if request.param == "later" else lambda: None
    return shelf


def line(number, text="", *, room=1, time=None, kind=Said, who=ANN):
    """Make a line as the backplane numbers it."""
    made = kind(who, room, text or f"line {number}")
    made.id, made.time = number, float(number) if time is None else time
    return made


def test_it_is_a_store(shelf):
    """It provides what the rules ask of a store; a new one knows nothing, and has nothing to do."""
    assert verifyObject(IStore, shelf.store)
    assert verifyObject(IHistory, shelf.store)
    assert shelf.kept == Kept()
    assert shelf.store.backlog == 0
    assert shelf.history() == []
    assert all(isinstance(words, str) for words in shelf.store.condition())


def test_lines_come_back_oldest_first(shelves):
    """The newest lines of one room come back in order, says and emotes alike."""
    shelves.record(line(1), line(2, room=2), line(3, kind=Emoted), line(4))
    shelves.settle()
    assert shelves.history() == [1, 3, 4]
    assert shelves.history(limit=2) == [3, 4]
    assert shelves.history(limit=0) == []
    assert shelves.history(room=2) == [2]
    assert shelves.history(room=3) == []


def test_a_line_comes_back_whole(shelves):
    """Nothing of a line is lost, whatever one can type."""
    lines = [
        line(1, 'it\'s "quoted" \\ 100% _ ; -- [x] {y}'),
        line(2, "żółw 鲸 👩\u200d👩\u200d👧 e\u0301 \ufffd", kind=Emoted, who=BOB),
        line(3, "x" * 60_000),
        line(4, "null", who=Who("3", None, "żaba")),
    ]
    shelves.record(*lines)
    shelves.settle()
    assert shelves.answer(shelves.store.history(1, 10)) == lines


def test_since(shelves):
    """Lines older than asked for are left out, one of just that time is not."""
    shelves.record(*map(line, range(1, 6)))
    shelves.settle()
    assert shelves.history(since=3.0) == [3, 4, 5]
    assert shelves.history(since=3.5) == [4, 5]
    assert shelves.history(limit=1, since=3.0) == [5]
    assert shelves.history(since=9.0) == []


def test_a_line_that_comes_again_is_kept_once(shelves):
    """A line that is kept already is ignored, and so is any that is older than the last."""
    shelves.record(*map(line, (1, 2, 2, 1, 3, 2)))
    shelves.settle()
    shelves.record(*map(line, (3, 1)))
    shelves.settle()
    assert shelves.history() == [1, 2, 3]


def test_an_erased_room_is_gone(shelves):
    """Erasing forgets all lines of one room, and of no other."""
    shelves.record(*(line(n, room=n % 2) for n in range(1, 5)))
    shelves.settle()
    shelves.store.erase(1)
    shelves.store.erase(7)
    shelves.written()
    assert shelves.history(room=1) == []
    assert shelves.history(room=0) == [2, 4]


def test_a_search_is_newest_first(shelves):
    """All words must be in a line, anywhere and in any letter case."""
    shelves.record(
        line(1, "Green tea"),
        line(2, "black TEA", kind=Emoted),
        line(3, "steam"),
        line(4, "green team", room=2),
        line(5, "coffee"),
    )
    shelves.settle()
    assert shelves.search("tea") == [3, 2, 1]
    assert shelves.search("TEA", "green") == [1]
    assert shelves.search("tea", limit=2) == [3, 2]
    assert shelves.search("milk") == []
    assert shelves.search("tea", room=2) == [4]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("100% sure", "%"),
        ("snake_case", "_"),
        ("it's", "'"),
        ('say "hi"', '"hi"'),
        ("a\\b", "\\"),
        ("x; DROP TABLE lines", ";"),
        ("a*b?[c]", "?[c]"),
        ("Straße", "STRASSE"),
        ("STRASSE", "straße"),
        ("ŻÓŁW", "żółw"),
        ("e\u0301te\u0301", "\u00c9T\u00c9"),
        ("\u212aelvin", "kelvin"),
        ("kelvin", "\u212aELVIN"),
        ("👩\u200d👩\u200d👧", "👧"),
        ("\ufffd", "\ufffd"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ],
)
def test_anything_can_be_searched_for(shelves, text, word):
    """No character means anything but itself, and letter case does not count."""
    shelves.record(line(1, "nothing of the kind"), line(2, f"so {text} so"))
    shelves.settle()
    assert shelves.search(word) == [2]


def test_what_was_forgotten_is_gone(shelves):
    """All that someone has said is erased, in all rooms, up to when they asked."""
    shelves.record(
        line(1), line(2, who=BOB), line(3, room=2), line(4, room=2, who=BOB), line(5), line(6)
    )
    shelves.settle()
    shelves.store.forget(ANN.identity, 5)
    assert shelves.history() == [2, 6]
    assert shelves.search("line", room=2) == [4]
    shelves.written()
    assert shelves.history() == [2, 6]
    shelves.store.forget(BOB.identity, 6)
    shelves.record(line(7, who=BOB))
    assert shelves.history() == [6, 7]
    shelves.written()
    assert shelves.history() == [6, 7]
    assert shelves.history(room=2) == []


def test_forgetting_again(shelves):
    """Who asks twice loses what was said in between as well; it is the account that counts."""
    first, second = Who("8", "eve", "eve"), Who("9", "eve", "evelyn")
    shelves.record(line(1, who=first))
    shelves.store.forget("eve", 1)
    shelves.record(line(2, who=second), line(3))
    shelves.store.forget("eve", 3)
    shelves.settle()
    assert shelves.history() == [3]
    shelves.written()
    assert shelves.history() == [3]


RECORD = AccountRecord("@żółw", "Żółw", "$argon2id$...", 12.5)


def test_an_account(shelf):
    """It is found by each of the keys of its name, as it was kept last, until it is dropped."""
    keys = Name.of("Żółw").keys
    assert shelf.answer(shelf.store.account(keys)) is None
    shelf.answer(shelf.store.keep_account(RECORD))
    assert shelf.answer(shelf.store.account(keys)) == RECORD
    for key in keys:
        assert shelf.answer(shelf.store.account((key,))) == RECORD
    assert shelf.answer(shelf.store.account(("żółwik",))) is None
    other = RECORD._replace(secret="other")
    shelf.answer(shelf.store.keep_account(other))
    assert shelf.answer(shelf.store.account(keys)) == other
    shelf.answer(shelf.store.drop_account(RECORD.id))
    assert shelf.answer(shelf.store.account(keys)) is None
    shelf.answer(shelf.store.keep_account(RECORD))
    assert shelf.answer(shelf.store.account(keys)) == RECORD


def test_the_keys_of_an_account(shelf):
    """They are kept in order, whatever else is changed, and go with it."""
    keys = Name.of("Żółw").keys
    with_keys = RECORD._replace(ssh_keys=("SHA256:b/+", "SHA256:a"))
    shelf.answer(shelf.store.keep_account(RECORD))
    assert shelf.answer(shelf.store.account(keys)).ssh_keys == ()
    for record in (with_keys, with_keys._replace(secret="other"), RECORD, with_keys):
        shelf.answer(shelf.store.keep_account(record))
        assert shelf.answer(shelf.store.account(keys)) == record
    shelf.answer(shelf.store.drop_account(RECORD.id))
    assert shelf.answer(shelf.store.account(keys)) is None
    shelf.answer(shelf.store.keep_account(RECORD))
    assert shelf.answer(shelf.store.account(keys)) == RECORD


def test_letters(shelf):
    """They wait for an account, oldest first, until they are dropped; so many, and no more."""
    letters = []
    for number in range(1, 4):
        letters.append(Told(ANN, Who("", "@bob", "bob"), f"it's {number}"))
        letters[-1].id, letters[-1].time = number, float(number)
        shelf.store.keep_letter(letters[-1])
    assert shelf.answer(shelf.store.letters("@bob")) == letters
    assert shelf.answer(shelf.store.letters("@ann")) == []
    shelf.store.drop_letters("@bob", 2)
    assert shelf.answer(shelf.store.letters("@bob")) == letters[2:]
    for number in range(4, 204):
        letter = Told(BOB, Who("", "@bob", "bob"), "more")
        letter.id = number
        shelf.store.keep_letter(letter)
    assert [one.id for one in shelf.answer(shelf.store.letters("@bob"))] == list(range(3, 103))


def test_letters_go_with_the_account(shelf):
    """Whoever takes the name later has nothing to do with them."""
    letter = Told(ANN, Who("", RECORD.id, RECORD.name), "for your eyes only")
    letter.id = 7
    shelf.answer(shelf.store.keep_account(RECORD))
    shelf.store.keep_letter(letter)
    shelf.answer(shelf.store.drop_account(RECORD.id))
    shelf.answer(shelf.store.keep_account(RECORD))
    assert shelf.answer(shelf.store.letters(RECORD.id)) == []


def deed(number, words="kicked bob"):
    return Deed(number, 7.5, ANN._replace(account="@ann"), "tea", words)


def test_deeds(shelf):
    """They come back whole, the newest, oldest first, and each is kept once."""
    assert list(shelf.answer(shelf.store.deeds(5))) == []
    for number in (1, 2, 3, 3):
        shelf.store.note(deed(number, "kicked 'bob\" \N{SNOWMAN}"))
    found = list(shelf.answer(shelf.store.deeds(2)))
    assert found == [deed(2, "kicked 'bob\" \N{SNOWMAN}"), deed(3, "kicked 'bob\" \N{SNOWMAN}")]


def test_deeds_are_bounded(monkeypatch, shelf):
    """The eldest make way."""
    monkeypatch.setattr("twisted_chat.state.audit.DEEDS", 1000)
    monkeypatch.setattr("twisted_chat.state.redis_scribe.DEEDS", 1000)
    for number in range(1, 1101):
        shelf.store.note(deed(number))
        if number % 100 == 0:
            shelf.written()
    found = shelf.answer(shelf.store.deeds(2000))
    assert [one.id for one in found] == list(range(101, 1101))


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(WORDS, min_size=1, max_size=20), word=WORDS)
def test_both_stores_find_the_same(texts, word, tmp_path_factory):
    """Whatever was said and is looked for, memory and file agree."""
    found = []
    for kind in ("memory", "sqlite"):
        shelf = Shelf(kind, tmp_path_factory.mktemp("state"))
        shelf.record(*(line(number, text) for number, text in enumerate(texts, 1)))
        shelf.written()
        found.append(shelf.search(word))
        ensureDeferred(shelf.store.close())
        shelf.clock.turn()
    assert found[0] == found[1]
