"""The backplane of many nodes: one stream in Redis, which all of them read.

All nodes know the same, for they apply the same events in the same order, and a claim is judged
by each of them when it comes back, with the same result.  So nothing is locked: whose claim to a
name is first in the stream has it.  A node that comes in is given a *snapshot* by another.

A node takes part as an *incarnation*, for as long as its lease is renewed.  One that has been
reaped, has lost entries of the stream, or finds Redis emptied begins anew, as another one.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from zope.interface import implementer

from twisted_chat.chat.events import NOBODY, ChatError, Event, Reaped
from twisted_chat.chat.kept import Kept
from twisted_chat.chat.rooms import Rooms
from twisted_chat.cluster import codec
from twisted_chat.cluster.membership import LEASE_SECONDS, POLL_SECONDS, Membership
from twisted_chat.cluster.sending import PATIENCE_SECONDS, DroppedOutError, Sending
from twisted_chat.cluster.stream import CLAIMED, GONE, HELLO, Entry, Stream
from twisted_chat.histogram import Histogram
from twisted_chat.interfaces import IBackplane
from twisted_chat.link import Link, LinkError, RedisError

LEAVE_SECONDS = 2.0
FREEZE_SECONDS = 1.0


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
        self.lag = Histogram()
        self._reactor = reactor
        self._link, self._stream = link, stream
        self._membership = Membership(reactor, stream, name, token, lease)
        self._sending = Sending(
            reactor,
            stream,
            link,
            self._membership,
            turn=turn,
            patience=patience,
            seen=lambda: self.last,
        )
        self._rooms: Rooms
        self._begun: Callable[[int, bool], None]
        self._stopping = False
        self._begins = 0
        """How often this has begun: what is still asked for from before does not count."""
        self._renewing = LoopingCall(self._renew)
        self._renewing.clock = reactor

    # The rules

    def subscribe(self, admit: Callable[[Event], None], apply: Callable[[Event], None]) -> None:
        self._admit, self._apply = admit, apply

    def resume(self, after: int) -> None:
        self.last = max(self.last, after)

    def publish(self, event: Event) -> None:
        self._sending.add(event)

    def claim(self, event: Event) -> "Deferred[Event]":
        applied: Deferred[Event] = Deferred()
        self._sending.add(event, applied)
        return applied

    @property
    def is_inside(self) -> bool:
        """Whether this node takes part."""
        return self._sending.is_open

    @property
    def trouble(self) -> str:
        if not self._stream.is_up:
            return "Redis cannot be reached"
        return "" if self.is_inside else "this node does not take part yet"

    @property
    def has_more(self) -> bool:
        """Whether something is under way that this node has said."""
        return bool(self._sending.queue)

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
            self.last, self._sending.queue.number = left["last"], left["number"]
            self._sending.is_open = True
        self._begin()

    def _begin(self) -> None:
        self._begins += 1
        self._sending.begin(self._rooms)
        self._rooms.start(self._run(self._begins))
        self._renewing.start(self._membership.lease / 3, now=False)

    async def leave(self) -> None:
        """Let out what waits, and go: the others need not wait for the lease to end."""
        await self._sending.empty(LEAVE_SECONDS)
        self._halt()
        with suppress(LinkError, RedisError):
            await self._membership.reap(self.last, self._membership.incarnation)

    async def freeze(self) -> dict[str, Any]:
        """Stop where it is, for another process to go on.

        :raises OSError: Redis has not taken everything in time.
        """
        if not await self._sending.empty(FREEZE_SECONDS):
            raise OSError("Redis does not take what was said")
        self._halt()
        return {
            "membership": self._membership.to_record(),
            "last": self.last,
            "number": self._sending.queue.number,
        }

    def thaw(self) -> None:
        """Go on where `freeze` has stopped."""
        if self._stopping:
            self._stopping = False
            self._begin()

    def _halt(self) -> None:
        self._stopping = True
        if self._renewing.running:
            self._renewing.stop()
        self._sending.halt()

    def _is_over(self, begin: int) -> bool:
        return self._stopping or begin != self._begins

    async def _run(self, begin: int) -> None:
        while not self._is_over(begin):
            try:
                if not self.is_inside:
                    await self._come_in()
                await self._follow(begin)
            except DroppedOutError as why:
                self._drop_out(why)
            except (LinkError, RedisError):  # the link has told of it
                await self._wait(POLL_SECONDS)
            except Exception:
                self.log.failure("something went wrong between the nodes")
                await self._wait(1.0)

    def _wait(self, seconds: float) -> "Deferred[None]":
        return deferLater(self._reactor, seconds)

    def _drop_out(self, why: DroppedOutError) -> None:
        """Be outside, and tell of all that was asked for whether it was done."""
        self.log.warn(
            "this node begins anew, for {why}. people here may see others leave and come back",
            why=why,
        )
        self._sending.drop_out(why)
        self._membership.drop_out()
        self._sending.queue.begin_anew()

    async def _come_in(self) -> None:
        id_, is_first, load = await self._membership.come_in(self.last)
        self._begun(id_, is_first)
        seen, self.last = self.last, id_
        self._rooms.reunion.begin_anew(load, seen)
        self.last = id_  # which the rules may have taken for another
        self._sending.open()

    # What comes

    async def _follow(self, begin: int) -> None:
        """Apply what comes, until the node has to begin anew."""
        while not self._is_over(begin):
            found = await self._stream.read(self.last)
            if self._is_over(begin):
                return
            for id_, entry in found:
                self._take(id_, entry)
            if self._sending.trouble and not found:
                raise self._sending.trouble

    def _take(self, id_: int, entry: Entry | None) -> None:
        if entry is None:
            self.log.warn("an entry {id} of the stream is not ours, and ignored", id=id_)
            self.last = id_
            return
        if entry.before != self.last:
            raise DroppedOutError(f"entries of the stream are lost, after {self.last}")
        self.last = id_
        if entry.kind == HELLO:
            self._membership.greet(entry)
        elif entry.kind == GONE:
            self._part(entry)
        elif entry.node in self._membership.nodes:  # or it has been reaped
            self._apply_entry(entry)

    def _part(self, entry: Entry) -> None:
        if entry.node == self._membership.incarnation:
            raise DroppedOutError("the others have not heard of it for too long", is_certain=True)
        if self._membership.part(entry):
            event = Reaped(NOBODY, entry.node, float(entry.data))
            event.id, event.time = entry.id, entry.time
            self._apply_safely(event)

    def _apply_entry(self, entry: Entry) -> None:
        is_ours = entry.node == self._membership.incarnation
        own = self._sending.queue.take(entry.number) if is_ours else None
        if own:
            self.lag.add(self._reactor.seconds() - own.since)
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
            self._rooms.trouble(error, None)

    # The lease

    def _renew(self) -> "Deferred[None]":
        if not self.is_inside or not self._link.is_up:
            return succeed(None)
        return Deferred.fromCoroutine(self._renew_and_reap())

    async def _renew_and_reap(self) -> None:
        with suppress(LinkError, RedisError):
            await self._sending.say_nothing()
            if not self._sending.trouble:
                await self._membership.reap(self.last)
