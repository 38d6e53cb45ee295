"""Who comes by SSH, and how they prove it: a key, a password, or as a guest.

RFC 4252, and RFC 4256 for what is asked at the keyboard.  The name decides: who has an account
of that name proves it, and anybody else is a guest.
"""

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.conch.error import IgnoreAuthentication, ValidPublicKey
from twisted.conch.interfaces import IConchUser
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.transport import DISCONNECT_PROTOCOL_ERROR
from twisted.conch.ssh.userauth import (
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_INFO_REQUEST,
    SSHUserAuthServer,
)
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ISSHPrivateKey, IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_chat.chat.account import Account
from twisted_chat.chat.addresses import place
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.sshkeys import KEY_TYPES, RSA_BITS, fingerprint
from twisted_chat.doors.address import host
from twisted_chat.doors.quiet import quiet_logger
from twisted_chat.doors.ssh import Visitor

if TYPE_CHECKING:
    from twisted_chat.doors.sshserver import Server
    from twisted_chat.interfaces import IAccounts

TRIES = 6
"""Keys and passwords that one connection may have refused; the last ends it."""
NAME_BYTES = 256
SIGNATURES = tuple(
    signature.encode()
    for kind in KEY_TYPES
    for signature in (("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,))
)
"""How keys may sign: as their type tells, but never with SHA-1."""

Granted = tuple[Any, Visitor, Callable[[], None]]
"""As `Portal.login` has it."""


@implementer(IRealm)
class Realm:
    """Gives whoever has proved who they are what they have proved."""

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Granted:
        return IConchUser, avatarId, lambda: None


@implementer(ICredentialsChecker)
class Checker:
    """Checks the keys and passwords that come over one connection."""

    credentialInterfaces = (ISSHPrivateKey, IUsernamePassword)

    def __init__(self, accounts: "IAccounts", address: str, explain: Callable[[str], None]) -> None:
        """
        :param address: where the connection comes from.
        :param explain: tells whoever is there why something is refused.
        """
        self._accounts = accounts
        self._address = address
        self._explain = explain

    def requestAvatarId(self, credentials: Any) -> "Deferred[Any]":
        check = self._key if ISSHPrivateKey.providedBy(credentials) else self._password
        return Deferred.fromCoroutine(self._checked(check(credentials)))

    async def account(self, user: bytes) -> Account | None:
        """Find the account of ours that has a name.

        :raises UnauthorizedLogin: it cannot be told.
        """
        account: Account | None = await self._checked(self._accounts.find(_name(user)))
        return account

    async def _checked(self, checking: Any) -> Any:
        try:
            return await checking
        except ChatError as refused:
            self._explain(str(refused))
            raise UnauthorizedLogin from None

    async def _key(self, credentials: Any) -> Visitor:
        name = _name(credentials.username)
        key = Key.fromString(credentials.blob)
        _refuse_weak(key, credentials.algName)
        mark = fingerprint(key.blob())
        account = await self._accounts.find(name)
        if account and mark not in await self._accounts.ssh_keys(account.id):
            raise UnauthorizedLogin
        if credentials.signature is None:
            raise ValidPublicKey  # so far: they are asked to prove that they have it
        if not _is_signed(key, credentials):
            raise UnauthorizedLogin
        return Visitor(account.name if account else name, account, mark)

    async def _password(self, credentials: Any) -> Visitor:
        name, password = _name(credentials.username), credentials.password
        account = await self._accounts.login(
            name, password.decode("utf-8", "replace"), place(self._address)
        )
        return Visitor(account.name, account, "")


class Authentication(SSHUserAuthServer):
    """The service in which whoever has connected tells who they are."""

    transport: Any  # a Server
    attemptsBeforeDisconnect = TRIES - 1
    _log = quiet_logger()
    _is_checking = _is_over = False
    _answers: "Deferred[list[bytes]] | None" = None

    def serviceStarted(self) -> None:
        server: Server = self.transport
        chat = server.factory.chat
        self.clock = chat.clock
        self.authenticatedWith: list[bytes] = []
        self.loginAttempts = 0
        self.user = self.nextService = None
        self.supportedAuthentications = [b"publickey", b"keyboard-interactive", b"password"]
        self._accounts = chat.rooms.accounts
        self._checker = Checker(self._accounts, host(server.address), self._explain)
        self.portal = Portal(Realm(), [self._checker])

    def serviceStopped(self) -> None:
        self._is_over = True
        if self._answers:
            self._answers.cancel()

    def ssh_USERAUTH_REQUEST(self, packet: bytes) -> None:
        if self._is_checking:
            self.transport.sendDisconnect(DISCONNECT_PROTOCOL_ERROR, b"one try at a time")
            return
        self._is_checking = True
        trying = super().ssh_USERAUTH_REQUEST(packet)
        if trying:
            trying.addBoth(self._checked)

    def _checked(self, result: Any) -> None:
        self._is_checking = False

    def tryAuth(self, kind: bytes, user: bytes, data: bytes) -> "Deferred[Any]":
        return super().tryAuth(kind, user, data).addBoth(self._only_if_here)

    def _only_if_here(self, result: Any) -> Any:
        return Failure(IgnoreAuthentication()) if self._is_over else result

    def auth_keyboard_interactive(self, packet: bytes) -> "Deferred[Any]":
        return Deferred.fromCoroutine(self._interact()).addErrback(self._ebPassword)

    async def _interact(self) -> Granted:
        """Ask for a password whoever may have one, and let in as a guest whoever has none."""
        assert self.user is not None
        account = await self._checker.account(self.user)
        answers: list[bytes] = []
        if account:
            answers = await self._ask(f"{account.name} is registered here", "password: ")
        elif self._accounts.elsewhere:
            answers = await self._ask("", "password (empty, to come as a guest): ")
        if account is None and not any(answers):
            answers = answers or await self._ask("")
            return IConchUser, Visitor(_name(self.user), None, ""), lambda: None
        password = UsernamePassword(self.user, answers[0] if answers else b"")
        return await self.portal.login(password, None, IConchUser)  # type: ignore[no-any-return]

    async def _ask(self, instruction: str, *prompts: str) -> list[bytes]:
        """Have questions answered; what is typed is not shown."""
        asked = b"".join(NS(prompt.encode()) + b"\0" for prompt in prompts)
        self.transport.sendPacket(
            MSG_USERAUTH_INFO_REQUEST,
            NS(b"") + NS(instruction.encode()) + NS(b"") + struct.pack(">L", len(prompts)) + asked,
        )
        self._answers = Deferred()
        return await self._answers

    def ssh_USERAUTH_INFO_RESPONSE(self, packet: bytes) -> None:
        asking, self._answers = self._answers, None
        if asking is None:
            self.transport.sendDisconnect(DISCONNECT_PROTOCOL_ERROR, b"nothing was asked")
            return
        number = struct.unpack(">L", packet[:4])[0]
        *answers, _ = getNS(packet[4:], min(number, 1))
        asking.callback(answers)

    def _explain(self, words: str) -> None:
        if not self._is_over:
            self.transport.sendPacket(MSG_USERAUTH_BANNER, NS(f"{words}\r\n".encode()) + NS(b""))


def _name(user: bytes) -> str:
    """Give the name that somebody asks for.

    :raises UnauthorizedLogin: it is far too long.
    """
    if len(user) > NAME_BYTES:
        raise UnauthorizedLogin
    return user.decode("utf-8", "replace")


def _refuse_weak(key: Key, algorithm: bytes) -> None:
    """Refuse a key that cannot be trusted, or costs too much.

    :raises UnauthorizedLogin: it is one.
    """
    if algorithm not in SIGNATURES or (key.type() == "RSA" and key.size() not in RSA_BITS):
        raise UnauthorizedLogin


def _is_signed(key: Key, credentials: Any) -> bool:
    """Tell whether somebody has proved that they have the key, as they said they would."""
    try:
        algorithm, _ = getNS(credentials.signature)
        is_right = key.verify(credentials.signature, credentials.sigData)
        return bool(is_right and algorithm == credentials.algName)
    except Exception:  # of a signature that is none, each kind of key thinks in its own way
        return False
