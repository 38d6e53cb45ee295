"""What a node has to tell the others, until it has come back to it."""

from collections import OrderedDict
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from twisted_chat.chat.events import Emoted, Event, Reported, Said, Told
from twisted_chat.cluster import codec

AT_ONCE = 200
"""Events that are sent in one go: the server does nothing else meanwhile."""
BYTES_AT_ONCE = 256 * 1024
WAITING = 16 * 1024 * 1024
"""Bytes that may wait; above it lines are refused."""


@dataclass(slots=True, eq=False)
class Outgoing:
    """An event on its way."""

    number: int
    """Rising, of this incarnation; sent twice it counts once."""
    event: Event
    data: bytes
    since: float
    """When it was said, in seconds."""
    claim: "Deferred[Event] | None"
    """Who waits to know whether it may be."""
    is_sent: bool = False
    """Whether it may have been accepted."""

    @property
    def can_be_refused(self) -> bool:
        """Whether somebody has asked for it who can be told that it was not done."""
        return self.claim is not None or isinstance(self.event, Said | Emoted | Reported | Told)


class Queue:
    """Events on their way, in order."""

    def __init__(self, number: int = 0) -> None:
        """
        :param number: the last that was given.
        """
        self.number = number
        self.size = 0
        self._events: OrderedDict[int, Outgoing] = OrderedDict()

    def __len__(self) -> int:
        return len(self._events)

    @property
    def is_full(self) -> bool:
        return self.size > WAITING

    def add(self, event: Event, now: float, claim: "Deferred[Event] | None") -> Outgoing:
        """Add an event.

        :param now: seconds.
        :raises ValueError: it is too long.
        """
        data = codec.encode(event)
        self.number += 1
        one = self._events[self.number] = Outgoing(self.number, event, data, now, claim)
        self.size += len(data)
        return one

    def take(self, number: int) -> Outgoing | None:
        """Take out an event that has come back."""
        found = self._events.pop(number, None)
        if found:
            self.size -= len(found.data)
        return found

    def unsent(self) -> list[Outgoing]:
        """Give those that have certainly not been accepted."""
        return [one for one in self._events.values() if not one.is_sent]

    def all(self) -> list[Outgoing]:
        """Give all of them."""
        return list(self._events.values())

    def batch(self) -> list[Outgoing]:
        """Give what is to be sent next, in one go."""
        batch: list[Outgoing] = []
        size = 0
        for one in self._events.values():
            if one.is_sent:
                continue
            size += len(one.data)
            if len(batch) == AT_ONCE or (batch and size > BYTES_AT_ONCE):
                break
            batch.append(one)
        return batch

    def accepted(self, number: int) -> None:
        """Know that of what was sent all up to that number was accepted, and nothing else."""
        for one in self._events.values():
            one.is_sent = one.is_sent and one.number <= number

    def begin_anew(self) -> None:
        """Number what is left from one on, to be sent by another incarnation."""
        left = list(self._events.values())
        self._events.clear()
        self.number = 0
        for one in left:
            self.number += 1
            one.number, one.is_sent = self.number, False
            self._events[self.number] = one
