"""What is in the file, in SQL: one transaction for all that has come together."""

import json
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from twisted_chat.chat.charter import Charter
from twisted_chat.chat.events import Emoted, Line, Said, Who
from twisted_chat.chat.kept import Kept, KeptRoom
from twisted_chat.chat.names import fold
from twisted_chat.chat.place import Place
from twisted_chat.state.database import Database, ReadOnly

ROWS = 100
"""Lines in one statement: a statement for each would give up the interpreter lock for each."""
CHECK_SECONDS = 1.0
"""For so long nobody looks whether the file is still there."""
SLICE = 2000
"""Lines that are looked at to be erased in one transaction."""
SEARCHED_LINES = 200_000
"""Of a room, the newest, in which a search looks."""

_LARGEST = (1 << 63) - 1
_NOT_FORGOTTEN = """coalesce(
    (SELECT value FROM json_each(?1) WHERE key = coalesce(account, person)), -1) < id"""


class Statement(NamedTuple):
    """Something to be done in SQL."""

    sql: str
    parameters: tuple[object, ...]


def keep(room: KeptRoom) -> Statement:
    """Keep a room as it is now."""
    return Statement(
        "INSERT OR REPLACE INTO rooms VALUES (?, ?, ?, ?, ?)",
        (*room[:-1], json.dumps(room.charter.to_record())),
    )


def drop(room: int) -> Statement:
    """Have a room known no more; its lines are to be erased as well."""
    return Statement("DELETE FROM rooms WHERE id = ?", (room,))


def erase_all(room: int) -> Statement:
    """Have all lines of a room erased."""
    return Statement(f"INSERT OR REPLACE INTO erasures VALUES (?, {_LARGEST})", (room,))


def erase(room: int, until: int) -> Statement:
    """Have the lines of a room erased, up to an id."""
    return Statement(
        "INSERT INTO erasures VALUES (?, ?) "
        "ON CONFLICT DO UPDATE SET until = max(until, excluded.until)",
        (room, until),
    )


def forget(identity: str, until: int) -> Statement:
    """Have the lines of someone erased, up to an id."""
    return Statement(
        "INSERT INTO forgotten (identity, until) VALUES (?, ?) "
        # one who is looked for already is looked for anew, in another pass
        "ON CONFLICT DO UPDATE SET until = max(until, excluded.until), underway = 0",
        (identity, until),
    )


class Gone(NamedTuple):
    """Someone who was forgotten: nothing that they said up to an id is left."""

    identity: str
    until: int


class Archive:
    """The side that writes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = -CHECK_SECONDS
        self._erasing = True  # an earlier process may have left something to erase
        self._unclean = False
        """Whether what was forgotten may still lie in the file beside the file."""
        self._place: tuple[int, int] | None = None
        """How far the pass has come that looks for the lines of the forgotten."""

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._database.path

    def kept(self) -> Kept:
        """Give what is left of earlier times."""
        connection = self._database.connection
        rooms = tuple(
            KeptRoom._make((*row, Charter.from_record(json.loads(charter))))
            for *row, charter in connection.execute(
                "SELECT id, name, topic, empty_since, charter FROM rooms"
            )
        )
        (last,) = connection.execute(
            "SELECT max(id, coalesce((SELECT max(id) FROM lines WHERE room = rooms.id), 0)) "
            "FROM rooms ORDER BY 1 DESC LIMIT 1"
        ).fetchone() or (0,)
        (other,) = connection.execute(
            "SELECT max(coalesce((SELECT max(id) FROM letters), 0), "
            "coalesce((SELECT max(id) FROM audit), 0))"
        ).fetchone()
        places = tuple(
            Place.from_record([account, *json.loads(place)])
            for account, place in connection.execute("SELECT account, place FROM places")
        )
        return Kept(max([last, other, *self.forgotten().values()]), rooms, places)

    def forgotten(self) -> dict[str, int]:
        """Give whose lines are still to be erased, up to which id."""
        return dict(self._database.connection.execute("SELECT identity, until FROM forgotten"))

    def write(self, lines: Sequence[Line], statements: Collection[Statement]) -> list[Gone] | None:
        """Write in one transaction, with a slice of what is to be erased.

        :returns: of whom nothing is left now; None if there is nothing to be erased.
        :raises sqlite3.Error, OSError: nothing was written.
        """
        self._see_to_the_file(lines)
        if statements:
            self._erasing = True
        elif len(lines) <= ROWS and not self._erasing:
            self._insert(lines)  # is a transaction in itself
            return None
        return self._write_together(lines, statements)

    def _see_to_the_file(self, lines: Sequence[Line]) -> None:
        """Look now and then whether the file is still where it was, and clean."""
        if lines and 0.0 <= lines[0].time - self._seen < CHECK_SECONDS:
            return
        if not self._database.is_open():
            raise FileNotFoundError("the file was removed")
        if lines:
            self._seen = lines[0].time
        if self._unclean:
            self._unclean = not self._database.checkpoint()

    def _write_together(
        self, lines: Sequence[Line], statements: Iterable[Statement]
    ) -> list[Gone] | None:
        connection = self._database.connection
        place = self._place
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._insert(lines)
            for sql, parameters in statements:
                connection.execute(sql, parameters)
            erasing = self._erase_slice()
            forgetting, forgotten = self._forget_slice()
            connection.execute("COMMIT")
        except BaseException:
            self._place = place
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._unclean = self._unclean or bool(forgotten)
        self._erasing = erasing or forgetting or bool(forgotten)
        return forgotten if self._erasing else None

    def _insert(self, lines: Sequence[Line]) -> None:
        for begin in range(0, len(lines), ROWS):
            some = lines[begin : begin + ROWS]
            rows = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(some))
            self._database.connection.execute(
                f"INSERT OR IGNORE INTO lines VALUES {rows}",
                tuple(chain.from_iterable(map(_row, some))),
            )

    def _erase_slice(self) -> bool:
        """Erase some lines of one room; tell whether there were any to be erased."""
        execute = self._database.connection.execute
        found = execute("SELECT room, until FROM erasures LIMIT 1").fetchone()
        if found is None:
            return False
        room, until = found
        erased = execute(
            "DELETE FROM lines WHERE room = ?1 AND id IN "
            "(SELECT id FROM lines WHERE room = ?1 AND id <= ?2 ORDER BY id LIMIT ?3)",
            (room, until, SLICE),
        )
        if erased.rowcount < SLICE:
            execute("DELETE FROM erasures WHERE room = ?", (room,))
        return True

    def _forget_slice(self) -> tuple[bool, list[Gone]]:
        """Erase the lines of the forgotten among some lines.

        :returns: whether there is more to do, and of whom nothing is left.
        """
        execute = self._database.connection.execute
        if self._place is None:
            if not execute("UPDATE forgotten SET underway = 1").rowcount:
                return False, []
            self._place = 0, 0
        end = execute(
            "SELECT room, id FROM lines WHERE (room, id) > (?, ?) "
            "ORDER BY room, id LIMIT 1 OFFSET ?",
            (*self._place, SLICE),
        ).fetchone()
        upto = end or (_LARGEST, _LARGEST)
        execute(
            "DELETE FROM lines WHERE (room, id) > (?, ?) AND (room, id) <= (?, ?) AND EXISTS ("
            "SELECT 1 FROM forgotten WHERE underway AND until >= lines.id "
            "AND identity = coalesce(lines.account, lines.person))",
            (*self._place, *upto),
        )
        self._place = end
        if end:
            return True, []
        found = execute("SELECT identity, until FROM forgotten WHERE underway")
        gone = [Gone(*one) for one in found]
        execute("DELETE FROM forgotten WHERE underway")
        return True, gone


class Reading:
    """The side that reads.

    Each answer is one row of JSON: a row for each line would take the interpreter lock for each,
    and wait for the reactor each time.
    """

    def __init__(self, file: ReadOnly) -> None:
        self._file = file

    def history(
        self, room: int, limit: int, since: float, until: int, forgotten: dict[str, int]
    ) -> list[Line]:
        """Give the newest lines of a room up to an id, oldest first.

        :param forgotten: whose lines are left out, up to which id.
        """
        return self._lines(
            room,
            f"SELECT * FROM (SELECT * FROM lines WHERE {_NOT_FORGOTTEN} "
            "AND room = ? AND id <= ? ORDER BY id DESC LIMIT ?) WHERE time >= ?",
            (json.dumps(forgotten), room, until, limit, since),
        )

    def search(
        self, room: int, folded_words: Sequence[str], limit: int, forgotten: dict[str, int]
    ) -> list[Line]:
        """Give the newest lines with all of some words, oldest first."""
        words = " AND ".join(["instr(coalesce(folded, lower(text)), ?)"] * len(folded_words))
        return self._lines(
            room,
            "SELECT * FROM (SELECT * FROM lines WHERE room = ?2 ORDER BY id DESC LIMIT ?3) "
            f"WHERE {words} AND {_NOT_FORGOTTEN} LIMIT ?",
            (json.dumps(forgotten), room, SEARCHED_LINES, *folded_words, limit),
        )

    def too_old(self, before: float) -> list[tuple[int, int]]:
        """Give the rooms with lines from before some time, and the id up to which they are."""
        return self._pairs(
            "SELECT json_group_array(json_array(id, coalesce("
            "(SELECT id - 1 FROM lines WHERE room = rooms.id AND time >= ?1 ORDER BY id LIMIT 1), "
            "(SELECT max(id) FROM lines WHERE room = rooms.id)))) FROM rooms "
            "WHERE (SELECT time FROM lines WHERE room = rooms.id ORDER BY id LIMIT 1) < ?1",
            (before,),
        )

    def too_many(self, rooms: Collection[int], most: int) -> list[tuple[int, int]]:
        """Give those of some rooms that have more than ``most`` lines, and the id up to which."""
        return self._pairs(
            "SELECT json_group_array(json_array(room, until)) FROM (SELECT value AS room, "
            "(SELECT id FROM lines WHERE room = value ORDER BY id DESC LIMIT 1 OFFSET ?) AS until "
            "FROM json_each(?)) WHERE until IS NOT NULL",
            (most, json.dumps(list(rooms))),
        )

    def rooms(self) -> list[int]:
        """Give the ids of all rooms that are kept."""
        found = self._file.one("SELECT json_group_array(id) FROM rooms", ())
        return list(json.loads(found))

    def close(self) -> None:
        """Let go of the file until something is asked again."""
        self._file.close()

    def _lines(self, room: int, query: str, parameters: Sequence[object]) -> list[Line]:
        found = self._file.one(
            "SELECT json_group_array(json_array(id, time, person, account, name, emote, text)) "
            f"FROM ({query})",
            parameters,
        )
        return sorted((_line(room, row) for row in json.loads(found)), key=lambda line: line.id)

    def _pairs(self, query: str, parameters: Sequence[object]) -> list[tuple[int, int]]:
        return [(room, until) for room, until in json.loads(self._file.one(query, parameters))]


def _row(line: Line) -> tuple[object, ...]:
    text = line.text
    folded = None if text.isascii() else fold(text)
    emote = line.__class__ is Emoted
    return (line.room, line.id, line.time, *line.who, emote, text, folded)


def _line(room: int, row: Sequence[Any]) -> Line:
    id_, time, person, account, name, emote, text = row
    line = (Emoted if emote else Said)(Who(person, account, name), room, text)
    line.id, line.time = id_, time
    return line
