"""How often something may be done, counted once for all nodes."""

from contextlib import suppress

from zope.interface import implementer

from twisted_chat.chat.events import ChatError
from twisted_chat.interfaces import IQuota
from twisted_chat.link import Argument, Link, LinkError, RedisError, Script


@implementer(IQuota)
class RedisQuota:
    """Lets a key do something so often in any span of time, on whichever node."""

    def __init__(self, link: Link, most: int, seconds: float) -> None:
        """
        :param link: whoever made it starts and stops it.
        :param most: how often it may be done in the span.
        :param seconds: how long the span is.
        """
        self._link = link
        self._most, self._seconds = most, seconds
        self._take = Script.load("twisted_chat.state", "scripts/take.lua")

    async def take(self, key: str) -> bool:
        given: list[Argument] = [key, self._most, int(self._seconds * 1000)]
        try:
            return bool(await self._link.run(self._take, [], given))
        except (LinkError, RedisError) as error:
            raise ChatError("that cannot be done now. try again later") from error

    async def take_back(self, key: str) -> None:
        with suppress(LinkError, RedisError):  # it counts, then: better too much than too little
            await self._link.call("ZPOPMAX", f"tcpchat:quota:{key}")
