"""The backplane of a single node."""

from collections.abc import Callable

from zope.interface import implementer

from twisted_chat.chat.events import Event
from twisted_chat.histogram import Histogram
from twisted_chat.interfaces import IBackplane


@implementer(IBackplane)
class LocalBackplane:
    """Numbers and applies within the call: nothing waits.

    Ids begin with the time, in microseconds, so that they go on after a restart.
    """

    trouble = ""

    def __init__(self, clock: Callable[[], float]) -> None:
        """
        :param clock: gives UTC seconds.
        """
        self._clock = clock
        self.last = int(clock() * 1_000_000)
        self.lag = Histogram()
        self._admit: Callable[[Event], None]
        self._apply: Callable[[Event], None]

    def subscribe(self, admit: Callable[[Event], None], apply: Callable[[Event], None]) -> None:
        self._admit, self._apply = admit, apply

    def resume(self, after: int) -> None:
        self.last = max(self.last, after)

    def publish(self, event: Event) -> None:
        self._number(event)
        self._apply(event)

    async def claim(self, event: Event) -> Event:
        self._number(event)
        self._admit(event)
        self._apply(event)
        return event

    def _number(self, event: Event) -> None:
        self.last += 1
        event.id = self.last
        event.time = self._clock()
