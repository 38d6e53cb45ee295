"""A link to a Redis server: it comes back by itself, and nobody waits on it for long."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha1
from importlib.resources import files
from typing import Any, NamedTuple, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from twisted_chat.link.connection import (
    CONNECT_SECONDS,
    LinkError,
    RedisError,
    endpoint,
    factory,
    refuse_useless,
)
from twisted_chat.link.target import Target

Argument: TypeAlias = bytes | str | int | float

CALL_SECONDS = 2.0


class Script(NamedTuple):
    """A Lua script."""

    text: str
    digest: str

    @classmethod
    def of(cls, text: str) -> "Script":
        return cls(text, sha1(text.encode(), usedforsecurity=False).hexdigest())

    @classmethod
    def load(cls, package: str, name: str) -> "Script":
        """Read a script that lies in a package."""
        return cls.of((files(package) / name).read_text("utf-8"))


def sooner_then_later(tries: int) -> float:
    """Give how many seconds to wait after so many tries in vain."""
    return float(min(1.0, 0.05 * 2 ** min(tries, 10)))


class Link:
    """A connection that is made anew whenever it breaks.

    Calls do not wait for each other, and are carried out in the order in which they are made.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, target: Target, *, retry: Callable[[int], float] = sooner_then_later
    ) -> None:
        """
        :param retry: gives the seconds to wait after so many tries in vain.
        """
        self.target = target
        self.trouble = "it has not been asked yet"
        """Why there is no connection; empty while there is one."""
        self.down_since = reactor.seconds()
        """Since when it is known, by now, that there was none the last time."""
        self._silence = 0.0
        """For how long the connection that was given up had not answered."""
        self._reactor = reactor
        self._retry = retry
        self._listeners: list[tuple[Callable[[], None], Callable[[str], None]]] = []
        self._connection: Any = None
        self._is_known_down = False
        self._stopping = False
        self._staying: Deferred[None] | None = None

    @property
    def is_up(self) -> bool:
        return self._connection is not None

    def watch(self, up: Callable[[], None], down: Callable[[str], None]) -> None:
        """Be told of each connection, and of its end.

        :param down: told why, once for each loss, and once if the first try is in vain.
        """
        self._listeners.append((up, down))

    def start(self) -> None:
        """Connect, and stay so.

        :raises OSError: the file of trusted certificates cannot be read.
        :raises ValueError: there are none in it.
        """
        self._stopping = self._is_known_down = False
        connector = endpoint(self._reactor, self.target)
        self._staying = Deferred.fromCoroutine(self._stay(connector, factory()))

    async def stop(self) -> None:
        """End; who still waits for an answer gets none."""
        staying, self._staying = self._staying, None
        if staying is None:
            return
        self._stopping = True
        if self._connection is None:
            staying.cancel()
        else:
            self._connection.close(self._reactor)
            self._connection = None
        with suppress(CancelledError):
            await staying

    async def call(self, *command: Argument, seconds: float = CALL_SECONDS) -> Any:
        """Have the server do something, and give its answer.

        :param seconds: after which the connection counts as broken.
        :raises RedisError: the server does not do that.
        :raises LinkError: there is no answer.
        """
        if self._connection is None:
            raise LinkError(f"Redis is not there: {self.trouble}", sent=False)
        return await self._ask(self._connection, command, seconds)

    async def run(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[Argument],
        seconds: float = CALL_SECONDS,
    ) -> Any:
        """Have the server run a script, and give its answer; raises what `call` raises.

        The text is sent once for each connection, and whenever the server has lost it; only in
        the second case may a run overtake another that was asked for before.
        """
        rest = (len(keys), *keys, *arguments)
        if self._connection and script.digest not in self._connection.scripts:
            self._connection.scripts.add(script.digest)
            return await self.call("EVAL", script.text, *rest, seconds=seconds)
        try:
            return await self.call("EVALSHA", script.digest, *rest, seconds=seconds)
        except RedisError as refusal:
            if not str(refusal).startswith("NOSCRIPT"):
                raise
        return await self.call("EVAL", script.text, *rest, seconds=seconds)

    async def _ask(self, connection: Any, command: Sequence[Argument], seconds: float) -> Any:
        words = [_encode(word) for word in command]
        alarm = self._reactor.callLater(seconds, self._give_up, connection, seconds)
        try:
            return await connection.execute_command(*words)
        finally:
            if alarm.active():
                alarm.cancel()

    def _give_up(self, connection: Any, seconds: float) -> None:
        if self._connection is connection:
            self._connection = None
            self._silence = seconds
        connection.abort(f"it gave no answer within {seconds:g} s")

    async def _stay(self, connector: Any, maker: Any) -> None:
        tries = 0
        while not self._stopping:
            try:
                connection = await self._connect(connector, maker)
            except CancelledError:
                raise
            except Exception as error:
                self._note_down(str(error) or type(error).__name__)
            else:
                tries = 0
                self._note_up(connection)
                await connection.ended
                self._connection = None
                self._note_down(connection.why)
            if not self._stopping:
                await deferLater(self._reactor, self._retry(tries))
                tries += 1

    async def _connect(self, connector: Any, maker: Any) -> Any:
        connection = await connector.connect(maker)
        try:
            if not self.target.path:
                connection.transport.setTcpNoDelay(True)
                connection.transport.setTcpKeepAlive(True)
            await self._prepare(connection)
        except BaseException:
            connection.abort("it is of no use")
            raise
        return connection

    async def _prepare(self, connection: Any) -> None:
        user, password, db = self.target.user, self.target.password, self.target.db
        if password is not None:
            login = (user, password) if user else (password,)
            await self._ask(connection, ("AUTH", *login), CONNECT_SECONDS)
        if db:
            await self._ask(connection, ("SELECT", db), CONNECT_SECONDS)
        refuse_useless(await self._ask(connection, ("INFO",), CONNECT_SECONDS))

    def _note_up(self, connection: Any) -> None:
        self._connection = connection
        self.trouble = ""
        self._is_known_down = False
        self.log.info("Redis is there: {target}", target=self.target)
        for up, _ in self._listeners:
            self._tell(up)

    def _note_down(self, why: str) -> None:
        if self._stopping:
            return
        if why != self.trouble:
            self.trouble = why
            self.log.warn("no Redis at {target}: {why}", target=self.target, why=why)
        if self._is_known_down:
            return
        self._is_known_down = True
        self.down_since = self._reactor.seconds() - self._silence
        self._silence = 0.0
        for _, down in self._listeners:
            self._tell(down, why)

    def _tell(self, listener: Callable[..., None], *words: str) -> None:
        try:
            listener(*words)
        except Exception:
            self.log.failure("who watches a link to Redis failed")


def _encode(word: Argument) -> bytes:
    if isinstance(word, bytes):
        return word
    return word.encode() if isinstance(word, str) else repr(word).encode()
