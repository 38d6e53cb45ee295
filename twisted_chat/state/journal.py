"""What is to be written: gathered while the last of it is being written."""

import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_chat.chat.events import Line
from twisted_chat.chat.kept import StateError
from twisted_chat.histogram import Histogram
from twisted_chat.state.archive import Archive, Gone, Statement
from twisted_chat.state.worst import Worst
from twisted_chat.worker import IsWorker

GATHER_SECONDS = 0.015
"""From one transaction to the next: each has a cost of its own, and is worth some lines."""
STALLED_SECONDS = 5.0
"""A disk that takes longer than this for one transaction has failed."""
HELD = 64 * 1024 * 1024
"""Bytes that may wait while the disk fails; what is more is lost."""
SPARE = 16 * 1024 * 1024
"""Bytes for what is to be done besides, as to forget somebody, when no more lines are held."""
OVERHEAD = 200
"""Bytes that a record takes besides its text, about."""

Statements = dict[tuple[str, object], Statement]
"""By what they do and to what: to do it twice is to do it as the second says."""


class Batch(NamedTuple):
    """What is written in one transaction."""

    lines: list[Line]
    statements: Statements
    anxious: list[Deferred[None]]
    """Those who want to know when this is safe."""
    size: int


_NOTHING = Batch([], {}, [], 0)


class Journal:
    """Has everything written in order, and holds what cannot be written yet."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        archive: Archive,
        writer: IsWorker,
        recover: Callable[[], Awaitable[None]],
        written: Callable[[list[Line], list[Gone]], None],
    ) -> None:
        """
        :param writer: what the archive is used in, and nothing else.
        :param recover: makes the archive ready for another attempt.
        :param written: told which lines are safe, and what has been erased.
        """
        self._reactor = reactor
        self._archive = archive
        self._writer = writer
        self._recover = recover
        self._written = written
        self._lines: list[Line] = []
        self._statements: Statements = {}
        self._anxious: list[Deferred[None]] = []
        self._underway = _NOTHING
        self._size = 0
        """Of all that waits, in bytes."""
        self._worst = Worst()
        self.commits = Histogram()
        """How many seconds each transaction took."""
        self._failing = False
        self._lost = 0
        self._closing = self._paused = False
        self._last_attempt = False
        self._writing: Deferred[None] | None = None

    @property
    def backlog(self) -> int:
        """How many bytes wait, about; none while the disk fails: nobody is to wait for that."""
        return 0 if self._failing else self._size

    @property
    def trouble(self) -> str:
        """Why nothing can be written now; empty if it can."""
        return "the disk fails" if self._failing else ""

    def record(self, line: Line) -> None:
        """Have a line written."""
        size = len(line.text) + OVERHEAD
        if self._size + size > HELD:
            self._lost += 1
            return
        self._size += size
        self._lines.append(line)
        self.begin()

    def execute(self, *statements: Statement) -> None:
        """Have something else done, after the lines that were recorded before."""
        for statement in statements:
            key = statement.sql, statement.parameters[0]
            if self._statements.pop(key, None) is None:
                if self._size + OVERHEAD > HELD + SPARE:
                    continue
                self._size += OVERHEAD
            self._statements[key] = statement  # after what may undo the one before
        self.begin()

    def safe(self) -> "Deferred[None]":
        """Tell when all is on disk that was to be written until now.

        It fails with an `OSError` if that is lost.
        """
        safe: Deferred[None] = Deferred()
        self._anxious.append(safe)
        self.begin()
        return safe

    def begin(self) -> None:
        """Write what waits, and go on with what an earlier process has left to do."""
        if self._writing is None and not self._paused:
            self._writing = Deferred.fromCoroutine(self._write_all())

    def unsaved(self) -> Iterable[Line]:
        """Give the lines that may not be written yet; it may be gone through in a thread."""
        return chain(self._underway.lines, self._lines)

    def condition(self) -> list[str]:
        """Tell in words how safe it is what is said."""
        worst = self._worst.of_late(self._reactor.seconds()) * 1000
        words = [f"what is said is safe on disk after {worst:.0f} ms, at worst of the last minute"]
        if self._failing:
            words = ["the disk fails: what is said is kept in memory until it can be written"]
        if self._lost:
            words.append(f"{self._lost} lines could not be kept since the start")
        return words

    async def close(self) -> None:
        """Write what waits; what cannot be written now is lost."""
        self._writer.hurry()
        await self._end()

    async def pause(self) -> None:
        """Write what waits, and then nothing until `resume`."""
        await self._end()
        self._paused = True

    def resume(self) -> None:
        """Go on after `pause`."""
        self._paused = self._closing = self._last_attempt = False
        self.begin()

    async def _end(self) -> None:
        self._closing = True
        if self._writing is not None:
            await self._writing

    async def _write_all(self) -> None:
        """Write until nothing is left to do."""
        more = True
        while more:
            batch = self._take()
            stalled = self._reactor.callLater(STALLED_SECONDS, self._fail, "it does not answer")
            try:
                took, at, gone = await self._writer.do(partial(self._write, batch), GATHER_SECONDS)
            except Exception as error:
                more = await self._cope(batch, error)
            else:
                if batch.size:  # or it was a mere look
                    self.commits.add(took)
                self._succeed(batch, at, gone or [])
                more = gone is not None and not self._closing
            if stalled.active():
                stalled.cancel()
            more = more or bool(self._lines or self._statements or self._anxious)
        self._writing = None

    def _take(self) -> Batch:
        batch = Batch(self._lines, self._statements, self._anxious, self._size)
        self._lines, self._statements, self._anxious = [], {}, []
        self._underway = batch
        return batch

    def _write(self, batch: Batch) -> tuple[float, float, list[Gone] | None]:
        """Write a batch, in the writer; give how many seconds that took, when it was safe, and
        what has been erased.
        """
        begun = self._reactor.seconds()
        gone = self._archive.write(batch.lines, batch.statements.values())
        safe = self._reactor.seconds()
        return safe - begun, safe, gone

    def _succeed(self, batch: Batch, at: float, gone: list[Gone]) -> None:
        self._finish(batch)
        if batch.lines:
            self._worst.add(at, max(0.0, at - batch.lines[0].time))
        if self._failing:
            self._failing = False
            self.log.info(
                "{path} can be written again; {lost} lines were lost since the start",
                path=self._archive.path,
                lost=self._lost,
            )
        self._written(batch.lines, gone)
        for safe in batch.anxious:
            safe.callback(None)

    async def _cope(self, batch: Batch, error: Exception) -> bool:
        """Deal with a batch that was not written; tell whether to try again."""
        if not _is_of_the_disk(error):
            self.log.failure("what was said cannot be kept", Failure(error))
            self._lose(batch)
            return False
        self._fail(error)
        if self._closing and self._last_attempt:
            self._lose(batch)
            self.log.error("{lost} lines were lost", lost=len(batch.lines))
            return False
        self._last_attempt = self._closing
        self._put_back(batch)
        await self._recover()
        return True

    def _fail(self, why: object) -> None:
        if self._failing:
            return
        self._failing = True
        self.log.error(
            "cannot write {path}: {why}. the chat goes on; "
            "what is said is kept in memory until it can be written",
            path=self._archive.path,
            why=why,
        )

    def _put_back(self, batch: Batch) -> None:
        self._lines = batch.lines + self._lines
        later = self._statements
        earlier = {key: one for key, one in batch.statements.items() if key not in later}
        self._statements = earlier | later
        self._anxious = batch.anxious + self._anxious
        self._underway = _NOTHING

    def _lose(self, batch: Batch) -> None:
        self._lost += len(batch.lines)
        self._finish(batch)
        for safe in batch.anxious:
            safe.errback(OSError("it could not be written"))

    def _finish(self, batch: Batch) -> None:
        self._underway = _NOTHING
        self._size -= batch.size


def _is_of_the_disk(error: Exception) -> bool:
    """Tell whether what failed may succeed another time."""
    another_time = OSError, StateError, sqlite3.OperationalError
    return isinstance(error, another_time) or type(error) is sqlite3.DatabaseError
