"""The gate: whoever wants to be known comes through here, by way of `twisted.cred`."""

from collections.abc import Callable, Sequence

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from zope.interface import Interface, implementer

from twisted_chat.accounts.checkers import CannotCheck, Checkers, refuse_taken
from twisted_chat.accounts.hashing import Hasher
from twisted_chat.accounts.throttle import Lately, Quota, Throttle
from twisted_chat.chat import names
from twisted_chat.chat.account import Account, AccountRecord, account_id
from twisted_chat.chat.duration import in_words
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.limits import ACCOUNTS_A_DAY, DAY_SECONDS, NICK_LENGTH, PASSWORD_BYTES
from twisted_chat.interfaces import IAccounts, IQuota, IStore

ALL = (1 << 63) - 1
"""An id that is none's; all are lower."""
LONGEST = 3 * NICK_LENGTH
"""Characters in a name: without regard to capitals, some are three."""


class IIdentity(Interface):
    """What the realm gives: an `Account`."""


@implementer(IRealm)
class Realm:
    """Gives whoever has proved a name the account of that name."""

    def requestAvatar(
        self, avatarId: bytes | tuple[()], mind: object, *interfaces: type[Interface]
    ) -> tuple[type[Interface], Account, Callable[[], None]]:
        if IIdentity not in interfaces or not isinstance(avatarId, bytes):
            raise NotImplementedError
        name = avatarId.decode()
        return IIdentity, Account(account_id(name), name), lambda: None


@implementer(IAccounts)
class Gate:
    """Lets people make accounts, and come back to them, or to those they have elsewhere."""

    def __init__(
        self,
        store: IStore,
        hasher: Hasher,
        clock: Callable[[], float],
        checkers: Sequence[ICredentialsChecker] = (),
        quota: IQuota | None = None,
    ) -> None:
        """
        :param store: where our own accounts are.
        :param clock: gives UTC seconds.
        :param checkers: of accounts that people have elsewhere; with any, none are made here.
        :param quota: how many accounts can be made from an address; our own, if left out.
        :raises ValueError: one of these checks no passwords.
        """
        self._store = store
        self._hasher = hasher
        self._clock = clock
        self._portal = Portal(Realm(), [Checkers(store, hasher, checkers)])
        self.elsewhere = bool(checkers)
        self._throttle = Throttle(clock)
        self._homes = Lately()
        self._quota = quota or Quota(clock, ACCOUNTS_A_DAY, DAY_SECONDS)
        self._being_made: set[str] = set()
        """The keys of names for which an account is being made."""

    async def register(self, name: str, password: str, address: str) -> Account:
        if self.elsewhere:  # it may be that of someone who has yet to come
            raise ChatError("accounts are not made here: log in with the one you have")
        made = names.nick(name)
        if not self._being_made.isdisjoint(made.keys):
            raise ChatError(f'"{made.text}" is registered already')
        self._being_made.update(made.keys)
        try:
            await refuse_taken(self._store, made)
            record = await self._make(made.text, password, address)
        finally:
            self._being_made.difference_update(made.keys)
        self._homes.add(_home(made.text, address))
        return Account(record.id, record.name)

    async def _make(self, name: str, password: str, address: str) -> AccountRecord:
        if address and not await self._quota.take(address):  # many tries at once are many
            raise ChatError(f"{ACCOUNTS_A_DAY} accounts a day can be made from one address")
        try:
            secret = await self._hasher.hash(password)
            record = AccountRecord(account_id(name), name, secret, self._clock())
            self._store.drop_letters(record.id, ALL)  # they are for who had the name before
            await self._store.keep_account(record)
        except ChatError:
            if address:
                await self._quota.take_back(address)
            raise
        return record

    async def find(self, name: str) -> Account | None:
        """Find an account of ours; nobody can ask others whom they know."""
        if len(name) > LONGEST:
            return None
        record = await self._store.account((names.fold(name),))
        if record is None or record.id != account_id(name):
            return None
        return Account(record.id, record.name)

    async def login(self, name: str, password: str, address: str) -> Account:
        if len(name) > NICK_LENGTH or len(password.encode()) > PASSWORD_BYTES:
            raise ChatError("there is no such name or password")
        home, tries = _home(name, address), f"address {address}"
        # Those who guess elsewhere are not to keep its owner out.
        tried = home if home in self._homes else f"account {names.fold(name)}"
        self._refuse_guessing(tried, tries)
        # It counts as failed until it is known better: many tries at once are many.
        self._throttle.failed(tried)
        try:
            account = await self._identity(name, password)
        except UnauthorizedLogin as refused:
            if address:
                self._throttle.failed(tries)
            raise ChatError(_why(refused)) from None
        except ChatError:  # nothing was checked
            self._throttle.take_back(tried)
            raise
        self._throttle.succeeded(tried)  # but not the address: it may have an account to do so
        self._homes.add(home)
        return account

    async def _identity(self, name: str, password: str) -> Account:
        credentials = UsernamePassword(name.encode(), password.encode())
        _, account, _ = await self._portal.login(credentials, None, IIdentity)
        assert isinstance(account, Account)
        return account

    async def change(self, account: str, password: str) -> None:
        secret = await self._hasher.hash(password)
        record = await self._record(account)  # only now: meanwhile it may have become another
        await self._store.keep_account(record._replace(secret=secret))

    async def ssh_keys(self, account: str) -> Sequence[str]:
        return (await self._record(account)).ssh_keys

    async def keep_ssh_keys(self, account: str, keys: Sequence[str]) -> None:
        record = await self._record(account)
        await self._store.keep_account(record._replace(ssh_keys=tuple(keys)))

    async def remove(self, account: str) -> None:
        await self._store.drop_account((await self._record(account)).id)

    async def _record(self, account: str) -> AccountRecord:
        record = await self._store.account((account.removeprefix("@"),))
        if record is None or record.id != account:
            raise ChatError("your account is not kept here")
        return record

    def _refuse_guessing(self, *keys: str) -> None:
        wait = max(map(self._throttle.refusal, keys))
        if wait > 0:
            raise ChatError(f"too many wrong passwords. wait for {in_words(wait + 1)}")


def _home(name: str, address: str) -> str:
    """Give what tells an account, and from where somebody has come to it."""
    return f"account {names.fold(name)} at {address}"


def _why(refused: UnauthorizedLogin) -> str:
    # It counts all the same: a checker may fail at each wrong password, and at no right one.
    if isinstance(refused, CannotCheck):
        return "that password cannot be checked now. try again later"
    return "that is not the password of that name"
