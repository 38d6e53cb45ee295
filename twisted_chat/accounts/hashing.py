"""Passwords: only their hashes are kept, and threads make these."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from secrets import token_bytes
from typing import TypeVar

from argon2 import (
    DEFAULT_MEMORY_COST,
    DEFAULT_PARALLELISM,
    DEFAULT_TIME_COST,
    PasswordHasher,
)
from argon2.exceptions import VerificationError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twisted_chat.chat.events import ChatError
from twisted_chat.worker import IsWorker

ASKED_AT_MOST = 32
"""Hashes that are asked for at a time; each takes a tenth of a second."""
TOO_MANY = "too many people log in just now. try again in a moment"

T = TypeVar("T")


class Hasher:
    """Makes hashes of passwords, and tells if a password is the one of a hash."""

    log = Logger()

    def __init__(
        self,
        workers: Sequence[IsWorker],
        *,
        time_cost: int = DEFAULT_TIME_COST,
        memory_cost: int = DEFAULT_MEMORY_COST,
        parallelism: int = DEFAULT_PARALLELISM,
    ) -> None:
        """
        :param workers: what does the hashing, each one hash at a time.
        :param time_cost: how often argon2 goes over its memory.
        :param memory_cost: KiB for each hash that is under way.
        :param parallelism: threads for each hash that is under way.
        """
        self._asked = dict.fromkeys(workers, 0)
        """How many hashes each worker has yet to make."""
        self._argon2 = PasswordHasher(time_cost, memory_cost, parallelism)
        self._nobody = _hash_of_nobody(self._argon2)

    async def hash(self, password: str) -> str:
        """Give what is to be kept of a password.

        :raises ChatError: if too many are asked for.
        """
        secret = _secret(password)
        return await self._do(lambda: self._argon2.hash(secret))

    async def verify(self, hash_: str | None, password: str) -> bool:
        """Tell if a hash is one of this password.

        :param hash_: None if there is no such account: it takes as long to say no.
        :raises ChatError: if too many are asked for.
        """
        kept = self._nobody if hash_ is None else hash_
        secret = _secret(password)
        try:
            return await self._do(lambda: self._argon2.verify(kept, secret))
        except VerifyMismatchError:
            return False
        except VerificationError as error:
            return self._cannot_check(str(error))
        except ValueError:  # no word of it: the hash may be in there
            return self._cannot_check("it is no hash of argon2")

    def _do(self, task: Callable[[], T]) -> "Deferred[T]":
        """Have a task done by the worker that has the least to do.

        :param task: a closure: the ``repr`` of a partial would show the password.
        """
        if sum(self._asked.values()) >= ASKED_AT_MOST:
            raise ChatError(TOO_MANY)
        worker = min(self._asked, key=self._asked.__getitem__)
        self._asked[worker] += 1

        def done(result: T) -> T:
            self._asked[worker] -= 1
            return result

        # Who asked may cancel the answer, but the worker is busy until the work is done.
        answer: Deferred[T] = Deferred()
        worker.do(task).addBoth(done).chainDeferred(answer)
        return answer

    def _cannot_check(self, why: str) -> bool:
        self.log.error("a password cannot be checked: {why}", why=why)
        return False


def _secret(password: str) -> bytes:
    """Give the bytes of any password: an error of encoding would have the password in it."""
    return password.encode("utf-8", "surrogatepass")


def _hash_of_nobody(argon2: PasswordHasher) -> str:
    """Make up a hash of a password that nobody knows; to check it costs as much as any."""
    costs = f"m={argon2.memory_cost},t={argon2.time_cost},p={argon2.parallelism}"
    salt, digest = (
        b64encode(token_bytes(size)).decode().rstrip("=")
        for size in (argon2.salt_len, argon2.hash_len)
    )
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"
