"""The store in a file: what goes wrong only when two things happen at once, or in a rare order."""

import stat
from pathlib import Path
from threading import Event

import pytest
from test_sqlite import ANN, FAILING, Desk
from test_worker import Reactor
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred

from twisted_chat.chat.events import Who
from twisted_chat.chat.kept import KeptRoom, KeptRooms, StateError
from twisted_chat.state import archive, journal
from twisted_chat.state.database import Database
from twisted_chat.state.sqlite import CLOSE_SECONDS, TIDY_SECONDS, SQLiteStore
from twisted_chat.testing import ManualWorker
from twisted_chat.worker import Worker

BOB = Who("2", None, "bob")
TEA = KeptRoom(1, "tea", "", None)


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.end()


# What is too old, or too much


def test_old_lines_take_no_young_one_with_them(tmp_path, logged_failures):
    """What waits for the disk while the past of its room is erased is written all the same."""
    desk = Desk(tmp_path, keep_seconds=3600)
    desk.store.keep(TEA)
    desk.says(1)
    desk.passes(1)
    desk.clock.rightNow += 3600
    desk.fills_the_disk()
    desk.says(2, text="x" * 9000)
    desk.passes(TIDY_SECONDS + 1)
    desk.fills_the_disk(full=False)
    desk.passes(3)
    assert desk.on_disk() == [2]
    logged_failures.events.clear()
    desk.end()


def test_too_many_lines_go_after_a_restart(tmp_path):
    """However little is said between one start and the next, a room does not grow."""
    desk = Desk(tmp_path, keep_lines=1000)
    desk.store.keep(TEA)
    desk.says(*range(1, 1500))
    desk.end()
    desk.begin()
    desk.passes(TIDY_SECONDS + 1)
    assert desk.on_disk() == list(range(500, 1500))
    desk.end()


def test_a_room_is_erased_while_its_old_lines_are_looked_for(tmp_path):
    """The whole room goes, not just what was too old."""
    desk = Desk(tmp_path, keep_lines=10)
    desk.store.keep(TEA)
    desk.says(*range(1, 101))
    desk.passes(1)
    desk.clock.advance(TIDY_SECONDS)
    desk.store.erase(1)
    desk.passes(1)
    assert desk.on_disk() == []
    desk.end()


# What was forgotten


def test_the_forgotten_are_not_shown_after_a_restart(tmp_path, monkeypatch):
    """What is still to be erased is in no history meanwhile, and ids go on after it."""
    monkeypatch.setattr(archive, "SLICE", 10)
    desk = Desk(tmp_path)
    desk.store.keep(TEA)
    desk.says(*range(1, 101))
    desk.says(101, who=BOB)
    desk.passes(1)
    desk.store.forget(ANN.identity, 200)
    desk.passes(2 * journal.GATHER_SECONDS)
    desk.crash()
    assert len(desk.on_disk()) > 50
    desk.begin()
    assert desk.kept.last_id == 200
    assert desk.history() == [101]
    desk.passes(2)
    assert desk.on_disk() == [101]
    desk.end()


def test_to_be_forgotten_while_a_history_is_read(desk):
    """It is not in that history either."""
    desk.says(1)
    desk.says(2, who=BOB)
    desk.passes(1)
    asked = desk.store.history(1, 10)
    answers = []
    ensureDeferred(asked).addCallback(answers.extend)
    desk.store.forget(ANN.identity, 2)
    desk.clock.turn()
    assert [line.id for line in answers] == [2]


def test_the_forgotten_leave_room_for_others(desk):
    """As many lines are shown as before, as long as there are any."""
    desk.says(1, 2, 3, who=BOB)
    desk.says(4, 5, 6)
    desk.passes(1)
    desk.store.forget(ANN.identity, 6)
    asked = desk.answer(desk.store.history(1, 2))
    assert [line.id for line in asked] == [2, 3]


def test_nobody_is_remembered_because_the_disk_was_full(desk, logged_failures, monkeypatch):
    """Who asks to be forgotten is, though no more lines could be held then."""
    desk.says(1)
    desk.passes(1)
    desk.fills_the_disk()
    desk.says(2, who=BOB, text="x" * 9000)
    desk.passes(2)
    monkeypatch.setattr(journal, "HELD", 0)
    desk.says(3)
    desk.store.forget(ANN.identity, 3)
    assert desk.store.condition() == [FAILING, "1 lines could not be kept since the start"]
    desk.fills_the_disk(full=False)
    desk.passes(3)
    assert desk.on_disk() == [2]
    logged_failures.events.clear()


def test_the_bytes_of_the_forgotten_are_overwritten_while_the_chat_runs(desk):
    """Neither the file nor what lies beside it has them any more."""
    desk.says(1, text="a secret that nobody should find")
    desk.says(2, who=BOB, text="to be found")
    desk.passes(1)
    desk.store.forget(ANN.identity, 2)
    desk.passes(1)
    content = b"".join(file.read_bytes() for file in desk.path.parent.iterdir())
    assert b"to be found" in content
    assert b"a secret" not in content


# What is read


def test_a_history_is_that_of_the_moment(desk):
    """What is said while it is read takes no place in it."""
    desk.says(1, 2, 3)
    desk.passes(1)
    answers = []
    ensureDeferred(desk.store.history(1, 2)).addCallback(answers.extend)
    desk.says(4, 5)
    desk.clock.turn()
    assert [line.id for line in answers] == [2, 3]


def test_what_nobody_waits_for_is_not_done():
    """A task that was given up before it was begun costs nothing."""
    reactor, go_on, done = Reactor(), Event(), []
    worker = Worker(reactor, "a test")
    worker.do(go_on.wait)
    given_up = worker.do(lambda: done.append("first"))
    given_up.addErrback(lambda failure: failure.trap(CancelledError))
    worker.do(lambda: done.append("second"))
    given_up.cancel()
    go_on.set()
    worker.stop()
    reactor.turn()
    reactor.turn()
    assert done == ["second"]


def test_the_run_directory_may_change(tmp_path, monkeypatch):
    """What is read is the file that is written."""
    monkeypatch.chdir(tmp_path)
    desk = Desk(Path())
    desk.says(1)
    desk.passes(1)
    monkeypatch.chdir("/")
    assert desk.history() == [1]
    desk.end()


def test_a_name_that_is_no_text(tmp_path):
    """A file may be called anything that the system allows."""
    directory = tmp_path / "\udcff"
    directory.mkdir()
    desk = Desk(directory)
    desk.says(1)
    desk.passes(1)
    assert desk.history() == [1]
    desk.end()


# What fails


def test_a_stop_while_the_disk_does_not_answer(tmp_path, logged_failures):
    """After a while the end comes, though something was said meanwhile."""

    class StuckWorker(ManualWorker):
        stuck = False

        def do(self, task, rest=0.0):
            return Deferred() if self.stuck else super().do(task, rest)

    desk = Desk(tmp_path)
    desk.end()
    desk.store = SQLiteStore(desk.clock, desk.path, worker=StuckWorker)
    desk.store.open()
    desk.passes(1)
    desk.store._writer.stuck = True
    desk.says(1)
    desk.says(2)
    closing = ensureDeferred(desk.store.close())
    desk.passes(CLOSE_SECONDS + 1)
    assert closing.called
    assert "does not answer" in str(logged_failures.events[-1])
    logged_failures.events.clear()
    desk.crash()


@pytest.mark.parametrize("something", [True, False])
def test_a_directory_that_goes_and_comes_back(tmp_path, logged_failures, something):
    """Writing goes on, whatever was there meanwhile, and the file is still held."""
    directory, away = tmp_path / "here", tmp_path / "away"
    directory.mkdir()
    desk = Desk(directory)
    desk.passes(1)
    directory.rename(away)
    if something:
        directory.write_text("not a directory")
    desk.says(1)
    desk.passes(5)
    assert len(logged_failures.events) == 1
    directory.unlink(missing_ok=True)
    away.rename(directory)
    desk.passes(5)
    assert desk.on_disk() == [1]
    with pytest.raises(StateError, match="another server has it open"):
        Database(desk.path).open()
    logged_failures.events.clear()
    desk.end()


def test_a_file_that_was_removed_before_the_stop(desk, logged_failures):
    """It is written again, though nothing more was said."""
    desk.store.keep(TEA)
    desk.says(1)
    desk.passes(5.5)
    for file in desk.path.parent.iterdir():
        file.unlink()
    desk.end()
    logged_failures.events.clear()
    desk.begin()
    assert desk.history() == [1]


def test_a_file_that_is_written_again_is_still_held(desk, logged_failures):
    """Removed with all that lies beside it, it is not there for a second server."""
    desk.says(1)
    desk.passes(1)
    for file in desk.path.parent.iterdir():
        file.unlink()
    desk.says(2)
    desk.passes(3)
    with pytest.raises(StateError, match="another server has it open"):
        Database(desk.path).open()
    logged_failures.events.clear()


def test_a_lock_that_was_removed(desk, logged_failures):
    """It is taken anew, and what was said is neither lost nor doubled."""
    desk.says(1)
    desk.passes(2)
    desk.path.with_name("state.sqlite.lock").unlink()
    desk.says(2)
    desk.passes(3)
    with pytest.raises(StateError, match="another server has it open"):
        Database(desk.path).open()
    assert desk.on_disk() == [1, 2]
    logged_failures.events.clear()


def test_what_is_in_the_way_of_the_file(desk, logged_failures):
    """Nothing is lost while the file cannot be put back where it was."""
    desk.says(1)
    desk.passes(2)
    desk.path.unlink()
    desk.path.write_bytes(b"precious")
    in_the_way = desk.path.with_name("state.sqlite.found") / "something"
    in_the_way.mkdir(parents=True)
    desk.says(2)
    desk.passes(5)
    in_the_way.rmdir()
    in_the_way.parent.rmdir()
    desk.passes(5)
    assert desk.on_disk() == [1, 2]
    assert in_the_way.parent.read_bytes() == b"precious"
    logged_failures.events.clear()


def test_a_link_to_itself(tmp_path):
    """It is refused like any other place where no file can be."""
    link = tmp_path / "link"
    link.symlink_to(link)
    with pytest.raises(StateError, match="symbolic links"):
        Database(link).open()


def test_a_backup_that_everybody_can_read(desk):
    """Put in the place of the file it is for its owner alone, and so is what lies beside it."""
    desk.end()
    desk.path.chmod(0o644)
    desk.begin()
    modes = {stat.S_IMODE(file.stat().st_mode) for file in desk.path.parent.iterdir()}
    assert modes == {0o600}


# Rooms


def test_two_rooms_of_one_name(desk):
    """The younger one is gone on with; the other is erased."""
    rooms = KeptRooms(desk.store)
    desk.says(1)
    desk.says(2, room=2)
    rooms.restore([KeptRoom(1, "tea", "", 5.0), KeptRoom(2, "Tea", "", 9.0)], 10.0)
    desk.passes(1)
    assert desk.on_disk() == [2]
    assert rooms.wake("tea", 10.0) == KeptRoom(2, "Tea", "", 9.0)
