"""Fan-out: the events of a reactor turn leave as one write to each member.

A burst costs ``lines + members`` instead of ``lines * members``: each room has a *batch* of the
turn's events, rendered once for each format, and the same bytes go to every member.

Some members cannot have the same bytes: talkers, who do not hear themselves; who entered within
the batch; who was answered meanwhile.  Such a member is *apart*: ``batch.apart`` tells how much
of the batch they have been dealt, and ``owed`` holds what that was.
"""

from collections.abc import Callable, Iterable, Sequence

from zope.interface import implementer

from twisted_chat.chat.answers import Shown
from twisted_chat.chat.events import Event
from twisted_chat.chat.person import Person
from twisted_chat.chat.room import Room
from twisted_chat.interfaces import IClient, IDelivery, IFormat

Owed = dict[Person, list[bytes]]
Runs = list[tuple[IFormat, list[IClient]]]
"""Clients, in the order of the members, with the format that they share with those beside them."""


class _Batch:
    """What was said to one room within one turn."""

    __slots__ = ("_lines", "_payloads", "_render", "apart", "events")

    def __init__(self, render: Callable[[IFormat, Sequence[Shown]], list[bytes]]) -> None:
        self.events: list[Event] = []
        self.apart: dict[Person, int] = {}
        self._render = render
        self._lines: dict[IFormat, list[bytes]] = {}
        self._payloads: dict[IFormat, tuple[bytes, int]] = {}

    def lines(self, format_: IFormat) -> list[bytes]:
        """Give the events as they look in one format; each is rendered once."""
        lines = self._lines.setdefault(format_, [])
        if len(lines) < len(self.events):
            lines.extend(self._render(format_, self.events[len(lines) :]))
        return lines

    def payload(self, format_: IFormat) -> tuple[bytes, int]:
        """Give all of it in one format, once nothing more comes, and how many lines that is.

        Each is put together once.
        """
        payload = self._payloads.get(format_)
        if payload is None:
            lines = self.lines(format_)
            payload = self._payloads[format_] = b"".join(lines), _visible(lines)
        return payload

    def deal(self, person: Person, owed: Owed) -> None:
        """Move what ``person`` has not had of the batch to what they are owed."""
        begin, end = self.apart.get(person, 0), len(self.events)
        if begin < end and person.client is not None:
            owed.setdefault(person, []).extend(self.lines(person.client.format)[begin:end])
        self.apart[person] = end

    def divide(self, members: Iterable[Person], owed: Owed) -> Runs:
        """Deal to those who are apart; give the clients of the others, who get the same."""
        runs: Runs = []
        format_: IFormat | None = None
        run: list[IClient] = []
        for person in members:
            client = person.client
            if client is None:
                continue
            if person in self.apart or person in owed:
                self.deal(person, owed)
                continue
            if client.format is not format_:
                format_, run = client.format, []
                runs.append((format_, run))
            run.append(client)
        return runs


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
        :param trouble: told when a client or a format raises, which it should not.
        """
        self._end_of_turn = end_of_turn
        self._trouble = trouble
        self._batches: dict[Room, _Batch] = {}
        self._owed: Owed = {}
        self._held: dict[Person, int] = {}
        """Who is held back, and how much of what they are owed may go."""
        self._flush_is_due = False
        self._first = 0
        self.lines_shown = self.bytes_shown = 0

    def to_room(self, room: Room, event: Event, without: Sequence[Person] = ()) -> None:
        batch = self._batches.get(room)
        if batch is None:
            batch = self._batches[room] = _Batch(self._render)
            self._first = self._first or event.id
            self._schedule()
        end = len(batch.events)
        for person in without:
            if batch.apart.get(person) != end:
                batch.deal(person, self._owed)
            batch.apart[person] = end + 1
        batch.events.append(event)

    def to_person(self, person: Person, shown: Shown) -> None:
        if person.client is None:
            return
        self._deal(person)
        self._owed.setdefault(person, []).extend(self._render(person.client.format, (shown,)))
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
        lines = self._render(person.client.format, first)
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

    def unsent(self) -> int:
        return self._first

    def forget(self, person: Person) -> None:
        self._owed.pop(person, None)
        self._held.pop(person, None)

    def flush(self) -> None:
        """Send what the turn has brought."""
        self._flush_is_due = False
        self._first = 0
        batches, self._batches = self._batches, {}
        owed, self._owed = self._owed, {}
        for person in self._held:  # even if they are owed nothing yet
            owed.setdefault(person, [])
        # Sending may bring about anything: a slow reader is cut, a bot answers or moves on.  So
        # who gets what is settled before, and what follows is for the next flush.
        together = [
            (batch, batch.divide(room.members.values(), owed)) for room, batch in batches.items()
        ]
        apart = [(person, self._keep_held(person, lines)) for person, lines in owed.items()]
        for batch, runs in together:
            for format_, clients in runs:
                self._send_to_all(clients, *batch.payload(format_))
        for person, lines in apart:
            self._send(person, lines)

    def _send_to_all(self, clients: list[IClient], payload: bytes, lines: int) -> None:
        """Send to some clients what they all get.

        :param lines: how many of these are in it.
        """
        if not payload:
            return
        self.lines_shown += lines * len(clients)
        self.bytes_shown += len(payload) * len(clients)
        for client in clients:
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
        self.lines_shown += _visible(lines)
        self.bytes_shown += len(data)
        try:
            person.client.send(data)
        except Exception as error:
            self._trouble(error)

    def _render(self, format_: IFormat, shown: Sequence[Shown]) -> list[bytes]:
        """Render, or hide what a format fails at: the others are to hear of the rest."""
        try:
            return list(map(format_.render, shown))
        except Exception as error:
            if len(shown) == 1:
                self._trouble(error)
                return [b""]
            return [line for one in shown for line in self._render(format_, (one,))]

    def _deal(self, person: Person) -> None:
        """See to it that nothing overtakes the room lines of someone."""
        if person.room and (batch := self._batches.get(person.room)):
            batch.deal(person, self._owed)

    def _schedule(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            self._end_of_turn(self.flush)


def _visible(lines: Sequence[bytes]) -> int:
    """Count the lines that a format has not hidden."""
    return len(lines) - lines.count(b"")
