"""The scribe: of all nodes, which all know the same, the one that writes it to Redis."""

import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from twisted_chat.chat.limits import DEEDS, LETTERS
from twisted_chat.histogram import Histogram
from twisted_chat.link import Argument, Link, LinkError, RedisError, Script
from twisted_chat.state.redis_pending import STATEMENTS, Pending, Position, Statement

GATHER_SECONDS = 0.015
"""From one script to the next: each has a cost of its own, and is worth some lines."""
LOOK_SECONDS = 1.0
LEAVE_SECONDS = 1.0
NOWHERE = Position(-1, 0)


class Seen(NamedTuple):
    """What a look has shown."""

    is_scribe: bool
    is_vacant: bool
    """Whether nobody was the scribe."""
    before: Position | None
    """Up to where all was written, before this look; None if that is not known."""
    written: Position | None
    """The same after it."""
    forgotten: int
    """How many are forgotten whose lines are still there."""


class Scribe:
    """Is the scribe, or stands by to become it.

    Whoever holds the key ``tcpchat:scribe`` is the scribe, and holds it for a few seconds at a
    time.  How far all is written is in ``tcpchat:scribed``, and changes together with what is
    written: so each statement is carried out once, whoever is the scribe by then.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, link: Link, node: str, pending: Pending, *, seconds: float, lines: int
    ) -> None:
        """
        :param node: what this node is called.
        :param seconds: for how long one is the scribe without saying so again.
        :param lines: how many of a room are kept.
        """
        self.is_scribe = False
        self.begun: int | None = None
        """The version since which this node knows everything; None while it knows nothing."""
        self.knows_all = False
        """Whether this node has made all statements that were not written when it began."""
        self.written: Position | None = None
        """Up to where all is written, as far as is known."""
        self.position: Callable[[], Position] = lambda: NOWHERE
        """Gives where all stand that have been made."""
        self.emptied: Callable[[], None] = lambda: None
        """Called once it is noticed that Redis has lost everything."""
        self.chosen: Callable[[int], None] = lambda _: None
        """Called at each look as the scribe; told how many are yet to be forgotten."""
        self.lines = lines
        self.commits = Histogram()
        """How many seconds Redis took, each time, to take what was written."""
        self.refusal = ""
        """Why Redis does not take what is written; empty if it does."""
        self._reactor = reactor
        self._link = link
        self._node = node
        self._token = self._new_token()
        self._pending = pending
        self._seconds = seconds
        self._vacant_since: float | None = None
        self._writing: Deferred[None] | None = None
        self._is_looking = False
        self._looks = LoopingCall(self._look_soon)
        self._looks.clock = reactor
        self._look, self._write, self._leave = (
            Script.load("twisted_chat.state", f"scripts/{name}.lua")
            for name in ("look", "write", "leave")
        )
        link.watch(self._look_soon, self._lost)

    # Beginning and ending

    def start(self) -> None:
        """Look from now on, and write when it is our turn."""
        if not self._looks.running:
            self._looks.start(min(LOOK_SECONDS, self._seconds / 3))

    def begin(self, version: int, knows_all: bool) -> None:
        """Know everything from an event on; of what was before it, others may know more.

        :param knows_all: whether nobody does.
        """
        if self.begun is not None:
            self._give_up()
        self.begun, self.knows_all = version, knows_all
        self.start()

    def _give_up(self) -> None:
        """Be the scribe no longer, though Redis may say so: it is not known what was missed."""
        token, self._token = self._token, self._new_token()
        self.is_scribe, self._vacant_since = False, None
        Deferred.fromCoroutine(self._let_go(token))

    def _new_token(self) -> str:
        return f"{self._node} {secrets.token_hex(8)}"

    async def stop(self, seconds: float) -> None:
        """Write what waits, if it is our turn and does not take longer; let another go on."""
        end = self._reactor.seconds() + seconds
        while self._is_looking and self._reactor.seconds() < end:  # which may make us the scribe
            await deferLater(self._reactor, GATHER_SECONDS)
        if self._pending and self._looks.running and self._link.is_up:
            await self._look_round()  # it may be our turn by now
        if self._looks.running:
            self._looks.stop()
        while self._is_at_work and self._pending and self._reactor.seconds() < end:
            self.wake()
            await deferLater(self._reactor, GATHER_SECONDS)
        await self._resign()

    @property
    def _is_at_work(self) -> bool:
        return self.is_scribe and self._link.is_up and not self.refusal

    async def _resign(self) -> None:
        was_scribe, self.is_scribe = self.is_scribe, False
        if self._writing is not None:
            await self._writing
        if not was_scribe:
            return
        with suppress(LinkError, RedisError):
            if not self._pending:
                await self._ask_look()  # so that the next one knows that nothing is missing
        await self._let_go(self._token)

    async def _let_go(self, token: str) -> None:
        """Have others able to be the scribe at once."""
        try:
            await self._link.run(self._leave, [], [token], LEAVE_SECONDS)
        except (LinkError, RedisError) as error:
            self.log.debug("another node will write before long: {error}", error=error)

    # Whose turn it is

    def _lost(self, why: str) -> None:
        self.is_scribe = False
        self._vacant_since = None  # the others may have lost it as well

    def _look_soon(self) -> None:
        if self._looks.running and self._link.is_up and not self._is_looking:
            Deferred.fromCoroutine(self._look_round()).addErrback(
                lambda failure: self.log.failure("cannot write to Redis", failure)
            )

    async def _look_round(self) -> None:
        self._is_looking = True
        try:
            seen = await self._ask_look()
        except (LinkError, RedisError) as error:
            self._note_refusal(error)
            return
        finally:
            self._is_looking = False
        if self._looks.running:
            self._take_note(seen)

    async def _ask_look(self) -> Seen:
        begun = "" if self.begun is None else self.begun
        all_written = ("", "") if self._pending else self.position()
        milliseconds = int(self._seconds * 1000)
        given = (
            self._token,
            milliseconds,
            begun,
            int(self.knows_all or self._is_overdue()),
            *all_written,
        )
        is_scribe, is_vacant, before, written, forgotten = await self._link.run(
            self._look, [], given
        )
        return Seen(
            bool(is_scribe), bool(is_vacant), _position(before), _position(written), forgotten
        )

    def _is_overdue(self) -> bool:
        """Tell whether the time is over for those to come forward who know more than we do."""
        since = self._vacant_since
        return since is not None and self._reactor.seconds() - since >= 2 * self._seconds

    def _take_note(self, seen: Seen) -> None:
        if seen.is_scribe and not self.is_scribe:
            self._become(seen)
        was_there = self.written is not None
        self.is_scribe = seen.is_scribe
        self._advance(seen.written)
        if seen.written and self.begun is not None and seen.written.version >= self.begun:
            self.knows_all = True
        if not seen.is_scribe:
            now = self._reactor.seconds()
            self._vacant_since = (self._vacant_since or now) if seen.is_vacant else None
            return
        self._vacant_since = None
        if was_there and seen.before is None:
            self.log.warn("Redis has lost what was kept there")
            self.emptied()
        self.chosen(seen.forgotten)
        self.wake()

    def _become(self, seen: Seen) -> None:
        self.log.info("this node writes to Redis what is said")
        if seen.before and self.begun is not None and not self.knows_all:
            self.log.warn(
                "nobody has written to Redis what happened from {before} to {begun}",
                before=seen.before.version,
                begun=self.begun,
            )

    def _advance(self, written: Position | None) -> None:
        self.written = written
        if written is not None:
            self._pending.drop(written)

    # Writing

    def wake(self) -> None:
        """Write what waits, if it is our turn."""
        if self.is_scribe and self._pending and self._writing is None:
            writing = Deferred.fromCoroutine(self._write_all())
            writing.addErrback(lambda failure: self.log.failure("cannot write to Redis", failure))
            self._writing = None if writing.called else writing

    async def _write_all(self) -> None:
        try:
            while self.is_scribe and self._pending:
                begun = self._reactor.seconds()
                try:
                    await self._write_some(self._pending.batch())
                except (LinkError, RedisError) as error:
                    self._note_refusal(error)
                    return
                self._note_refusal(None)
                if len(self._pending) < STATEMENTS:
                    left = GATHER_SECONDS - (self._reactor.seconds() - begun)
                    await deferLater(self._reactor, max(0.0, left))
        finally:
            self._writing = None

    async def _write_some(self, batch: list[Statement]) -> None:
        milliseconds = int(self._seconds * 1000)
        given: list[Argument] = [self._token, milliseconds, self.lines, LETTERS, DEEDS]
        for statement in batch:
            given += statement.words()
        begun = self._reactor.seconds()
        is_scribe, written, wrong = await self._link.run(self._write, [], given)
        self.commits.add(self._reactor.seconds() - begun)
        if not is_scribe:  # we were away for too long
            self.is_scribe = False
            self._look_soon()
            return
        if wrong:
            self.log.error("not all could be kept: {wrong}", wrong=wrong.decode("utf-8", "replace"))
        self._advance(_position(written))

    def _note_refusal(self, error: Exception | None) -> None:
        """Take note of whether Redis takes what it is given; what waits, waits on."""
        refusal = str(error) if isinstance(error, RedisError) else ""
        if refusal and not self.refusal:
            self.log.error("Redis does not keep what is said: {why}", why=refusal)
        elif self.refusal and error is None:
            self.log.info("Redis keeps what is said again")
        if refusal or error is None:
            self.refusal = refusal


def _position(words: bytes | None) -> Position | None:
    if words is None:
        return None
    version, number = words.split()
    return Position(int(version), int(number))
