"""The one place where rules, wire, state and backplane are put together."""

import secrets
from collections.abc import Callable, Coroutine, Sequence
from importlib.metadata import version
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_chat.accounts.gate import Gate
from twisted_chat.accounts.hashing import Hasher
from twisted_chat.chat.limits import HASHES_AT_ONCE, Limits
from twisted_chat.chat.operators import Operators
from twisted_chat.chat.plugins import Hooks, commands_with
from twisted_chat.chat.rooms import Rooms
from twisted_chat.cluster.local import LocalBackplane
from twisted_chat.interfaces import IAccounts, IBackplane, IChatPlugin, IClient, IQuota, IStore
from twisted_chat.state.memory import MemoryStore
from twisted_chat.wire.delivery import Delivery
from twisted_chat.wire.turn import end_of_turn
from twisted_chat.worker import Worker

_log = Logger()


def assemble(
    reactor: Any,
    limits: Limits | None = None,
    *,
    store: IStore | None = None,
    backplane: IBackplane | None = None,
    turn: Callable[[Callable[[], None]], None] | None = None,
    accounts: IAccounts | None = None,
    quota: IQuota | None = None,
    checkers: Sequence[ICredentialsChecker] = (),
    operators: Sequence[str] = (),
    plugins: Sequence[IChatPlugin] = (),
) -> Rooms:
    """Make a chat; what is left out is that of a single node which keeps nothing.

    :param reactor: gives the time, and calls at the end of a turn.
    :param turn: calls a function at the end of the reactor's turn.
    :param quota: how many accounts can be made from an address, unless ``accounts`` are given.
    :param checkers: of accounts that people have elsewhere, unless ``accounts`` are given.
    :param operators: the names of the accounts of those who run the server.
    :param plugins: asked in this order.
    :raises ValueError: a checker checks no passwords, or a plugin cannot be used.
    :raises ChatError: an operator has a name that nobody can have.
    """
    store = store or MemoryStore()
    return Rooms(
        backplane=backplane or LocalBackplane(reactor.seconds),
        store=store,
        accounts=accounts or _gate(reactor, store, checkers, quota),
        operators=Operators(operators),
        delivery=Delivery(turn or end_of_turn(reactor), _trouble),
        clock=reactor.seconds,
        start=_start,
        trouble=_trouble,
        incarnation=secrets.token_hex(4),
        limits=limits,
        commands=commands_with(plugins),
        hooks=Hooks(plugins, _plugin_failed) if plugins else None,
        version=version("twisted-chat"),
    )


def _gate(
    reactor: Any,
    store: IStore,
    checkers: Sequence[ICredentialsChecker],
    quota: IQuota | None,
) -> Gate:
    return Gate(store, Hasher(_hashing_threads(reactor)), reactor.seconds, checkers, quota)


def _hashing_threads(reactor: Any) -> list[Worker]:
    """Give as many as may hash at once."""
    return [Worker(reactor, f"tcpchat hasher {number}") for number in range(HASHES_AT_ONCE)]


def _start(running: Coroutine[Any, Any, None]) -> None:
    Deferred.fromCoroutine(running).addErrback(_failed)


def _failed(failure: Failure) -> None:
    _log.failure("something went wrong", failure)


def _trouble(error: BaseException, client: IClient | None = None) -> None:
    connection = getattr(client, "id", "")  # who comes from within the process needs none
    words = "something went wrong for {connection}" if connection else "something went wrong"
    _log.failure(words, Failure(error), connection=connection)


def _plugin_failed(name: str, hook: str, error: Exception) -> None:
    _log.failure("plugin {plugin}: {hook} failed", Failure(error), plugin=name, hook=hook)
