"""What is not kept any longer is erased from Redis a little at a time, by the scribe."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twisted_chat.link import Link, LinkError, RedisError, Script

TIDY_SECONDS = 60.0
SLICE = 500
"""Lines that are looked at in one script: others wait for Redis meanwhile."""
TIDIED_ROOMS = 10
TIDIED_LINES = 100
"""The same of lines that are too old, of each of so many rooms."""


class Sweeper:
    """Erases the lines of the forgotten, and those that are too old."""

    log = Logger()

    def __init__(
        self, reactor: Any, link: Link, is_ours: Callable[[], bool], keep_seconds: float
    ) -> None:
        """
        :param is_ours: tells whether this is still for us to do.
        :param keep_seconds: for how long lines are kept.
        """
        self.keep_seconds = keep_seconds
        self._reactor = reactor
        self._link = link
        self._is_ours = is_ours
        self._tidied: float | None = None
        self._sweeping: Deferred[None] | None = None
        self._erase, self._erased, self._tidy = (
            Script.load("twisted_chat.state", f"scripts/{name}.lua")
            for name in ("erase", "erased", "tidy")
        )

    def begin(self, forgotten: int) -> None:
        """Look what is to be done, if it is time.

        :param forgotten: how many there are whose lines have to go.
        """
        if self._sweeping is not None:
            return
        now = self._reactor.seconds()
        if not forgotten and self._tidied is not None and now - self._tidied < TIDY_SECONDS:
            return
        sweeping = Deferred.fromCoroutine(self._sweep(bool(forgotten)))
        sweeping.addErrback(lambda failure: self.log.failure("cannot erase in Redis", failure))
        self._sweeping = None if sweeping.called else sweeping

    async def finish(self) -> None:
        """Wait until nothing is under way; it ends soon once it is not for us to do."""
        if self._sweeping is not None:
            await self._sweeping

    async def _sweep(self, is_anyone_forgotten: bool) -> None:
        try:
            if is_anyone_forgotten:
                await self._erase_forgotten()
            await self._erase_old()
        except (LinkError, RedisError) as error:
            self.log.debug("that is to be erased later: {error}", error=error)
        finally:
            self._sweeping = None

    async def _erase_forgotten(self) -> None:
        """Look at all lines of all rooms: if that is cut short, the next scribe begins anew."""
        forgotten = await self._link.call("HGETALL", "tcpchat:forgotten")
        cursor = b""
        while cursor != b"0":
            if not self._is_ours():
                return
            cursor, rooms = await self._link.call(
                "ZSCAN", "tcpchat:eldest", cursor or 0, "COUNT", SLICE
            )
            for room in rooms[::2]:
                await self._erase_in(room)
        if self._is_ours():
            await self._link.run(self._erased, [], forgotten)

    async def _erase_in(self, room: bytes) -> None:
        after: bytes | None = b"-inf"
        while after is not None and self._is_ours():
            after = await self._link.run(self._erase, [], [room, after, SLICE])

    async def _erase_old(self) -> None:
        before = self._reactor.seconds() - self.keep_seconds
        looked_at = 1
        while looked_at and self._is_ours():
            given = [before, TIDIED_ROOMS, TIDIED_LINES]
            looked_at = await self._link.run(self._tidy, [], given)
        self._tidied = self._reactor.seconds()
