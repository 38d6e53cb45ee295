"""The file: held by one server at a time, checked, and brought up to date."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from errno import EACCES
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from twisted_chat.chat.kept import StateError

APPLICATION_ID = 0x54434854
"""``TCHT``: tells a file of ours (https://sqlite.org/pragma.html#pragma_application_id)."""
BUSY_SECONDS = 5.0
"""How long to wait for someone who looks into the file with another program."""
_PRIVATE = 0o600


def migrations() -> list[str]:
    """Give the scripts that make the newest schema of an empty file, in order."""
    folder = files("twisted_chat.state") / "schema"
    scripts = sorted((one.name, one) for one in folder.iterdir() if one.name.endswith(".sql"))
    return [script.read_text("utf-8") for _, script in scripts]


class Database:
    """A file of ours; nobody else writes it."""

    def __init__(self, path: Path, scripts: Sequence[str] | None = None) -> None:
        """
        :param scripts: the migrations, the one to version 1 first.
        """
        self.path = path
        self._scripts = migrations() if scripts is None else scripts
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None

    @property
    def newest(self) -> int:
        """The version of the schema that this program makes."""
        return len(self._scripts)

    @property
    def connection(self) -> sqlite3.Connection:
        """The one that writes.

        :raises sqlite3.OperationalError: there is none, after something went wrong.
        """
        if self._connection is None:
            raise sqlite3.OperationalError("the file is not open")
        return self._connection

    def open(self) -> None:
        """Take the file for this process, make it if there is none, and bring it up to date.

        :raises StateError: that cannot be.
        """
        was_locked_before = True
        try:
            self.path = Path(os.path.realpath(self.path))  # SQLite names what is beside it so
            was_locked_before = _beside(self.path, ".lock").exists()
            self._take_lock()
            self._connect()
        except (sqlite3.Error, OSError, StateError) as error:
            if self._lock is not None and not was_locked_before:
                # Whoever owns that file may take our lock for one of their own.
                _beside(self.path, ".lock").unlink(missing_ok=True)
            self.close()
            if isinstance(error, StateError):
                raise
            raise StateError(getattr(error, "strerror", None) or str(error)) from error

    def check(self) -> None:
        """Check, without a change or a lock, that the file could be opened.

        Another server may have it open.

        :raises StateError: it could not be.
        """
        path = Path(os.path.realpath(self.path))
        try:
            _need_access(path.parent, os.W_OK | os.X_OK)
            if path.exists():
                _need_access(path, os.R_OK | os.W_OK)
                self._check_version(path)
        except (sqlite3.Error, OSError) as error:
            raise StateError(getattr(error, "strerror", None) or str(error)) from error

    def _check_version(self, path: Path) -> None:
        if not path.is_file():
            raise StateError("is no file of this chat")
        # immutable: read as it lies there, with no file made beside it
        uri = f"file:{quote(bytes(path))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection, _only_ours():
            self._version(connection)

    def close(self) -> None:
        """Let go of the file."""
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def reopen(self) -> None:
        """Open it anew; a file that was removed is written again.

        :raises sqlite3.Error, OSError, StateError: not yet.
        """
        self._take_lock()  # which may have been removed along with it
        if self._connection is not None and not self.is_open():
            self._write_again()
        self._disconnect()
        self._connect()

    def is_open(self) -> bool:
        """Tell whether there is a connection, and to the file that is there."""
        return self._connection is not None and self._inodes() == self._opened

    def checkpoint(self) -> bool:
        """Leave nothing in the ``-wal`` file; tell whether nobody was reading it just then."""
        connection = self.connection
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error:
            return False
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
        return not busy

    def _inodes(self) -> list[tuple[int, int] | None]:
        # Texts: Python interns what a Path is made of, and its table of that would have to grow.
        return [_inode(f"{self.path}{ending}") for ending in ("", "-wal", ".lock")]

    def _take_lock(self) -> None:
        # Beside the file, not on it: closing any descriptor of it would end SQLite's own locks.
        lock = os.open(_beside(self.path, ".lock"), os.O_RDWR | os.O_CREAT, _PRIVATE)
        spare: int | None = lock
        try:
            if self._lock is None or not os.path.sameopenfile(lock, self._lock):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._lock, spare = lock, self._lock
        except BlockingIOError:
            raise StateError("another server has it open") from None
        finally:
            if spare is not None:
                os.close(spare)

    def _connect(self) -> None:
        _make_private(self.path)
        self._connection = connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        with _only_ours():
            self._migrate(connection, self._version(connection))
        # A backup that was put here may have been for everyone.
        for ending in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError, PermissionError):  # not there, or not ours
                _beside(self.path, ending).chmod(_PRIVATE)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # what was forgotten is not left lying
        connection.execute("BEGIN IMMEDIATE")  # which makes the -wal file
        connection.execute("COMMIT")
        self._opened = self._inodes()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _version(self, connection: sqlite3.Connection) -> int:
        """Give the version of the schema; 0 for an empty file."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != APPLICATION_ID and (application or version or tables):
            raise StateError("is no file of this chat")
        newest = len(self._scripts)
        if version > newest:
            raise StateError(
                f"was written by a newer version of the chat (schema {version}, not {newest})"
            )
        return int(version)

    def _migrate(self, connection: sqlite3.Connection, version: int) -> None:
        if 0 < version < len(self._scripts):
            _copy(connection, _beside(self.path, f".schema-{version}"))
        for number, script in enumerate(self._scripts[version:], version + 1):
            connection.executescript(
                f"BEGIN IMMEDIATE; {script}\n; PRAGMA user_version = {number}; "
                f"PRAGMA application_id = {APPLICATION_ID}; COMMIT;"
            )

    def _write_again(self) -> None:
        """Write what the removed file holds, for it is still open, where it was."""
        fresh = _beside(self.path, ".new")
        _copy(self.connection, fresh)
        for ending in ("-wal", "-shm"):
            _beside(self.path, ending).unlink(missing_ok=True)
        if _inode(self.path) not in (None, self._opened[0]):  # somebody put another one there
            os.replace(self.path, _beside(self.path, ".found"))
        os.replace(fresh, self.path)


class ReadOnly:
    """A connection for reading, opened when it is first needed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: sqlite3.Connection | None = None

    def one(self, query: str, parameters: Sequence[object]) -> str:
        """Give the single value of a query.

        :raises sqlite3.Error: it cannot be read now.
        """
        try:
            (value,) = self._connected().execute(query, parameters).fetchone()
        except sqlite3.Error:
            self.close()
            raise
        return str(value)

    def close(self) -> None:
        """Let go of the file until the next query."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(
                f"file:{quote(bytes(self._database.path))}?mode=rw",  # which makes no file
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            self._connection.execute("PRAGMA query_only = ON")
            # Only one connection may write the file itself: https://sqlite.org/wal.html
            self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        return self._connection


@contextmanager
def _only_ours() -> Iterator[None]:
    """Refuse what is no SQLite file at all.

    :raises StateError: it is none.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            raise StateError("is no file of this chat") from None
        raise


def _need_access(path: Path, mode: int) -> None:
    """Check what this process may do with a file or directory.

    :raises OSError: it is not there, or may not be used so.
    """
    path.stat()
    if not os.access(path, mode):
        raise PermissionError(EACCES, os.strerror(EACCES))


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _inode(path: Path | str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _make_private(path: Path) -> None:
    """Make a file that nobody else can read; SQLite gives those beside it the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE))


def _copy(connection: sqlite3.Connection, path: Path) -> None:
    """Write all of a database into another file, which is there whole or not at all."""
    partial = _beside(path, ".partial")
    partial.unlink(missing_ok=True)
    _make_private(partial)
    with closing(sqlite3.connect(partial)) as target:
        connection.backup(target)
    os.replace(partial, path)
