"""The gate: whoever wants to be known comes through here, by way of `twisted.cred`."""

from collections.abc import Callable

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from zope.interface import Interface, implementer

from twisted_chat.accounts.hashing import Hasher
from twisted_chat.accounts.throttle import Quota, Throttle
from twisted_chat.chat import names
from twisted_chat.chat.account import Account, AccountRecord, account_id
from twisted_chat.chat.duration import in_words
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.limits import ACCOUNTS_A_DAY, NICK_LENGTH, PASSWORD_BYTES
from twisted_chat.interfaces import IAccounts, IStore

DAY = 24 * 3600.0


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


@implementer(ICredentialsChecker)
class OwnChecker:
    """Checks passwords against the accounts of the store."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, store: IStore, hasher: Hasher) -> None:
        self._store = store
        self._hasher = hasher

    def requestAvatarId(self, credentials: UsernamePassword) -> "Deferred[bytes | tuple[()]]":
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: UsernamePassword) -> bytes | tuple[()]:
        name, password = credentials.username.decode(), credentials.password.decode()
        record = await self._store.account((names.fold(name),))
        if record and record.id != account_id(name):  # it only looks like it
            record = None
        # Without an account it takes as long.
        right = await self._hasher.verify(record.secret if record else None, password)
        if not record or not right:
            raise UnauthorizedLogin
        return record.name.encode()


@implementer(IAccounts)
class Gate:
    """Lets people make accounts, and come back to them."""

    def __init__(
        self,
        store: IStore,
        hasher: Hasher,
        clock: Callable[[], float],
    ) -> None:
        """
        :param store: where accounts are.
        :param clock: gives UTC seconds.
        """
        self._store = store
        self._hasher = hasher
        self._clock = clock
        self._portal = Portal(Realm(), [OwnChecker(store, hasher)])
        self._throttle = Throttle(clock)
        self._quota = Quota(clock, ACCOUNTS_A_DAY, DAY)
        self._being_made: set[str] = set()
        """The keys of names for which an account is being made."""

    async def register(self, name: str, password: str, address: str) -> Account:
        made = names.nick(name)
        if address and self._quota.refusal(address):
            raise ChatError(f"{ACCOUNTS_A_DAY} accounts a day can be made from one address")
        if not self._being_made.isdisjoint(made.keys):
            raise ChatError(f'"{made.text}" is registered already')
        self._being_made.update(made.keys)
        try:
            await self._refuse_taken(made)
            self._quota.take(address)
            secret = await self._hasher.hash(password)
            record = AccountRecord(account_id(made.text), made.text, secret, self._clock())
            await self._store.keep_account(record)
        finally:
            self._being_made.difference_update(made.keys)
        return Account(record.id, record.name)

    async def find(self, name: str) -> Account | None:
        if len(name) > NICK_LENGTH:
            return None
        record = await self._store.account((names.fold(name),))
        if record is None or record.id != account_id(name):
            return None
        return Account(record.id, record.name)

    async def login(self, name: str, password: str, address: str) -> Account:
        if len(name) > NICK_LENGTH or len(password.encode()) > PASSWORD_BYTES:
            raise ChatError("there is no such name or password")
        tried, tries = f"account {names.fold(name)}", f"address {address}"
        self._refuse_guessing(tried, tries)
        # It counts as failed until it is known better: many tries at once are many.
        self._throttle.failed(tried)
        try:
            account = await self._identity(name, password)
        except UnauthorizedLogin:
            if address:
                self._throttle.failed(tries)
            raise ChatError("that is not the password of that name") from None
        except ChatError:  # nothing was checked
            self._throttle.take_back(tried)
            raise
        self._throttle.succeeded(tried)  # but not the address: it may have an account to do so
        return account

    async def _identity(self, name: str, password: str) -> Account:
        credentials = UsernamePassword(name.encode(), password.encode())
        _, account, _ = await self._portal.login(credentials, None, IIdentity)
        assert isinstance(account, Account)
        return account

    async def change(self, account: str, password: str) -> None:
        record = await self._record(account)
        secret = await self._hasher.hash(password)
        await self._store.keep_account(record._replace(secret=secret))

    async def remove(self, account: str) -> None:
        await self._store.drop_account((await self._record(account)).id)

    async def _record(self, account: str) -> AccountRecord:
        record = await self._store.account((account.removeprefix("@"),))
        if record is None or record.id != account:
            raise ChatError("your account is not kept here")
        return record

    async def _refuse_taken(self, name: names.Name) -> None:
        taken = await self._store.account(name.keys)
        if taken is None:
            return
        if taken.id == account_id(name.text):
            raise ChatError(f'"{name.text}" is registered already')
        raise ChatError(f'"{name.text}" looks like "{taken.name}", which is registered')

    def _refuse_guessing(self, *keys: str) -> None:
        wait = max(map(self._throttle.refusal, keys))
        if wait > 0:
            raise ChatError(f"too many wrong passwords. wait for {in_words(wait + 1)}")
