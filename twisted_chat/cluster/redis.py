"""The backplane of many nodes: one stream in Redis, which all of them read.

All nodes know the same, for they apply the same events in the same order, and a claim is judged
by each of them when it comes back, with the same result.  So nothing is locked: whose claim to a
name is first in the stream has it.  A node that comes in is given a *snapshot* by another.

A node takes part as an *incarnation*, for as long as its lease is renewed.  One that has been
reaped, has lost entries of the stream, or finds Redis emptied begins anew, as another one.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from zope.interface import implementer

from twisted_chat.chat.events import (
    NOBODY,
    Arrived,
    ChatError,
    Empowered,
    Event,
    Notice,
    Reaped,
    Refusal,
    Returned,
)
from twisted_chat.chat.kept import Kept
from twisted_chat.chat.rooms import Rooms
from twisted_chat.chat.session import Session
from twisted_chat.cluster import codec
from twisted_chat.cluster.membership import LEASE_SECONDS, POLL_SECONDS, Membership
from twisted_chat.cluster.outgoing import Outgoing, Queue
from twisted_chat.cluster.stream import CLAIMED, GONE, HELLO, Entry, Stream
from twisted_chat.interfaces import IBackplane
from twisted_chat.link import Link, LinkError, RedisError

PATIENCE_SECONDS = 5.0
"""For so long lines wait while Redis is away; then they are refused."""
RETRY_SECONDS = 0.5
LEAVE_SECONDS = 2.0
FREEZE_SECONDS = 1.0

NOT_SENT = "not sent: link lost"
NOT_KNOWN = "link lost: it is not known whether that was sent"
LOST = "link lost: lines are not going out"
BACK = "the link is back: lines are going out again"


class _DroppedOutError(Exception):
    """Why a node cannot go on as the incarnation that it is."""

    def __init__(self, why: str, is_certain: bool = False) -> None:
        """
        :param is_certain: whether all that was accepted of what it sent has come back.
        """
        super().__init__(why)
        self.is_certain = is_certain


@implementer(IBackplane)
class RedisBackplane:
    """The order of events, as Redis has it."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        stream: Stream,
        link: Link,
        name: str,
        *,
        token: Callable[[], str],
        turn: Callable[[Callable[[], None]], None],
        lease: float = LEASE_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """
        :param link: over which the stream is written.
        :param name: of the node.
        :param token: makes what no other node has made.
        :param turn: calls a function at the end of the reactor's turn.
        :param lease: seconds after which a node counts as gone that says nothing.
        :param patience: seconds for which lines wait while Redis is away.
        """
        self.last = 0
        self._reactor = reactor
        self._link, self._stream = link, stream
        self._turn, self._patience = turn, patience
        self._membership = Membership(reactor, stream, name, token, lease)
        self._queue = Queue()
        self._rooms: Rooms
        self._begun: Callable[[int, bool], None]
        self.is_inside = False
        """Whether this node takes part."""
        self._is_lost = self._is_sending = False
        self._is_unsure = False
        """Whether something may have been accepted of which nobody has told."""
        self._flush_is_due = self._stopping = False
        self._begins = 0
        """How often this has begun: what is still asked for from before does not count."""
        self._trouble: _DroppedOutError | None = None
        self._giving_up: IDelayedCall | None = None
        self._renewing = LoopingCall(self._renew)
        self._renewing.clock = reactor
        link.watch(self._link_is_up, self._link_is_down)

    # The rules

    def subscribe(self, admit: Callable[[Event], None], apply: Callable[[Event], None]) -> None:
        self._admit, self._apply = admit, apply

    def resume(self, after: int) -> None:
        self.last = max(self.last, after)

    def publish(self, event: Event) -> None:
        self._add(event, None)

    def claim(self, event: Event) -> "Deferred[Event]":
        applied: Deferred[Event] = Deferred()
        self._add(event, applied)
        return applied

    def _add(self, event: Event, claim: "Deferred[Event] | None") -> None:
        one = self._queue.add(event, claim)
        if one.can_be_refused and (self._is_lost or self._queue.is_full):
            self._refuse(one, NOT_SENT)
            return
        if self._is_lost and isinstance(event, Arrived):
            self._tell(LOST, [self._rooms.sessions[event.who.person]])
        self._flush_soon()

    def _refuse(self, one: Outgoing, words: str) -> None:
        """Take out an event, and tell whoever wanted it."""
        self._queue.take(one.number)
        if one.claim:
            one.claim.errback(ChatError(words))
        else:
            self._rooms.show(one.event.who.person, Refusal(words))

    def _tell_all(self, words: str) -> None:
        self._tell(words, list(self._rooms.sessions.values()))

    def _tell(self, words: str, sessions: Iterable[Session]) -> None:
        for session in sessions:
            session.show(Notice(words))

    @property
    def has_more(self) -> bool:
        """Whether something is under way that this node has said."""
        return len(self._queue) > 0

    # Coming in, going on, going

    def start(
        self,
        rooms: Rooms,
        found: Callable[[], Awaitable[Kept]],
        begun: Callable[[int, bool], None],
        left: Mapping[str, Any] | None = None,
    ) -> None:
        """Take part; the links have to be started as well.

        :param found: gives what is kept of earlier times, for the first of the nodes.
        :param begun: told from which event on this node knows everything, and whether nobody else
            may know more.
        :param left: what `freeze` gave in the process before this one; then ``rooms`` go on.
        """
        self._rooms, self._begun = rooms, begun
        if left is None:
            self._membership.begin(rooms, found)
        else:
            self._membership.go_on(rooms, left["membership"])
            self.last, self._queue.number = left["last"], left["number"]
            self.is_inside = True
        self._begin()

    def _begin(self) -> None:
        self._begins += 1
        self._rooms.start(self._run(self._begins))
        self._renewing.start(self._membership.lease / 3, now=False)

    async def leave(self) -> None:
        """Let out what waits, and go: the others need not wait for the lease to end."""
        await self._empty_queue(LEAVE_SECONDS)
        self._halt()
        with suppress(LinkError, RedisError):
            await self._membership.reap(self.last, self._membership.incarnation)

    async def freeze(self) -> dict[str, Any]:
        """Stop where it is, for another process to go on.

        :raises OSError: Redis has not taken everything in time.
        """
        if not await self._empty_queue(FREEZE_SECONDS):
            raise OSError("Redis does not take what was said")
        self._halt()
        return {
            "membership": self._membership.to_record(),
            "last": self.last,
            "number": self._queue.number,
        }

    def thaw(self) -> None:
        """Go on where `freeze` has stopped."""
        if self._stopping:
            self._stopping = False
            self._begin()
            if not self._link.is_up:
                self._link_is_down("")

    async def _empty_queue(self, seconds: float) -> bool:
        """Wait until everything has come back, and tell whether it has."""
        end = self._reactor.seconds() + seconds
        while self.has_more and self._reactor.seconds() < end:
            self._flush_soon()
            await self._wait(POLL_SECONDS)
        return not self.has_more

    def _halt(self) -> None:
        self._stopping = True
        if self._renewing.running:
            self._renewing.stop()
        if self._giving_up and self._giving_up.active():
            self._giving_up.cancel()

    def _is_over(self, begin: int) -> bool:
        return self._stopping or begin != self._begins

    async def _run(self, begin: int) -> None:
        while not self._is_over(begin):
            try:
                if not self.is_inside:
                    await self._come_in()
                await self._follow(begin)
            except _DroppedOutError as why:
                self._drop_out(why)
            except (LinkError, RedisError):  # the link has told of it
                await self._wait(POLL_SECONDS)
            except Exception:
                self.log.failure("something went wrong between the nodes")
                await self._wait(1.0)

    def _wait(self, seconds: float) -> "Deferred[None]":
        return deferLater(self._reactor, seconds)

    def _drop_out(self, why: _DroppedOutError) -> None:
        """Be outside, and tell of all that was asked for whether it was done."""
        self.log.warn(
            "this node begins anew, for {why}. people here may see others leave and come back",
            why=why,
        )
        self.is_inside, self._trouble = False, None
        for one in self._queue.all():
            if one.can_be_refused:
                is_known = why.is_certain or not one.is_sent
                self._refuse(one, NOT_SENT if is_known else NOT_KNOWN)
            elif isinstance(one.event, Returned | Empowered):  # it is said anew
                self._queue.take(one.number)
        self._membership.drop_out()
        self._queue.begin_anew()

    async def _come_in(self) -> None:
        id_, is_first, load = await self._membership.come_in(self.last)
        self._begun(id_, is_first)
        seen, self.last = self.last, id_
        self._rooms.reunion.begin_anew(load, seen)
        self.last = id_  # which the rules may have taken for another
        self.is_inside = True
        self._flush_soon()

    # What comes

    async def _follow(self, begin: int) -> None:
        """Apply what comes, until the node has to begin anew."""
        while not self._is_over(begin):
            found = await self._stream.read(self.last)
            if self._is_over(begin):
                return
            for id_, entry in found:
                self._take(id_, entry)
            if self._trouble and not found:
                raise self._trouble

    def _take(self, id_: int, entry: Entry | None) -> None:
        if entry is None:
            self.log.warn("an entry {id} of the stream is not ours, and ignored", id=id_)
            self.last = id_
            return
        if entry.before != self.last:
            raise _DroppedOutError(f"entries of the stream are lost, after {self.last}")
        self.last = id_
        if entry.kind == HELLO:
            self._membership.greet(entry)
        elif entry.kind == GONE:
            self._part(entry)
        elif entry.node in self._membership.nodes:  # or it has been reaped
            self._apply_entry(entry)

    def _part(self, entry: Entry) -> None:
        if entry.node == self._membership.incarnation:
            raise _DroppedOutError("the others have not heard of it for too long", is_certain=True)
        if self._membership.part(entry):
            event = Reaped(NOBODY, entry.node, float(entry.data))
            event.id, event.time = entry.id, entry.time
            self._apply_safely(event)

    def _apply_entry(self, entry: Entry) -> None:
        is_ours = entry.node == self._membership.incarnation
        own = self._queue.take(entry.number) if is_ours else None
        try:
            event = own.event if own else codec.decode(entry.data)
        except ValueError as error:
            self.log.warn("an entry of the stream is ignored: {error}", error=error)
            return
        event.id, event.time = entry.id, entry.time
        if entry.kind == CLAIMED:
            try:
                self._admit(event)
            except ChatError as refused:
                if own and own.claim:
                    own.claim.errback(refused)
                return
        self._apply_safely(event)
        if own and own.claim:
            own.claim.callback(event)

    def _apply_safely(self, event: Event) -> None:
        try:
            self._apply(event)
        except Exception as error:
            self._rooms.trouble(error)

    # What goes

    def _flush_soon(self) -> None:
        if not self._flush_is_due:
            self._flush_is_due = True
            self._turn(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        is_open = self.is_inside and self._link.is_up and not self._is_unsure
        is_open = is_open and not self._is_lost and not self._trouble
        if is_open and not self._is_sending and (batch := self._queue.batch()):
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
        self._flush_soon()

    async def _append(self, batch: list[Outgoing]) -> int | None:
        """Append events; give the number of the last that was accepted, unless there is trouble."""
        seen, incarnation = self.last, self._membership.incarnation
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
            self._trouble = _DroppedOutError("its lease was over")
        elif word == "emptied":
            self._trouble = _DroppedOutError("Redis has lost everything")
        elif newest < seen:
            self._trouble = _DroppedOutError("Redis has lost what came last")
        return None if self._trouble else accepted

    # The link and the lease

    def _link_is_up(self) -> None:
        if self._giving_up and self._giving_up.active():
            self._giving_up.cancel()
        self._rooms.start(self._go_on())

    async def _go_on(self) -> None:
        """Find out what was accepted of that whose fate is unknown, before anything else goes."""
        if self.is_inside:
            try:
                accepted = await self._append([])
            except LinkError:  # it comes up again
                return
            except RedisError:
                self._reactor.callLater(RETRY_SECONDS, self._link_is_up)
                return
            if accepted is not None:
                self._queue.accepted(accepted)
        self._is_unsure = False
        if self._is_lost:
            self._refuse_unsent()
            self._is_lost = False
            self._tell_all(BACK)
        self._flush_soon()

    def _link_is_down(self, _why: str) -> None:
        self._is_unsure = True
        self._giving_up = self._reactor.callLater(self._patience, self._give_up)

    def _give_up(self) -> None:
        """Have people know that the link is lost; what is known not to be sent is refused."""
        self._is_lost = True
        self._refuse_unsent()
        self._tell_all(LOST)

    def _refuse_unsent(self) -> None:
        for one in self._queue.unsent():
            if one.can_be_refused:
                self._refuse(one, NOT_SENT)

    def _renew(self) -> "Deferred[None]":
        if not self.is_inside or not self._link.is_up:
            return succeed(None)
        return Deferred.fromCoroutine(self._renew_and_reap())

    async def _renew_and_reap(self) -> None:
        with suppress(LinkError, RedisError):
            await self._append([])
            if not self._trouble:
                await self._membership.reap(self.last)
