"""Accounts in Redis, and the letters for them."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twisted_chat.chat.account import AccountRecord
from twisted_chat.chat.events import ChatError, Told
from twisted_chat.chat.names import Name
from twisted_chat.link import Link, LinkError, RedisError, Script
from twisted_chat.state import record
from twisted_chat.state.redis_pending import text_of

DROPPED_SECONDS = 24 * 3600
"""For so long it is remembered that letters were dropped: longer than any is yet to be written."""


class Book:
    """Accounts are kept at once, by whichever node is asked to."""

    log = Logger()

    def __init__(self, link: Link, version: Callable[[], int]) -> None:
        """
        :param version: gives the id of the last event.
        """
        self._link = link
        self._version = version
        self._dropped: dict[str, int] = {}
        """Up to which id the letters of accounts are yet to be dropped."""
        self._find, self._keep, self._drop, self._drop_letters = (
            Script.load("twisted_chat.state", f"scripts/{name}.lua")
            for name in ("find_account", "keep_account", "drop_account", "drop_letters")
        )
        link.watch(self._drop_all, lambda _: None)

    async def find(self, keys: Sequence[str]) -> AccountRecord | None:
        """Find the account that shares one of some keys, if there is one."""
        found = await self._link.run(self._find, [], keys)
        return None if found is None else _account(found)

    async def keep(self, account: AccountRecord) -> None:
        """Keep an account as it is now.

        :raises ChatError: by now there is another of that name, or of one that looks like it.
        """
        keys = Name.of(account.name).keys
        value = text_of([*account[:-1], keys, account.ssh_keys])
        start = (account.id, value, account.since, self._version(), DROPPED_SECONDS)
        found = await self._link.run(self._keep, [], [*start, *keys])
        if found is None:
            return
        taken = _account(found)
        if taken.id == account.id:
            raise ChatError(f'"{account.name}" is registered already')
        raise ChatError(f'"{account.name}" looks like "{taken.name}", which is registered')

    async def drop(self, id_: str) -> None:
        """Keep an account no longer, nor the letters for it."""
        await self._link.run(self._drop, [], [id_, self._version(), DROPPED_SECONDS])

    async def letters(self, account: str) -> list[Told]:
        """Give the letters for an account, and drop first what is to be dropped."""
        if account in self._dropped:
            await self._drop_those(account)
        found = await self._link.call("ZRANGE", f"tcpchat:letters:{account}", 0, -1)
        return [record.to_letter(json.loads(one)) for one in found]

    async def dropped(self, account: str) -> int:
        """Give up to which id the letters of an account were dropped of late."""
        return int(await self._link.call("GET", f"tcpchat:letters_until:{account}") or -1)

    def drop_letters(self, account: str, until: int) -> None:
        """Keep the letters for an account no longer, up to an id; it is done as soon as it can."""
        until = min(until, self._version())
        self._dropped[account] = max(until, self._dropped.get(account, -1))
        self._begin(self._drop_those(account))

    def to_record(self) -> dict[str, int]:
        """Give what is yet to be done, as plain JSON data."""
        return self._dropped

    def restore(self, dropped: dict[str, int]) -> None:
        """Go on with what `to_record` gave."""
        self._dropped = dict(dropped)
        self._drop_all()

    def _drop_all(self) -> None:
        self._begin(self._drop_each(list(self._dropped)))

    async def _drop_each(self, accounts: list[str]) -> None:
        for account in accounts:
            await self._drop_those(account)

    async def _drop_those(self, account: str) -> None:
        until = self._dropped.get(account)
        if until is None:  # another call was quicker
            return
        await self._link.run(self._drop_letters, [], (account, until, DROPPED_SECONDS))
        if self._dropped.get(account) == until:
            del self._dropped[account]

    def _begin(self, doing: Any) -> None:
        Deferred.fromCoroutine(doing).addErrback(self._failed)

    def _failed(self, failure: Any) -> None:
        if failure.check(LinkError, RedisError):
            self.log.debug("letters are to be dropped later: {why}", why=failure.value)
        else:
            self.log.failure("letters cannot be dropped", failure)


def _account(value: bytes) -> AccountRecord:
    """Read an account as it is kept; its fifth part is for the scripts: the keys of its name."""
    found = json.loads(value)
    return AccountRecord.from_record([*found[:4], *found[5:]])
