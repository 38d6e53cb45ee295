"""A store in an SQLite file.

What is recorded is gathered while the last of it is being written, and then written in one
transaction by a thread; two more threads read.  The reactor waits for none of them.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from twisted_chat.chat.account import AccountRecord
from twisted_chat.chat.events import ChatError, Deed, Line, Told
from twisted_chat.chat.kept import Kept, KeptRoom, StateError
from twisted_chat.chat.place import Place
from twisted_chat.interfaces import IStore
from twisted_chat.state import archive, audit, book
from twisted_chat.state.archive import Archive, Gone, Reading
from twisted_chat.state.database import Database, ReadOnly
from twisted_chat.state.journal import Journal
from twisted_chat.state.matching import Matcher
from twisted_chat.worker import IsWorker, Worker

KEEP_SECONDS = 30 * 24 * 3600
KEEP_LINES = 1_000_000
RETRY_SECONDS = 1.0
READ_SECONDS = 2.0
WRITE_SECONDS = 5.0
CLOSE_SECONDS = 10.0
RELEASE_SECONDS = 1.0
"""In which all has to be written before another process goes on: everyone waits meanwhile."""
TIDY_SECONDS = 60.0
LOOK_SECONDS = 1.0

T = TypeVar("T")


@implementer(IStore)
class SQLiteStore:
    """Keeps rooms, lines and accounts in a file."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: Path,
        *,
        keep_seconds: float = KEEP_SECONDS,
        keep_lines: int = KEEP_LINES,
        worker: Callable[[Any, str], IsWorker] = Worker,
    ) -> None:
        """
        :param keep_seconds: for how long lines are kept.
        :param keep_lines: how many lines of a room are kept; there may be a hundredth more.
        :param worker: makes what does the waiting, of the reactor and a name.
        """
        self._reactor = reactor
        self._keep_seconds = keep_seconds
        self._keep_lines = keep_lines
        self._writer, self._reader, self._searcher = self._workers = [
            worker(reactor, f"tcpchat {task}") for task in ("writer", "reader", "searcher")
        ]
        self._database = Database(path)
        self._archive = Archive(self._database)
        self._file = ReadOnly(self._database)
        self._past, self._searched = Reading(self._file), Reading(ReadOnly(self._database))
        self._journal = Journal(reactor, self._archive, self._writer, self._recover, self._written)
        self.commits = self._journal.commits
        self._last = 0
        self._forgotten: dict[str, int] = {}
        """Whose lines are not shown any more, up to an id; threads read it: never changed."""
        self._added: Counter[int] = Counter()
        """How many lines rooms have had since somebody looked whether these are too many."""
        self._looked_for = 0
        """How many lines were allowed when somebody looked at all rooms."""
        self._tidying = LoopingCall(lambda: ensureDeferred(self._tidy()))
        self._looking = LoopingCall(self._journal.begin)  # which sees whether the file is there
        self._looking.clock = self._tidying.clock = reactor

    # Beginning and ending

    @property
    def form(self) -> str:
        return f"a file of schema {self._database.newest}"

    def open(self, left: object = None) -> Kept:
        self._database.open()
        try:
            kept = self._archive.kept()
            self._forgotten = self._archive.forgotten()
        except sqlite3.Error as error:
            self._database.close()
            raise StateError(str(error)) from error
        self._last = kept.last_id
        self._begin_to_look()
        return kept

    async def release(self) -> object:
        try:
            await self._journal.safe().addTimeout(RELEASE_SECONDS, self._reactor)
        except TookTooLong:
            raise OSError("the disk does not take what was said") from None
        self._look_no_more()
        await self._journal.pause()
        await self._let_go()
        return None

    def regain(self) -> None:
        self._database.open()
        self._journal.resume()
        self._begin_to_look()

    def _begin_to_look(self) -> None:
        self._tidying.start(TIDY_SECONDS, now=False)
        self._looking.start(LOOK_SECONDS)

    def _look_no_more(self) -> None:
        for looking in (self._tidying, self._looking):
            if looking.running:
                looking.stop()

    async def close(self) -> None:
        if self._looking.running:
            self._journal.begin()  # for a last look
        self._look_no_more()
        # Not cancelled: what hangs in a disk would only be tried again.
        closed: Deferred[None] = Deferred()
        ensureDeferred(self._close()).chainDeferred(closed)
        try:
            await closed.addTimeout(CLOSE_SECONDS, self._reactor)
        except TookTooLong:
            self.log.error("the disk does not answer; what was said last may be lost")

    async def _close(self) -> None:
        await self._journal.close()
        await self._let_go()
        for worker in self._workers:
            worker.stop()

    async def _let_go(self) -> None:
        await self._reader.do(self._past.close)
        await self._searcher.do(self._searched.close)
        await self._writer.do(self._database.close)

    # What is written

    @property
    def backlog(self) -> int:
        return self._journal.backlog

    @property
    def trouble(self) -> str:
        return self._journal.trouble

    def condition(self) -> Sequence[str]:
        return self._journal.condition()

    def keep(self, room: KeptRoom) -> None:
        self._journal.execute(archive.keep(room))

    def record(self, event: Line) -> None:
        if event.id > self._last:
            self._last = event.id
            self._journal.record(event)

    def forget(self, identity: str, until: int) -> None:
        self._forgotten = {**self._forgotten, identity: until}
        self._journal.execute(archive.forget(identity, until))

    def erase(self, room: int) -> None:
        self._added.pop(room, None)
        self._journal.execute(archive.drop(room), archive.erase_all(room))

    async def keep_account(self, record: AccountRecord) -> None:
        self._journal.execute(*book.keep(record))
        await self._safe()

    async def drop_account(self, id_: str) -> None:
        self._journal.execute(*book.drop(id_))
        await self._safe()

    def keep_letter(self, event: Told) -> None:
        self._journal.execute(book.keep_letter(event))

    def drop_letters(self, account: str, until: int) -> None:
        self._journal.execute(book.drop_letters(account, until))

    def keep_place(self, place: Place) -> None:
        self._journal.execute(book.keep_place(place))

    def drop_place(self, account: str) -> None:
        self._journal.execute(book.drop_place(account))

    def note(self, deed: Deed) -> None:
        self._journal.execute(*audit.note(deed))

    async def _safe(self) -> None:
        try:
            await self._journal.safe().addTimeout(WRITE_SECONDS, self._reactor)
        except (OSError, TookTooLong) as error:
            raise ChatError("that cannot be kept now. try again later") from error

    def _written(self, lines: list[Line], gone: list[Gone]) -> None:
        self._added.update(map(attrgetter("room"), lines))
        if gone:
            over = dict(gone)
            self._forgotten = {
                identity: until
                for identity, until in self._forgotten.items()
                if until > over.get(identity, -1)
            }

    async def _recover(self) -> None:
        """Make ready for another attempt to write."""
        try:
            if await self._writer.do(self._database.is_open, RETRY_SECONDS):
                return  # to open it anew would need the very room that may be missing
            # The readers first: who has the file open last clears away what is beside it.
            await self._reader.do(self._past.close)
            await self._searcher.do(self._searched.close)
            await self._writer.do(self._database.reopen)
        except (sqlite3.Error, OSError, StateError) as error:
            self.log.debug("not yet: {error}", error=error)

    # What is read

    async def history(self, room: int, limit: int, since: float = 0.0) -> Sequence[Line]:
        unsaved, forgotten, until = self._journal.unsaved(), self._forgotten, self._last

        def read() -> list[Line]:
            late = [
                line
                for line in unsaved
                if line.room == room and line.time >= since and line.id <= until
            ]
            kept = self._past.history(room, limit, since, until, forgotten)
            return _together(kept, late, forgotten)

        lines = await self._lines(self._reader, read)
        return lines[max(0, len(lines) - limit) :]

    async def search(self, room: int, words: Sequence[str], limit: int) -> Sequence[Line]:
        unsaved, forgotten = self._journal.unsaved(), self._forgotten
        matches = Matcher(words)

        def read() -> list[Line]:
            late = [line for line in unsaved if line.room == room and matches(line)]
            kept = self._searched.search(room, matches.words, limit, forgotten)
            return _together(kept, late, forgotten)

        lines = await self._lines(self._searcher, read)
        return lines[::-1][:limit]

    async def account(self, keys: Sequence[str]) -> AccountRecord | None:
        return await self._ask(self._reader, lambda: book.find(self._file, keys))

    async def letters(self, account: str) -> Sequence[Told]:
        await self._safe()  # so that those are there that have just been kept
        return await self._ask(self._reader, lambda: book.letters(self._file, account))

    async def deeds(self, limit: int) -> Sequence[Deed]:
        await self._safe()
        return await self._ask(self._reader, lambda: audit.deeds(self._file, limit))

    async def _lines(self, worker: IsWorker, read: Callable[[], list[Line]]) -> list[Line]:
        lines = await self._ask(worker, read)
        return _without(lines, self._forgotten)  # somebody may have been forgotten meanwhile

    async def _ask(self, worker: IsWorker, read: Callable[[], T]) -> T:
        """Read something.

        :raises ChatError: that cannot be done now.
        """
        try:
            return await worker.do(read).addTimeout(READ_SECONDS, self._reactor)
        except (sqlite3.Error, OSError, TookTooLong) as error:
            self.log.warn("cannot read what is kept: {error}", error=error)
            raise ChatError("what was kept before cannot be read now") from error

    # What is not kept any longer

    def keep_for(self, seconds: float, lines: int) -> None:
        """Keep lines for so long, and so many of a room, from now on.

        What is too much then is erased within a minute or so.
        """
        self._keep_seconds, self._keep_lines = seconds, lines

    async def _tidy(self) -> None:
        """Have lines erased that are too old, and those too many."""
        most = self._keep_lines
        enough_to_look = max(1, most // 100)
        busy = [room for room, added in self._added.items() if added >= enough_to_look]
        before = self._reactor.seconds() - self._keep_seconds
        try:
            surplus = await self._searcher.do(
                partial(self._surplus, before, busy if most == self._looked_for else None, most)
            )
        except (sqlite3.Error, OSError) as error:
            self.log.warn("cannot look for what is too old: {error}", error=error)
            return
        self._looked_for = most
        for room in busy:
            del self._added[room]
        for room, until in surplus:
            self._journal.execute(archive.erase(room, until))

    def _surplus(self, before: float, busy: list[int] | None, most: int) -> list[tuple[int, int]]:
        too_old = self._searched.too_old(before)
        rooms = self._searched.rooms() if busy is None else busy
        return too_old + self._searched.too_many(rooms, most)


def _together(kept: Iterable[Line], late: Iterable[Line], forgotten: dict[str, int]) -> list[Line]:
    """Put together what is in the file and what is not yet, in order."""
    lines = {line.id: line for line in (*kept, *late)}
    return _without([line for _, line in sorted(lines.items())], forgotten)


def _without(lines: list[Line], forgotten: dict[str, int]) -> list[Line]:
    """Leave out what was said by those who are forgotten."""
    if not forgotten:
        return lines
    return [line for line in lines if line.id > forgotten.get(line.who.identity, -1)]
