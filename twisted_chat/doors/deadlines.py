"""One deadline for many: whoever is not done in time is told so."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Gives everyone the same time.

    They fall due in the order in which they began, so one timer watches the eldest alone; what
    it costs does not grow with how many are waiting.
    """

    def __init__(self, clock: IReactorTime, seconds: float, expired: Callable[[T], object]) -> None:
        """
        :param seconds: that everyone has; 0 for ever.
        :param expired: called with whoever did not make it.
        """
        self._clock = clock
        self._seconds = seconds
        self._expired = expired
        self._due: dict[T, float] = {}
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        """For how many it is counting."""
        return len(self._due)

    def begin(self, one: T) -> None:
        """Give ``one`` the time, anew if it was counting already."""
        if not self._seconds:
            return
        self._due.pop(one, None)
        self._due[one] = self._clock.seconds() + self._seconds
        self._watch()

    def change(self, seconds: float, everyone: Iterable[T]) -> None:
        """Give everyone another time, which begins anew.

        :param seconds: as at the beginning; if they are the same, nothing changes.
        """
        if seconds == self._seconds:
            return
        self._seconds = seconds
        self._due.clear()
        self._unwatch()
        for one in everyone:
            self.begin(one)

    def done(self, one: T) -> None:
        """Stop counting for ``one``, if it was."""
        self._due.pop(one, None)
        if not self._due:
            self._unwatch()

    def _watch(self) -> None:
        if self._timer is None:
            eldest = next(iter(self._due.values()))
            self._timer = self._clock.callLater(
                max(0.0, eldest - self._clock.seconds()), self._check
            )

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        late = []
        for one, due in self._due.items():
            if due > now:
                break
            late.append(one)
        try:
            for one in late:
                if self._due.pop(one, None) is not None:
                    self._expired(one)
        finally:
            if self._due:
                self._watch()
