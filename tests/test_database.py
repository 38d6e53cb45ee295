"""The file: whose it is, who may open it, and how it is brought up to date."""

import os
import sqlite3
import stat
import sys
from contextlib import closing

import pytest

from twisted_chat.chat.kept import StateError
from twisted_chat.state.database import APPLICATION_ID, Database, ReadOnly, migrations

FIRST = "CREATE TABLE things (name TEXT); INSERT INTO things VALUES ('one');"
SECOND = "ALTER TABLE things ADD COLUMN size INTEGER; UPDATE things SET size = 1;"
THIRD = "CREATE TABLE more (id INTEGER); INSERT INTO more VALUES (3);"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.sqlite"


@pytest.fixture
def opened(path):
    databases = []

    def opened(*scripts, path=path):
        databases.append(Database(path, scripts or None))
        databases[-1].open()
        return databases[-1]

    yield opened
    for database in databases:
        database.close()


def look(path, query):
    """See what is in a file, with a connection of one's own."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def refusal(database):
    with pytest.raises(StateError) as refused:
        database.open()
    return str(refused.value)


def test_a_new_file_is_ours(opened, path):
    """It is marked, has the newest schema, and what makes it safe is on."""
    database = opened()
    settings = {
        name: database.connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version", "journal_mode", "synchronous")
    }
    assert settings == {
        "application_id": APPLICATION_ID,
        "user_version": len(migrations()),
        "journal_mode": "wal",
        "synchronous": 2,
    }
    database.close()
    assert look(path, "PRAGMA integrity_check") == [("ok",)]


def test_nobody_else_can_read_it(opened, path):
    """What people say is not for every user of the machine."""
    before = os.umask(0)
    try:
        opened(FIRST)
    finally:
        os.umask(before)
    assert len(list(path.parent.iterdir())) == 4  # itself, -wal, -shm and .lock
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_it_opens_again(opened, path):
    """What was written is there the next time."""
    first = opened(FIRST)
    first.connection.execute("INSERT INTO things VALUES ('two')")
    first.close()
    names = opened(FIRST).connection.execute("SELECT name FROM things").fetchall()
    assert names == [("one",), ("two",)]


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_file_is_brought_up_to_date(path, version):
    """Each step that is missing is made, once, and a copy of what was before is left."""
    scripts = [FIRST, SECOND, THIRD]
    old = Database(path, scripts[:version])
    old.open()
    old.close()
    new = Database(path, scripts)
    new.open()
    assert new.connection.execute("SELECT name, size FROM things").fetchall() == [("one", 1)]
    assert new.connection.execute("SELECT id FROM more").fetchall() == [(3,)]
    new.close()
    copy = path.with_name(f"state.sqlite.schema-{version}")
    assert look(copy, "PRAGMA user_version") == [(version,)]
    assert look(copy, "SELECT name FROM things") == [("one",)]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_step_that_fails_changes_nothing(path):
    """A migration is made whole or not at all."""
    old = Database(path, [FIRST])
    old.open()
    old.close()
    assert "no such table" in refusal(
        Database(path, [FIRST, f"{THIRD} INSERT INTO nowhere VALUES (1)"])
    )
    assert look(path, "PRAGMA user_version") == [(1,)]
    assert look(path, "SELECT count(*) FROM sqlite_master WHERE name = 'more'") == [(0,)]
    again = Database(path, [FIRST, SECOND])
    again.open()
    again.close()


def test_the_schemas_are_numbered():
    """Every migration is a step of its own, and the first makes what is needed from nothing."""
    assert len(migrations()) >= 1
    assert "CREATE TABLE lines" in migrations()[0]


@pytest.mark.parametrize("version", range(1, len(migrations()) + 1))
def test_every_earlier_version_can_be_opened(path, version):
    """A file of any version there ever was becomes one of today's, and is whole."""
    old = Database(path, migrations()[:version])
    old.open()
    old.connection.execute("INSERT INTO rooms (id, name, topic) VALUES (1, 'tea', 'leaves')")
    old.close()
    new = Database(path)
    new.open()
    assert new.connection.execute("SELECT name, topic FROM rooms").fetchall() == [("tea", "leaves")]
    assert new.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    new.close()


# What is refused


def test_a_file_that_another_server_has_open(opened, path):
    """One at a time; the second changes nothing, and can open it later."""
    first = opened()
    assert refusal(Database(path)) == "another server has it open"
    link = path.with_name("link")
    link.symlink_to(path)
    assert refusal(Database(link)) == "another server has it open"
    first.close()
    opened()


def test_a_newer_file(path):
    """It is left as it is: what this server does not know it cannot keep."""
    newer = Database(path, [FIRST, SECOND])
    newer.open()
    newer.close()
    before = path.read_bytes()
    expected = "was written by a newer version of the chat (schema 2, not 1)"
    assert refusal(Database(path, [FIRST])) == expected
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"hello\n", b"SQLite format 3\0" + b"\xff" * 4096, b"\0" * 9999]
)
def test_a_file_that_is_no_database(path, content):
    """It is refused, and not changed."""
    path.write_bytes(content)
    assert refusal(Database(path)) == "is no file of this chat"
    assert path.read_bytes() == content


def test_a_database_of_somebody_else(path):
    """Tables of another program are not ours to change."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    before = path.read_bytes()
    assert refusal(Database(path)) == "is no file of this chat"
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "why"),
    [("missing/state", "No such file or directory"), ("", "Is a directory")],
)
def test_where_no_file_can_be(tmp_path, name, why):
    """The system's own words say why."""
    assert why in refusal(Database(tmp_path / name))


@pytest.mark.parametrize("content", [b"hello\n", None])
def test_nothing_is_left_beside_what_is_refused(tmp_path, content):
    """Another program may take a lock of ours for one of its own."""
    path = tmp_path / "passwd"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    refusal(Database(path))
    assert list(tmp_path.iterdir()) == [path]


# A file that goes away


def test_a_file_that_was_removed_is_written_again(opened, path):
    """What was in it is not lost, for it is still open."""
    database = opened(FIRST)
    database.connection.execute("INSERT INTO things VALUES ('two')")
    assert database.is_open()
    path.unlink()
    assert not database.is_open()
    database.reopen()
    assert database.is_open()
    assert look(path, "SELECT name FROM things") == [("one",), ("two",)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_to_look_at_the_file_leaves_nothing_behind(opened, monkeypatch):
    """It is done each second and at each commit: what Python interns would pile up."""
    database, interned = opened(), []
    monkeypatch.setattr(sys, "intern", lambda text: interned.append(text) or text)
    assert database.is_open()
    assert interned == []


def test_what_lies_beside_it_was_removed(opened, path):
    """What was written last is in a file of its own, and not lost with it."""
    database = opened(FIRST)
    database.connection.execute("INSERT INTO things VALUES ('two')")
    path.with_name("state.sqlite-wal").unlink()
    assert not database.is_open()
    database.reopen()
    assert look(path, "SELECT name FROM things") == [("one",), ("two",)]


def test_another_file_was_put_in_its_place(opened, path):
    """It is set aside: somebody may want it."""
    database = opened(FIRST)
    path.unlink()
    path.write_bytes(b"precious")
    database.reopen()
    assert look(path, "SELECT name FROM things") == [("one",)]
    assert path.with_name("state.sqlite.found").read_bytes() == b"precious"


def test_without_a_connection_nothing_is_written(opened):
    """After something went wrong there may be none; that is an error like any other."""
    database = opened(FIRST)
    database.close()
    with pytest.raises(sqlite3.OperationalError):
        database.connection.execute("SELECT 1")


# Reading


def test_a_reader_cannot_write(opened, path):
    """It sees what is written, and changes nothing."""
    opened(FIRST)
    reader = ReadOnly(Database(path))
    assert reader.one("SELECT name FROM things", ()) == "one"
    with pytest.raises(sqlite3.OperationalError):
        reader.one("INSERT INTO things VALUES ('two') RETURNING name", ())
    assert reader.one("SELECT count(*) FROM things", ()) == "1"
    reader.close()


def test_a_reader_makes_no_file(path):
    """Without a file there is nothing to read."""
    reader = ReadOnly(Database(path))
    with pytest.raises(sqlite3.OperationalError):
        reader.one("SELECT 1 FROM things", ())
    reader.close()
    assert not path.exists()
