"""A store in Redis, for one chat on many nodes.

All nodes know the same, and make the same statements in the same order; one of them, the
scribe, writes.  The others hold theirs until they see that these are written, and go on in its
place if it is gone.  Accounts alone are kept at once, by the node that is asked to.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from twisted_chat.chat.account import AccountRecord
from twisted_chat.chat.events import ChatError, Deed, Line, Told
from twisted_chat.chat.kept import Kept, KeptRoom, StateError
from twisted_chat.chat.limits import LETTERS
from twisted_chat.chat.place import Place
from twisted_chat.interfaces import IStore
from twisted_chat.link import Link, LinkError, RedisError
from twisted_chat.state import record
from twisted_chat.state.matching import Matcher
from twisted_chat.state.redis_book import Book
from twisted_chat.state.redis_past import Past, of_room, without
from twisted_chat.state.redis_pending import Pending, Position, Statement, text_of
from twisted_chat.state.redis_scribe import NOWHERE, Scribe
from twisted_chat.state.redis_sweeping import Sweeper

KEEP_SECONDS = 30 * 24 * 3600
KEEP_LINES = 100_000
SCRIBE_SECONDS = 3.0
ASK_SECONDS = 2.0
OTHERS_SECONDS = 1.5
"""In which another node writes what only it knows, if any does."""
POLL_SECONDS = 0.05
CLOSE_SECONDS = 2.0
RELEASE_SECONDS = 1.0

T = TypeVar("T")


@implementer(IStore)
class RedisStore:
    """Keeps rooms, lines and accounts in Redis."""

    log = Logger()
    form = "redis 1"

    def __init__(
        self,
        reactor: Any,
        link: Link,
        node: str,
        *,
        keep_seconds: float = KEEP_SECONDS,
        keep_lines: int = KEEP_LINES,
        scribe_seconds: float = SCRIBE_SECONDS,
        version: Callable[[], int] | None = None,
    ) -> None:
        """
        :param link: whoever made it starts and stops it.
        :param node: what this node is called.
        :param keep_seconds: for how long lines are kept.
        :param keep_lines: how many lines of a room are kept.
        :param scribe_seconds: for how long a scribe is waited for that says nothing.
        :param version: gives the id of the event that is being applied, the same on all nodes;
            that of the last line, if left out.
        """
        self._last = 0
        """The id of the last line."""
        self.version = version or (lambda: self._last)
        self.emptied: Callable[[], None] = lambda: None
        """Called, on one node, once Redis has lost everything: what holds is to be kept anew."""
        self._reactor = reactor
        self._link = link
        self._pending = Pending()
        self._scribe = Scribe(
            reactor, link, node, self._pending, seconds=scribe_seconds, lines=keep_lines
        )
        self.commits = self._scribe.commits
        self._sweeper = Sweeper(reactor, link, lambda: self._scribe.is_scribe, keep_seconds)
        self._book = Book(link, self._version)
        self._past = Past(link)
        self._scribe.position = self._position
        self._scribe.chosen = self._sweeper.begin
        self._scribe.emptied = self._tell_emptied
        self._at = NOWHERE
        """Where the last statement stands."""

    # Beginning and ending

    def open(self, left: Any = None) -> Kept:
        """Begin; what is kept is told by `kept`, and nothing is written before `begin`."""
        if left is not None:
            self._at = Position(*left["at"])
            self._last = left["last"]
            self._scribe.begun = left["begun"]
            self._scribe.knows_all = left["knows_all"]
            self._pending.restore(left["pending"])
            self._pending.lost = left["lost"]
            self._book.restore(left["dropped"])
        self._scribe.start()
        return Kept()

    async def kept(self) -> Kept:
        """Read what is left of earlier times, for the first of the nodes.

        :raises StateError: it cannot be read.
        """
        try:
            kept = await self._past.kept()
            self._at = max(self._at, await self._past.written())
        except (LinkError, RedisError, ValueError, TypeError, LookupError) as error:
            raise StateError(f"what is kept in Redis cannot be read: {error}") from error
        self._scribe.knows_all = True
        return kept

    def begin(self, version: int, is_first: bool = False) -> None:
        """Take part, or do so anew: from now on this node knows of everything that happens.

        :param version: the id of the last event of which it knows only what came of it.
        :param is_first: whether nobody may know more.
        """
        self._at = max(self._at, Position(version, 0))
        has_read_all = self._scribe.begun is None and self._scribe.knows_all
        self._scribe.begin(version, is_first or version == 0 or has_read_all)

    async def release(self) -> object:
        await self._end(RELEASE_SECONDS)
        return {
            "at": self._at,
            "last": self._last,
            "begun": self._scribe.begun,
            "knows_all": self._scribe.knows_all,
            "pending": self._pending.to_record(),
            "lost": self._pending.lost,
            "dropped": self._book.to_record(),
        }

    def regain(self) -> None:
        self._scribe.start()

    async def close(self) -> None:
        await self._end(CLOSE_SECONDS)

    async def _end(self, seconds: float) -> None:
        await self._scribe.stop(seconds)
        await self._sweeper.finish()

    # How it is

    @property
    def backlog(self) -> int:
        """How many bytes wait, about; none while nobody can do anything about it here."""
        is_at_work = self._scribe.is_scribe and self._link.is_up and not self._scribe.refusal
        return self._pending.size if is_at_work else 0

    @property
    def trouble(self) -> str:
        if not self._link.is_up:
            return "Redis cannot be reached"
        return "Redis keeps nothing now" if self._scribe.refusal else ""

    def condition(self) -> Sequence[str]:
        words = ["what is said is kept in Redis, as safely as that server keeps it"]
        if not self._link.is_up:
            words = ["Redis cannot be reached: what is said is kept in memory until it can"]
        elif self._scribe.refusal:
            words = [f"Redis keeps nothing now, what is said is in memory: {self._scribe.refusal}"]
        if self._pending:
            words.append(f"{len(self._pending)} changes are not known to be kept there yet")
        if self._pending.lost:
            words.append(f"{self._pending.lost} changes could not be kept since the start")
        return words

    def keep_for(self, seconds: float, lines: int) -> None:
        """Keep lines for so long, and so many of a room, from now on.

        What is too old then is erased within a minute or so, what is too much as a room goes on.
        """
        self._sweeper.keep_seconds, self._scribe.lines = seconds, lines

    # What is written

    def record(self, event: Line) -> None:
        if event.id > self._last:
            self._last = event.id
            self._state("line", event.room, event.id, event)

    def forget(self, identity: str, until: int) -> None:
        self._state("forget", identity, until, str(until))

    def erase(self, room: int) -> None:
        self._state("erase", room)

    def keep(self, room: KeptRoom) -> None:
        self._state("keep", room.id, 0, of_room(room))

    def keep_place(self, place: Place) -> None:
        self._state("place", place.account, 0, text_of(place[1:]))

    def drop_place(self, account: str) -> None:
        self._state("unplace", account)

    def keep_letter(self, event: Told) -> None:
        letter = text_of(record.of_letter(event))
        self._state("letter", event.to.account or "", event.id, letter)

    def note(self, deed: Deed) -> None:
        self._state("deed", "", deed.id, text_of(deed))

    def _state(self, kind: str, key: int | str, id_: int = 0, value: str | Line = "") -> None:
        """Have something done by the scribe, whoever that is."""
        now = self._position()
        self._at = Position(now.version, now.number + 1)
        written = self._scribe.written
        if written is not None and self._at <= written:  # others are ahead of us
            return
        self._pending.add(Statement(self._at, kind, str(key), id_, value))
        self._scribe.wake()

    def _version(self) -> int:
        return self.version()  # which may be another function by now

    def _tell_emptied(self) -> None:
        self.emptied()

    def _position(self) -> Position:
        return max(self._at, Position(self._version(), 0))

    def drop_letters(self, account: str, until: int) -> None:
        self._book.drop_letters(account, until)

    async def keep_account(self, record: AccountRecord) -> None:
        await self._have_kept(self._book.keep(record))

    async def drop_account(self, id_: str) -> None:
        await self._have_kept(self._book.drop(id_))

    # What is read

    async def history(self, room: int, limit: int, since: float = 0.0) -> Sequence[Line]:
        def is_wanted(line: Line) -> bool:
            return line.time >= since

        lines = await self._lines(room, self.version(), is_wanted, limit, at_once=limit)
        return lines[::-1]

    async def search(self, room: int, words: Sequence[str], limit: int) -> Sequence[Line]:
        return await self._lines(room, None, Matcher(words), limit)

    async def _lines(
        self,
        room: int,
        until: int | None,
        is_wanted: Callable[[Line], bool],
        limit: int,
        **how: int,
    ) -> list[Line]:
        """Put together what is in Redis and what is not yet, newest first."""
        if limit <= 0:
            return []
        await self._read(self._wait_for_others())
        late = list(filter(is_wanted, self._pending.lines(room)))
        forgotten = self._pending.forgotten()
        kept = await self._read(self._past.lines(room, until, is_wanted, limit, **how))
        lines = {line.id: line for line in (*kept, *late)}
        newest = [line for _, line in sorted(lines.items(), reverse=True)]
        # somebody may have been forgotten meanwhile
        return without(newest, {**forgotten, **self._pending.forgotten()})[:limit]

    async def _wait_for_others(self) -> None:
        """Wait a little for what others have yet to write, of the time before this node began."""
        begun, end = self._scribe.begun, self._reactor.seconds() + OTHERS_SECONDS
        while not self._scribe.knows_all and begun and self._reactor.seconds() < end:
            written = await self._past.written()
            if written.version >= begun:
                return
            await deferLater(self._reactor, POLL_SECONDS)

    async def account(self, keys: Sequence[str]) -> AccountRecord | None:
        return await self._read(self._book.find(keys))

    async def letters(self, account: str) -> Sequence[Told]:
        late = self._pending.letters(account)
        kept = await self._read(self._book.letters(account))
        dropped = await self._read(self._book.dropped(account))
        letters = {letter.id: letter for letter in (*kept, *late) if letter.id > dropped}
        return [letter for _, letter in sorted(letters.items())][:LETTERS]

    async def deeds(self, limit: int) -> Sequence[Deed]:
        late = self._pending.deeds()
        kept = await self._read(self._past.deeds(limit))
        deeds = {deed.id: deed for deed in (*late, *kept)}
        return [deed for _, deed in sorted(deeds.items())][-limit:]

    async def _read(self, asked: Coroutine[Any, Any, T]) -> T:
        """Read something.

        :raises ChatError: that cannot be done now.
        """
        return await self._ask(asked, "what was kept before cannot be read now")

    async def _have_kept(self, asked: Coroutine[Any, Any, None]) -> None:
        """Have something kept at once.

        :raises ChatError: that cannot be done now.
        """
        await self._ask(asked, "that cannot be kept now. try again later")

    async def _ask(self, asked: Coroutine[Any, Any, T], else_: str) -> T:
        try:
            return await Deferred.fromCoroutine(asked).addTimeout(ASK_SECONDS, self._reactor)
        except (LinkError, RedisError, TookTooLong, ValueError) as error:
            self.log.warn("Redis: {error}", error=error)
            raise ChatError(else_) from error
