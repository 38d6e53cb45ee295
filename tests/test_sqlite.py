"""The store in a file: what waits, what fails, what is not kept any longer."""

import sqlite3
from contextlib import closing

import pytest
from twisted.internet.defer import Deferred, ensureDeferred

from twisted_chat.chat.account import AccountRecord
from twisted_chat.chat.charter import Charter, Sanction, key_digest
from twisted_chat.chat.events import ChatError, Said, Told, Who
from twisted_chat.chat.kept import Kept, KeptRoom, StateError
from twisted_chat.state import archive, journal
from twisted_chat.state.database import Database, migrations
from twisted_chat.state.sqlite import SQLiteStore
from twisted_chat.testing import ManualClock, ManualWorker

ANN = Who("1", None, "ann")
SAFE = "what is said is safe on disk after {} ms, at worst of the last minute"
FAILING = "the disk fails: what is said is kept in memory until it can be written"


class Desk:
    """A store in a file, and a clock."""

    def __init__(self, directory, **options):
        self.clock = ManualClock()
        self.path = directory / "state.sqlite"
        self.options = options
        self.begin()

    def begin(self):
        """Open the file, as a process does that starts."""
        self.store = SQLiteStore(self.clock, self.path, worker=ManualWorker, **self.options)
        self.kept = self.store.open()
        self.clock.turn()

    def end(self):
        """Close it, as a process does that ends in order."""
        closing = ensureDeferred(self.store.close())
        self.clock.turn()
        assert closing.called

    def crash(self):
        """End as if the power was cut: nothing more is written."""
        self.store._database.close()
        self.clock = ManualClock(self.clock.seconds())  # nothing happens on the old one

    def fills_the_disk(self, full=True):
        """Have SQLite find that no file can grow, or that they can again."""
        most = 1 if full else 1_000_000
        self.store._database.connection.execute(f"PRAGMA max_page_count = {most}")

    def says(self, *numbers, room=1, who=ANN, text="line"):
        for number in numbers:
            line = Said(who, room, f"{text} {number}")
            line.id, line.time = number, self.clock.seconds()
            self.store.record(line)

    def passes(self, seconds):
        """Let time go by, in the steps in which things happen."""
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            self.clock.turn()
            self.clock.advance(min(0.01, end - self.clock.seconds()))
        self.clock.turn()

    def answer(self, asked):
        answers = []
        ensureDeferred(asked).addBoth(answers.append)
        self.clock.turn()
        return answers[0]

    def history(self, room=1, limit=100_000):
        return [line.id for line in self.answer(self.store.history(room, limit))]

    def on_disk(self, query="SELECT id FROM lines ORDER BY id"):
        """See what is in the file, with a connection of one's own."""
        with closing(sqlite3.connect(self.path)) as connection:
            return [one for (one,) in connection.execute(query)]


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.end()


# What was there before


def test_accounts_from_before_there_were_keys(tmp_path):
    """They have none, and are as they were otherwise."""
    old = Database(tmp_path / "state.sqlite", migrations()[:4])
    old.open()
    old.connection.execute("INSERT INTO accounts VALUES ('@ann', 'Ann', '$argon2id$...', 12.5)")
    old.connection.execute("INSERT INTO account_keys VALUES ('ann', '@ann')")
    old.close()
    desk, record = Desk(tmp_path), AccountRecord("@ann", "Ann", "$argon2id$...", 12.5)
    assert desk.answer(desk.store.account(["ann"])) == record
    ensureDeferred(desk.store.keep_account(record._replace(ssh_keys=("SHA256:a",))))
    desk.passes(0.1)
    desk.end()
    desk.begin()
    assert desk.answer(desk.store.account(["ann"])) == record._replace(ssh_keys=("SHA256:a",))
    desk.end()


# What waits


def test_what_comes_together_is_written_together(desk):
    """One transaction for all that has come meanwhile, one after the other."""
    desk.passes(0.5)
    desk.says(1)
    desk.says(2, 3)
    assert desk.on_disk() == []
    desk.clock.turn()
    assert desk.on_disk() == [1]
    desk.says(4)
    desk.passes(journal.GATHER_SECONDS)
    assert desk.on_disk() == [1, 2, 3, 4]


def test_the_backlog_is_what_is_not_safe_yet(desk):
    """It grows with what is said, in bytes, and falls when that is on disk."""
    desk.passes(1)
    assert desk.store.backlog == 0
    desk.says(1)
    one = desk.store.backlog
    assert one > len("line 1")
    desk.says(2, 3)
    assert desk.store.backlog == 3 * one
    desk.passes(1)
    assert desk.store.backlog == 0


def test_the_worst_delay_of_the_last_minute(desk):
    """It is the time from the line to the disk, of the line that had to wait for longest."""
    desk.passes(1)
    assert desk.store.condition() == [SAFE.format(0)]
    desk.says(1)
    desk.clock.advance(0.25)
    desk.passes(1)
    assert desk.store.condition() == [SAFE.format(250)]
    desk.passes(61)
    assert desk.store.condition() == [SAFE.format(0)]


def test_a_stop_in_order_loses_nothing(desk):
    """What waits when the store is closed is there when it is opened again."""
    desk.store.keep(KeptRoom(1, "tea", "", None))
    desk.says(*range(1, 1000))
    desk.end()
    desk.begin()
    assert desk.history() == list(range(1, 1000))


def test_rooms_come_back(desk):
    """Names, topics and since when a room is empty outlive the process, ids go on."""
    charter = Charter(
        owner="@ann",
        operators=("@bob", "@żółw"),
        invited=("@cyd",),
        locked=True,
        key=key_digest("tea", "sesame"),
        slow=5,
        sanctions=(Sanction("ban", "10.0.0.0/8", "eve", "ann", "'\"\\", 1.0, None),),
    )
    rooms = (KeptRoom(1, "tea", "leaves", None, charter), KeptRoom(7, "Żółw", "", 12.5))
    for room in (KeptRoom(1, "tea", "", 3.0), *rooms, KeptRoom(9, "gone", "", None)):
        desk.store.keep(room)
    desk.store.erase(9)
    desk.says(5)
    desk.says(20, room=7)
    desk.end()
    desk.begin()
    assert desk.kept == Kept(20, rooms)
    assert desk.on_disk("PRAGMA integrity_check") == ["ok"]


def test_ids_go_on_after_letters_too(desk):
    """What was kept last may have been a letter, and its id is not used again."""
    letter = Told(ANN, Who("", "@bob", "bob"), "hi")
    letter.id = 77
    desk.store.keep_letter(letter)
    desk.end()
    desk.begin()
    assert desk.kept.last_id == 77


# What fails


def test_a_full_disk(desk, logged_failures):
    """The chat goes on; what was said is kept, shown, and written when there is room again."""
    desk.says(1)
    desk.passes(1)
    desk.fills_the_disk()
    desk.says(*range(2, 200), text="x" * 1000)
    desk.passes(5)
    assert desk.store.condition()[0] == FAILING
    assert desk.store.backlog == 0
    desk.says(200)
    desk.passes(5)
    assert desk.history() == list(range(1, 201))
    assert desk.on_disk() == [1]
    desk.fills_the_disk(full=False)
    desk.passes(5)
    assert desk.on_disk() == list(range(1, 201))
    assert desk.history() == list(range(1, 201))
    assert FAILING not in desk.store.condition()
    (told,) = logged_failures.events
    assert str(told["path"]) == str(desk.path)
    assert "full" in str(told["why"])
    logged_failures.events.clear()


def test_what_is_too_much_is_counted(desk, logged_failures, monkeypatch):
    """While the disk fails so much is held; what is more is lost, and said to be."""
    monkeypatch.setattr(journal, "HELD", 100_000)
    desk.fills_the_disk()
    desk.says(*range(1, 201), text="x" * 1000)
    desk.passes(3)
    kept = desk.history()
    lost = 200 - len(kept)
    assert kept == list(range(1, len(kept) + 1))
    assert 100 < lost < 200
    assert desk.store.condition() == [FAILING, f"{lost} lines could not be kept since the start"]
    desk.fills_the_disk(full=False)
    desk.passes(3)
    assert desk.on_disk() == kept
    assert desk.store.condition()[1:] == [f"{lost} lines could not be kept since the start"]
    logged_failures.events.clear()


def test_a_stop_while_the_disk_fails(desk, logged_failures):
    """One more attempt is made; then the end is not held up, and the loss is in the log."""
    desk.fills_the_disk()
    desk.says(1, 2, 3, text="x" * 9000)
    desk.passes(3)
    desk.end()
    lost = [event["lost"] for event in logged_failures.events if "lost" in event]
    assert lost == [3]
    logged_failures.events.clear()
    desk.begin()
    assert desk.history() == []


def test_a_disk_that_comes_back_in_time_for_the_stop(desk, logged_failures):
    """What could not be written for a while is written at the end, if it can be then."""
    desk.fills_the_disk()
    desk.says(1, 2, 3, text="x" * 9000)
    desk.passes(3)
    desk.fills_the_disk(full=False)
    desk.end()
    logged_failures.events.clear()
    assert desk.on_disk() == [1, 2, 3]
    desk.begin()


def test_a_disk_that_does_not_answer(tmp_path, logged_failures):
    """After a while that counts as a fault: nobody waits for it, and it may come back."""
    stuck = []

    class StuckWorker(ManualWorker):
        def do(self, task, rest=0.0):
            if "writer" in self.name and stuck:
                stuck.append((task, rest, Deferred()))
                return stuck[-1][2]
            return super().do(task, rest)

    desk = Desk(tmp_path)
    desk.end()
    desk.store = SQLiteStore(desk.clock, desk.path, worker=StuckWorker)
    desk.store.open()
    desk.passes(0.5)
    stuck.append(None)
    desk.says(1, 2)
    assert desk.store.backlog > 0
    desk.clock.advance(journal.STALLED_SECONDS)
    assert desk.store.backlog == 0
    assert desk.store.condition() == [FAILING]
    assert desk.history() == [1, 2]
    (_, (task, _, done)) = stuck
    stuck.clear()
    done.callback(task())
    desk.passes(1)
    assert desk.on_disk() == [1, 2]
    assert FAILING not in desk.store.condition()
    assert len(logged_failures.events) == 1
    logged_failures.events.clear()
    desk.end()


def test_a_line_that_cannot_be_written_stops_no_other(desk, logged_failures):
    """What no file takes is lost with what came along, and nothing after it."""
    desk.passes(1)
    desk.says(1, who=Who("1", None, object()))
    desk.passes(1)
    desk.says(2)
    desk.passes(1)
    assert desk.on_disk() == [2]
    assert desk.store.condition()[1:] == ["1 lines could not be kept since the start"]
    assert logged_failures.flush(Exception)


def test_a_file_that_was_removed(desk, logged_failures):
    """It is written again, with all that was in it."""
    desk.says(1, 2)
    desk.passes(1)
    assert desk.history() == [1, 2]
    for file in desk.path.parent.iterdir():
        file.unlink()
    desk.says(3)
    desk.passes(5)
    assert desk.on_disk() == [1, 2, 3]
    assert desk.history() == [1, 2, 3]
    desk.says(4)
    desk.passes(1)
    assert desk.on_disk() == [1, 2, 3, 4]
    assert "removed" in str(logged_failures.events[0]["why"])
    logged_failures.events.clear()


def test_a_past_that_cannot_be_read(desk, logged_failures):
    """Who asks is told so, and later it can be."""
    desk.says(1)
    desk.passes(1)
    away = desk.path.with_name("away")
    desk.path.rename(away)
    refused = desk.answer(desk.store.history(1, 10))
    assert refused.check(ChatError)
    assert refused.getErrorMessage() == "what was kept before cannot be read now"
    away.rename(desk.path)
    assert desk.history() == [1]


def test_a_file_that_cannot_be_read_at_the_start(tmp_path):
    """It is refused in one line, and let go."""
    desk = Desk(tmp_path)
    desk.says(*range(1, 2000))
    desk.end()
    content = bytearray(desk.path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    desk.path.write_bytes(content)
    with pytest.raises(StateError, match="malformed"):
        desk.begin()
    desk.path.unlink()
    desk.begin()
    desk.end()


# What is not kept any longer


def test_old_lines_go(tmp_path):
    """After the time that is set, lines go; younger ones stay."""
    desk = Desk(tmp_path, keep_seconds=3600)
    desk.store.keep(KeptRoom(1, "tea", "", None))
    desk.says(1, 2)
    desk.passes(1)
    desk.clock.advance(3000)
    desk.says(3)
    desk.passes(1)
    desk.clock.advance(700)
    desk.passes(2)
    assert desk.on_disk() == [3]
    desk.clock.advance(3600)
    desk.passes(2)
    assert desk.on_disk() == []
    desk.end()


def test_fewer_lines_are_kept_from_now_on(tmp_path):
    """What is too much by another measure goes from every room, also where nothing is said."""
    desk = Desk(tmp_path)
    desk.store.keep(KeptRoom(1, "tea", "", None))
    desk.says(*range(1, 201))
    left = []
    for seconds, lines in ((10_000, 1000), (10_000, 50), (1, 50)):
        desk.store.keep_for(seconds, lines)
        desk.passes(1)
        desk.clock.advance(60)
        desk.passes(2)
        left.append(desk.on_disk())
    assert left == [list(range(1, 201)), list(range(151, 201)), []]
    desk.end()


def test_too_many_lines_go(tmp_path):
    """A room keeps its newest; another room keeps all of its few."""
    desk = Desk(tmp_path, keep_lines=50)
    for room in (1, 2):
        desk.store.keep(KeptRoom(room, f"room{room}", "", None))
    desk.says(*range(1, 201))
    desk.says(*range(201, 241), room=2)
    desk.passes(1)
    desk.clock.advance(60)
    desk.passes(2)
    assert desk.on_disk() == list(range(151, 241))
    desk.end()


def test_much_is_erased_in_slices(tmp_path, monkeypatch):
    """No transaction takes long, however much is to go, and what is said goes between them."""
    monkeypatch.setattr(archive, "SLICE", 100)
    desk = Desk(tmp_path)
    desk.store.keep(KeptRoom(1, "tea", "", None))
    desk.says(*range(1, 1001))
    desk.says(*range(1001, 1101), room=2)
    desk.passes(0.5)
    desk.store.erase(1)
    desk.clock.turn()
    assert len(desk.on_disk()) == 1000
    desk.says(2000, room=2)
    desk.passes(journal.GATHER_SECONDS)
    assert 2000 in desk.on_disk()
    assert len(desk.on_disk()) == 901
    desk.passes(1)
    assert desk.on_disk() == [*range(1001, 1101), 2000]
    desk.end()


def test_erasing_goes_on_after_a_crash(tmp_path, monkeypatch):
    """What was to go goes, whatever happens in between: the room and whom to forget are noted."""
    monkeypatch.setattr(archive, "SLICE", 10)
    bob = Who("2", None, "bob")
    desk = Desk(tmp_path)
    desk.says(*range(1, 101))
    desk.says(*range(101, 201), room=2, who=bob)
    desk.says(*range(201, 301), room=3, who=ANN)
    desk.passes(1)
    desk.store.erase(1)
    desk.store.forget(bob.identity, 200)
    desk.passes(2 * journal.GATHER_SECONDS)
    desk.crash()
    assert 200 < len(desk.on_disk()) < 300
    desk.begin()
    desk.passes(2)
    assert desk.on_disk() == list(range(201, 301))
    assert desk.on_disk("SELECT count(*) FROM erasures") == [0]
    assert desk.on_disk("SELECT count(*) FROM forgotten") == [0]
    desk.end()


def test_the_forgotten_are_looked_for_together(tmp_path, monkeypatch):
    """Many who ask at once cost one pass; who asks during it is in the next."""
    monkeypatch.setattr(archive, "SLICE", 50)
    people = [Who(str(number), None, "guest") for number in range(1, 21)]
    desk = Desk(tmp_path)
    for number in range(1, 1001):
        desk.says(number, who=people[number % 20])
    desk.passes(1)
    for who in people[:10]:
        desk.store.forget(who.identity, 1000)
    desk.clock.turn()
    desk.store.forget(people[10].identity, 1000)
    desk.passes(2)
    left = {number % 20 for number in desk.on_disk()}
    assert left == set(range(11, 20))
    assert desk.store._forgotten == {}
    desk.end()


def test_what_was_forgotten_is_not_left_lying_in_the_file(desk):
    """The bytes themselves are gone, once the file is closed."""
    desk.says(1, text="a secret that nobody should find")
    desk.says(2, who=Who("2", None, "bob"), text="to be found")
    desk.passes(1)
    desk.store.forget(ANN.identity, 2)
    desk.passes(1)
    desk.end()
    content = desk.path.read_bytes()
    assert b"to be found" in content
    assert b"a secret" not in content
    desk.begin()


# Going on in another process


def released(desk):
    """Let go of the file, and give what came of it."""
    outcome = []
    ensureDeferred(desk.store.release()).addBoth(outcome.append)
    desk.passes(0.5)
    return outcome[0]


def test_letting_go_of_the_file(desk):
    """All that was said is written by then, and another process can have the file."""
    desk.store.keep(KeptRoom(1, "tea", "", None))
    desk.says(1, 2)
    assert released(desk) is None
    other = SQLiteStore(desk.clock, desk.path, worker=ManualWorker)
    assert other.form == desk.store.form
    assert other.open().last_id == 2
    with pytest.raises(StateError, match="another server has it open"):
        desk.store.regain()
    ensureDeferred(other.close())
    desk.passes(1)


def test_going_on_after_all(desk):
    """What was said meanwhile waits, and is written then."""
    desk.store.keep(KeptRoom(1, "tea", "", None))
    desk.says(1)
    released(desk)
    desk.says(2)
    desk.passes(1)
    assert desk.on_disk() == [1]
    desk.store.regain()
    desk.says(3)
    desk.passes(1)
    assert desk.on_disk() == [1, 2, 3]
    assert desk.history() == [1, 2, 3]


def test_nobody_lets_go_while_the_disk_fails(desk, logged_failures):
    """What is held in memory would be lost: the file stays where it is, and so does all else."""
    desk.store.keep(KeptRoom(1, "tea", "", None))
    desk.passes(1)
    desk.fills_the_disk()
    desk.says(*range(1, 200))
    outcome = []
    ensureDeferred(desk.store.release()).addBoth(outcome.append)
    desk.passes(2)
    assert outcome[0].check(OSError)
    desk.fills_the_disk(full=False)
    desk.passes(3)
    assert desk.on_disk() == list(range(1, 200))
    logged_failures.events.clear()
