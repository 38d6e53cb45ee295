"""What a node says to the others: it goes in order and counts once, however the link breaks."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.logger import Logger

from twisted_chat.chat.answers import Notice, Refusal
from twisted_chat.chat.events import Arrived, ChatError, Empowered, Event, Reason, Returned
from twisted_chat.chat.rooms import Rooms
from twisted_chat.chat.session import Session
from twisted_chat.cluster.membership import POLL_SECONDS, Membership
from twisted_chat.cluster.outgoing import Outgoing, Queue
from twisted_chat.cluster.stream import Stream
from twisted_chat.link import Link, LinkError, RedisError

PATIENCE_SECONDS = 5.0
"""For so long lines wait while Redis is away; then they are refused."""
RETRY_SECONDS = 0.5
GREETING_SECONDS = 1.0
"""After so long somebody is told why nobody greets them."""

NOT_SENT = "not sent: link lost"
NOT_KNOWN = "link lost: it is not known whether that was sent"
LOST = "link lost: lines are not going out"
BACK = "the link is back: lines are going out again"
COMING_IN = "one moment: this server has yet to find the others"


class DroppedOutError(Exception):
    """Why a node cannot go on as the incarnation that it is."""

    def __init__(self, why: str, is_certain: bool = False) -> None:
        """
        :param is_certain: whether all that was accepted of what it sent has come back.
        """
        super().__init__(why)
        self.is_certain = is_certain


class Sending:
    """The way of events from a node to the stream."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        stream: Stream,
        link: Link,
        membership: Membership,
        *,
        turn: Callable[[Callable[[], None]], None],
        patience: float,
        seen: Callable[[], int],
    ) -> None:
        """
        :param link: over which the stream is written.
        :param turn: calls a function at the end of the reactor's turn.
        :param patience: seconds for which lines wait while Redis is away.
        :param seen: gives the id of the last event that was applied.
        """
        self.queue = Queue()
        self.trouble: DroppedOutError | None = None
        """Why this node has to begin anew, if it has to."""
        self.is_open = False
        """Whether this node takes part."""
        self._reactor = reactor
        self._stream, self._link, self._membership = stream, link, membership
        self._turn, self._patience, self._seen = turn, patience, seen
        self._rooms: Rooms
        self._is_lost = self._is_sending = False
        self._is_unsure = False
        """Whether something may have been accepted of which nobody has told."""
        self._flush_is_due = False
        self._giving_up: IDelayedCall | None = None
        link.watch(self._link_is_up, self._link_is_down)

    def begin(self, rooms: Rooms) -> None:
        """Have people to tell what becomes of what they say."""
        self._rooms = rooms
        if self._is_unsure and not self._link.is_up:  # it broke while everything stood still
            self._link_is_down()

    def halt(self) -> None:
        """Tell nobody anything any more."""
        if self._giving_up and self._giving_up.active():
            self._giving_up.cancel()

    def open(self) -> None:
        """Let go what waits: this node takes part."""
        self.is_open = True
        self.flush_soon()

    def drop_out(self, why: DroppedOutError) -> None:
        """Be outside, and tell of all that was asked for whether it was done."""
        self.is_open, self.trouble = False, None
        for one in self.queue.all():
            if one.can_be_refused:
                is_known = why.is_certain or not one.is_sent
                self._refuse(one, NOT_SENT if is_known else NOT_KNOWN)
            elif isinstance(one.event, Returned | Empowered):  # it is said anew
                self.queue.take(one.number)

    # What goes

    def add(self, event: Event, claim: "Deferred[Event] | None" = None) -> None:
        """Have an event go.

        :param claim: fails if it cannot; whoever takes the event out of the queue settles it.
        """
        one = self.queue.add(event, self._reactor.seconds(), claim)
        if one.can_be_refused and (self._is_lost or self.queue.is_full):
            self._refuse(one, NOT_SENT)
            return
        if isinstance(event, Arrived):
            later = 0.0 if self._is_lost else GREETING_SECONDS
            self._reactor.callLater(later, self._put_off, event.who.person)
        self.flush_soon()

    async def empty(self, seconds: float) -> bool:
        """Wait until everything has come back, and tell whether it has."""
        end = self._reactor.seconds() + seconds
        while self.queue and self._reactor.seconds() < end:
            self.flush_soon()
            await deferLater(self._reactor, POLL_SECONDS)
        return not self.queue

    def flush_soon(self) -> None:
        """Send what waits, at the end of the turn."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self._turn(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        is_open = self.is_open and self._link.is_up and not self._is_unsure
        is_open = is_open and not self._is_lost and not self.trouble
        if is_open and not self._is_sending and (batch := self.queue.batch()):
            self._is_sending = True
            self._rooms.start(self._send(batch))

    async def _send(self, batch: list[Outgoing]) -> None:
        """Send some events; one batch is under way at a time, so none can overtake another."""
        for one in batch:
            one.is_sent = True
        try:
            await self._append(batch)
        except LinkError as error:
            self._is_unsure = True
            if not error.sent:
                for one in batch:
                    one.is_sent = False
        except RedisError as error:
            self.log.error("Redis does not take what is said: {error}", error=error)
            self._is_unsure = True
            self._reactor.callLater(RETRY_SECONDS, self._link_is_up)
        finally:
            self._is_sending = False
        self.flush_soon()

    def say_nothing(self) -> Awaitable[int | None]:
        """Send nothing, which renews the lease; what that shows becomes ``trouble``.

        :raises LinkError, RedisError: that cannot be done now.
        """
        return self._append([])

    async def _append(self, batch: list[Outgoing]) -> int | None:
        """Append events; give the number of the last that was accepted, unless there is trouble."""
        seen, incarnation = self._seen(), self._membership.incarnation
        word, accepted, newest = await self._stream.append(
            self._membership.epoch,
            incarnation,
            self._membership.lease,
            seen,
            batch,
        )
        if incarnation != self._membership.incarnation:  # by now this is about nobody
            return None
        if word == "fenced":
            self.trouble = DroppedOutError("its lease was over")
        elif word == "emptied":
            self.trouble = DroppedOutError("Redis has lost everything")
        elif newest < seen:
            self.trouble = DroppedOutError("Redis has lost what came last")
        return None if self.trouble else accepted

    # What people are told

    def _refuse(self, one: Outgoing, words: str) -> None:
        """Take out an event, and tell whoever wanted it."""
        self.queue.take(one.number)
        if one.claim:
            one.claim.errback(ChatError(words, Reason.LINK_LOST))
        else:
            self._rooms.refusals[Reason.LINK_LOST] += 1
            self._rooms.show(one.event.who.person, Refusal(words))

    def _refuse_unsent(self) -> None:
        for one in self.queue.unsent():
            if one.can_be_refused:
                self._refuse(one, NOT_SENT)

    def _put_off(self, person: str) -> None:
        session = self._rooms.sessions.get(person)
        if session and not session.is_known:
            session.put_off(LOST if self._is_lost else COMING_IN)

    def _tell(self, words: str, sessions: Iterable[Session]) -> None:
        for session in sessions:
            session.show(Notice(words))

    # The link

    def _link_is_up(self) -> None:
        self.halt()
        self._rooms.start(self._go_on())

    async def _go_on(self) -> None:
        """Find out what was accepted of that whose fate is unknown, before anything else goes."""
        if self.is_open:
            try:
                accepted = await self._append([])
            except LinkError:  # it comes up again
                return
            except RedisError:
                self._reactor.callLater(RETRY_SECONDS, self._link_is_up)
                return
            if accepted is not None:
                self.queue.accepted(accepted)
        self._is_unsure = False
        if self._is_lost:
            self._refuse_unsent()
            self._is_lost = False
            self._tell(BACK, list(self._rooms.sessions.values()))
        self.flush_soon()

    def _link_is_down(self, _why: str = "") -> None:
        self._is_unsure = True
        away = self._reactor.seconds() - self._link.down_since
        self._giving_up = self._reactor.callLater(max(0.0, self._patience - away), self._give_up)

    def _give_up(self) -> None:
        """Have people know that the link is lost; what is known not to be sent is refused."""
        self._is_lost = True
        self._refuse_unsent()
        known = [session for session in self._rooms.sessions.values() if session.is_known]
        self._tell(LOST, known)
