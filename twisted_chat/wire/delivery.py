"""Fan-out: the events of a reactor turn leave as one write to each member.

A burst costs ``lines + members`` instead of ``lines * members``: each room has a *batch* of the
turn's events, rendered once for each format, and the same bytes go to every member.

Some members cannot have the same bytes: talkers, who do not hear themselves; who entered within
the batch; who was answered meanwhile.  Such a member is *apart*: ``batch.apart`` tells how much
of the batch they have been dealt, and ``owed`` holds what that was.
"""

from collections.abc import Callable

from zope.interface import implementer

from twisted_chat.chat.events import Event, Shown
from twisted_chat.chat.people import Person
from twisted_chat.chat.rooms import Room
from twisted_chat.interfaces import IDelivery, IFormat

Owed = dict[Person, list[bytes]]


class _Batch:
    """What was said to one room within one turn."""

    __slots__ = ("_lines", "apart", "events")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.apart: dict[Person, int] = {}
        self._lines: dict[IFormat, list[bytes]] = {}

    def lines(self, format_: IFormat) -> list[bytes]:
        """Give the events as they look in one format; each is rendered once."""
        lines = self._lines.setdefault(format_, [])
        if len(lines) < len(self.events):
            lines.extend(map(format_.render, self.events[len(lines) :]))
        return lines

    def deal(self, person: Person, owed: Owed) -> None:
        """Move what ``person`` has not had of the batch to what they are owed."""
        begin, end = self.apart.get(person, 0), len(self.events)
        if begin < end and person.client is not None:
            owed.setdefault(person, []).extend(self.lines(person.client.format)[begin:end])
        self.apart[person] = end


@implementer(IDelivery)
class Delivery:
    """Batches what is said, and sends it at the end of the turn."""

    def __init__(
        self,
        end_of_turn: Callable[[Callable[[], None]], None],
        trouble: Callable[[BaseException], None],
    ) -> None:
        """
        :param end_of_turn: calls a function at the end of the reactor turn.
        :param trouble: told when a client raises, which it should not.
        """
        self._end_of_turn = end_of_turn
        self._trouble = trouble
        self._batches: dict[Room, _Batch] = {}
        self._owed: Owed = {}
        self._held: dict[Person, int] = {}
        """Who is held back, and how much of what they are owed may go."""
        self._flush_is_due = False

    def to_room(self, room: Room, event: Event, *without: Person) -> None:
        batch = self._batches.get(room)
        if batch is None:
            batch = self._batches[room] = _Batch()
            self._schedule()
        for person in without:
            batch.deal(person, self._owed)
        batch.events.append(event)
        for person in without:
            batch.apart[person] = len(batch.events)

    def to_person(self, person: Person, shown: Shown) -> None:
        if person.client is None:
            return
        self._deal(person)
        self._owed.setdefault(person, []).append(person.client.format.render(shown))
        self._schedule()

    def enter(self, room: Room, person: Person) -> None:
        if person.client is None:
            return
        if batch := self._batches.get(room):
            batch.apart[person] = len(batch.events)
        self._held[person] = len(self._owed.get(person, ()))

    def release(self, person: Person, *first: Shown) -> None:
        place = self._held.pop(person, None)
        if person.client is None or place is None:
            return
        self._deal(person)
        lines = map(person.client.format.render, first)
        self._owed.setdefault(person, [])[place:place] = lines
        self._schedule()

    def leave(self, room: Room, person: Person) -> None:
        if batch := self._batches.get(room):
            batch.deal(person, self._owed)
            del batch.apart[person]
        self._held.pop(person, None)

    def settle(self, person: Person) -> None:
        self._deal(person)
        self._held.pop(person, None)
        self._send(person, self._owed.pop(person, []))

    def forget(self, person: Person) -> None:
        self._owed.pop(person, None)
        self._held.pop(person, None)

    def flush(self) -> None:
        """Send what the turn has brought."""
        self._flush_is_due = False
        # Sending may cut slow readers, whose leaving begins new batches.
        batches, self._batches = self._batches, {}
        owed, self._owed = self._owed, {}
        for room, batch in batches.items():
            self._flush_room(room, batch, owed)
        for person, lines in owed.items():
            self._send(person, self._keep_held(person, lines))

    def _flush_room(self, room: Room, batch: _Batch, owed: Owed) -> None:
        apart = batch.apart
        format_ = payload = None
        for person in list(room.members.values()):
            client = person.client
            if client is None:
                continue
            if person in apart or person in owed:
                batch.deal(person, owed)
                continue
            if client.format is not format_:
                format_ = client.format
                payload = b"".join(batch.lines(format_))
            if payload:
                try:
                    client.send(payload)
                except Exception as error:
                    self._trouble(error)

    def _keep_held(self, person: Person, lines: list[bytes]) -> list[bytes]:
        """Keep back what someone may not see yet, and give the rest."""
        place = self._held.get(person)
        if place is None:
            return lines
        self._held[person] = 0
        if kept := lines[place:]:
            self._owed[person] = kept
        return lines[:place]

    def _send(self, person: Person, lines: list[bytes]) -> None:
        data = b"".join(lines)
        if not data or person.client is None:
            return
        try:
            person.client.send(data)
        except Exception as error:
            self._trouble(error)

    def _deal(self, person: Person) -> None:
        """See to it that nothing overtakes the room lines of someone."""
        if person.room and (batch := self._batches.get(person.room)):
            batch.deal(person, self._owed)

    def _schedule(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            self._end_of_turn(self.flush)
