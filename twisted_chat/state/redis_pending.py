"""What is yet to be written to Redis, by whichever node writes."""

import json
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from twisted_chat.chat.events import Deed, Line, Told, Who
from twisted_chat.state import record

HELD = 64 * 1024 * 1024
"""Bytes that may wait while Redis cannot be reached; what is more is lost."""
SPARE = 16 * 1024 * 1024
"""Bytes for what is to be done besides, as to forget somebody, when no more lines are held."""
OVERHEAD = 400
"""Bytes that a statement takes besides its text, about."""
STATEMENTS = 500
"""In one script: others wait for Redis meanwhile."""
BYTES = 256 * 1024


class Position(NamedTuple):
    """A place in the one order of all statements, which is the same on every node."""

    version: int
    """The id of the event that brought the statement about."""
    number: int
    """How many such statements there are up to this one."""


class Statement(NamedTuple):
    """Something to be done in Redis."""

    at: Position
    kind: str
    """As in the script that carries it out."""
    key: str
    """What it is done to."""
    id: int
    value: str | Line
    """JSON, or a line that has yet to become it: most nodes never write it."""

    @property
    def size(self) -> int:
        value = self.value
        return OVERHEAD + len(value if isinstance(value, str) else value.text)

    @property
    def text(self) -> str:
        return self.value if isinstance(self.value, str) else text_of(record.of_line(self.value))

    def words(self) -> tuple[int | str | bytes, ...]:
        """Give what the script is told."""
        # whatever is in there, it is to hold up nothing that comes after it
        key, text = (word.encode("utf-8", "replace") for word in (self.key, self.text))
        return *self.at, self.kind, key, self.id, text


class Pending:
    """The statements that this node has made and that are not known to be written, in order."""

    def __init__(self) -> None:
        self._statements: deque[Statement] = deque()
        self.size = 0
        """In bytes, about."""
        self.lost = 0
        """How many were too many."""

    def __len__(self) -> int:
        return len(self._statements)

    def add(self, statement: Statement) -> None:
        """Have a statement wait, unless there are too many already."""
        size = statement.size
        if self.size + size > HELD + (0 if statement.kind == "line" else SPARE):
            self.lost += 1
            return
        self.size += size
        self._statements.append(statement)

    def drop(self, until: Position) -> None:
        """Take note of what is written."""
        while self._statements and self._statements[0].at <= until:
            self.size -= self._statements.popleft().size

    def batch(self) -> list[Statement]:
        """Give the first statements, so many as may be carried out at a time."""
        batch: list[Statement] = []
        size = 0
        for statement in islice(self._statements, STATEMENTS):
            size += statement.size
            if batch and size > BYTES:
                break
            batch.append(statement)
        return batch

    # What is read of it

    def lines(self, room: int) -> list[Line]:
        """Give the lines of a room, oldest first."""
        lines = (one.value for one in self._statements if one.kind == "line")
        return [line for line in lines if not isinstance(line, str) and line.room == room]

    def forgotten(self) -> dict[str, int]:
        """Give who is to be forgotten, and up to which id."""
        return {one.key: one.id for one in self._statements if one.kind == "forget"}

    def letters(self, account: str) -> list[Told]:
        """Give the letters for an account, oldest first."""
        return [record.to_letter(value) for value in self._values("letter", account)]

    def deeds(self) -> list[Deed]:
        """Give the deeds, oldest first."""
        return [to_deed(value) for value in self._values("deed", "")]

    def _values(self, kind: str, key: str) -> Iterator[Any]:
        for one in self._statements:
            if one.kind == kind and one.key == key and isinstance(one.value, str):
                yield json.loads(one.value)

    # For another process to go on

    def to_record(self) -> list[Any]:
        """Give it as plain JSON data."""
        return [(*one.at, *one[1:-1], one.text) for one in self._statements]

    def restore(self, statements: list[Any]) -> None:
        """Go on with what `to_record` gave."""
        for version, number, kind, key, id_, value in statements:
            what = record.to_line(json.loads(value)) if kind == "line" else value
            self.add(Statement(Position(version, number), kind, key, id_, what))


def text_of(data: Any) -> str:
    """Give JSON data as compact text."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def to_deed(data: Any) -> Deed:
    """Give the deed that was kept as this."""
    id_, time, who, room, words = data
    return Deed(id_, time, Who(*who), room, words)
