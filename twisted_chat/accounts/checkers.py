"""Who tells whether a password is right: our own accounts, and whoever else is asked."""

from collections.abc import Sequence
from traceback import format_tb

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.error import LoginFailed, UnauthorizedLogin
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from zope.interface import implementer

from twisted_chat.accounts.hashing import Hasher
from twisted_chat.chat import names
from twisted_chat.chat.account import account_id
from twisted_chat.chat.events import ChatError
from twisted_chat.interfaces import IStore


class NoSuchAccount(UnauthorizedLogin):
    """None of our own accounts has that name."""


class CannotCheck(UnauthorizedLogin):
    """Nobody has accepted the password, and somebody could not tell."""


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
        if not record:
            raise NoSuchAccount
        if not right:
            raise UnauthorizedLogin
        if await self._store.account((names.fold(name),)) is None:  # given up meanwhile
            raise NoSuchAccount
        return record.name.encode()


@implementer(ICredentialsChecker)
class Checkers:
    """Asks our own accounts first and, about a name that none of them has, others in order.

    So nobody else can let anyone into an account of ours.
    """

    log = Logger()
    credentialInterfaces = (IUsernamePassword,)

    def __init__(
        self, store: IStore, hasher: Hasher, others: Sequence[ICredentialsChecker] = ()
    ) -> None:
        """
        :param store: where our own accounts are.
        :raises ValueError: one of the others checks no passwords.
        """
        for other in others:
            if IUsernamePassword not in getattr(other, "credentialInterfaces", ()):
                raise ValueError(f"{type(other).__name__} is no checker of IUsernamePassword")
        self._store = store
        self._own = OwnChecker(store, hasher)
        self._others = tuple(others)

    def requestAvatarId(self, credentials: UsernamePassword) -> "Deferred[bytes | tuple[()]]":
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: UsernamePassword) -> bytes | tuple[()]:
        try:
            return await self._own.requestAvatarId(credentials)
        except NoSuchAccount:
            avatar = await self._ask_others(credentials)
        try:
            name = await self._free_name(avatar)
        except ChatError as refused:
            raise ChatError(f"that account cannot be used here: {refused}") from None
        return name.encode()

    async def _ask_others(self, credentials: UsernamePassword) -> str:
        """Give the name that the first of the others gives who accepts the password."""
        refusal: type[UnauthorizedLogin] = UnauthorizedLogin
        for other in self._others:
            try:
                return await self._ask(other, credentials)
            except CannotCheck:
                refusal = CannotCheck
            except LoginFailed:
                pass
        raise refusal

    async def _ask(self, other: ICredentialsChecker, credentials: UsernamePassword) -> str:
        try:
            avatar: object = await maybeDeferred(other.requestAvatarId, credentials)
            return _text(avatar)
        except LoginFailed:
            raise
        except Exception as error:
            # Where it was, but no word of it: the password may be in there.
            self.log.error(
                "{checker} could not check a password: {kind}\n{where}",
                checker=type(other).__name__,
                kind=type(error).__name__,
                where="".join(format_tb(error.__traceback__)),
            )
            raise CannotCheck from None

    async def _free_name(self, avatar: str) -> str:
        """Give the name that somebody has elsewhere, if it may be one here.

        :raises ChatError: it may not, or would be that of an account of ours.
        """
        name = names.nick(avatar)
        if name.text != avatar:  # two who have different names there must not be one here
            raise ChatError(f'"{name.text}" is not quite its name')
        await refuse_taken(self._store, name)
        return name.text


async def refuse_taken(store: IStore, name: names.Name) -> None:
    """Refuse a name that an account of ours has, or looks like.

    :raises ChatError: it is taken.
    """
    taken = await store.account(name.keys)
    if taken is None:
        return
    if taken.id == account_id(name.text):
        raise ChatError(f'"{name.text}" is registered already')
    raise ChatError(f'"{name.text}" looks like "{taken.name}", which is registered')


def _text(avatar: object) -> str:
    """Read the name that a checker gives; some give text.

    :raises TypeError: it gives something else.
    """
    if isinstance(avatar, bytes):
        return avatar.decode("utf-8", "replace")
    if isinstance(avatar, str):
        return avatar
    raise TypeError
