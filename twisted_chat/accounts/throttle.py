"""Those who guess have to wait, and nobody may do too much of one thing."""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from zope.interface import implementer

from twisted_chat.interfaces import IQuota

KEYS = 10_000
FORGOTTEN_SECONDS = 3600
"""After so long without a failure those before it do not count."""
WAITS = (0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 15 * 60)
"""Seconds to wait after none, one, two failures in a row; after more than it has, the last."""

T = TypeVar("T")


class _Failures(NamedTuple):
    """Those in a row, and when the last of them was."""

    times: int
    last: float


class Throttle:
    """Makes a key wait that has failed too often: the longer, the more often.

    A key is what tries, or what is tried: an address, the fold of a name.
    """

    def __init__(self, clock: Callable[[], float], keys: int = KEYS) -> None:
        """
        :param clock: gives seconds, at best of a clock that is never set.
        :param keys: how many are remembered; those that failed last.
        """
        self._clock = clock
        self._keys = keys
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def refusal(self, key: str) -> float:
        """Give the seconds that must pass before the next try, 0.0 if it may be now."""
        failures = self._failures.get(key)
        if failures is None:
            return 0.0
        passed = self._clock() - failures.last
        if passed < 0:  # the clock was set back: it may be long until it is there again
            return 0.0
        return max(0.0, WAITS[min(failures.times, len(WAITS) - 1)] - passed)

    def failed(self, key: str) -> None:
        """Count one more failure in a row."""
        now = self._clock()
        before = self._failures.get(key)
        if before is None or now - before.last >= FORGOTTEN_SECONDS:
            before = _Failures(0, now)
        _remember(self._failures, key, _Failures(before.times + 1, now), self._keys)

    def take_back(self, key: str) -> None:
        """Count one failure less: it was none."""
        failures = self._failures.get(key)
        if failures is not None:
            self._failures[key] = failures._replace(times=failures.times - 1)

    def succeeded(self, key: str) -> None:
        """Forget the failures."""
        self._failures.pop(key, None)


@implementer(IQuota)
class Quota:
    """Lets a key do something so often in any span of time: a sliding window, in memory."""

    def __init__(
        self, clock: Callable[[], float], most: int, seconds: float, keys: int = KEYS
    ) -> None:
        """
        :param clock: gives seconds, at best of a clock that is never set.
        :param most: how often it may be done in the span.
        :param seconds: how long the span is.
        :param keys: how many are remembered; those that did it last.
        """
        self._clock = clock
        self._most = most
        self._seconds = seconds
        self._keys = keys
        self._taken: OrderedDict[str, list[float]] = OrderedDict()

    async def take(self, key: str) -> bool:
        now = self._clock()
        # What seems yet to come was before the clock was set back, and would count for too long.
        lately = [then for then in self._taken.get(key, ()) if 0 <= now - then < self._seconds]
        if len(lately) >= self._most:
            return False
        _remember(self._taken, key, [*lately, now], self._keys)
        return True

    async def take_back(self, key: str) -> None:
        if taken := self._taken.get(key):
            taken.pop()


class Lately:
    """The keys that were added last."""

    def __init__(self, keys: int = KEYS) -> None:
        """
        :param keys: how many are remembered.
        """
        self._keys = keys
        self._added: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._added

    def add(self, key: str) -> None:
        """Remember a key."""
        _remember(self._added, key, None, self._keys)


def _remember(entries: OrderedDict[str, T], key: str, entry: T, keys: int) -> None:
    """Keep an entry as the newest of so many; the oldest goes."""
    entries[key] = entry
    entries.move_to_end(key)
    if len(entries) > keys:
        entries.popitem(last=False)
