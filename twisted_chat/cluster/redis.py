"""The backplane of many nodes: one stream in Redis, which all of them read.

All nodes know the same, for they apply the same events in the same order, and a claim is judged
by each of them when it comes back, with the same result.  So nothing is locked: whose claim to a
name is first in the stream has it.  A node that comes in is given a *snapshot* by another.

A node takes part as an *incarnation*, for as long as its lease is renewed.  One that has been
reaped, has lost entries of the stream, or finds Redis emptied begins anew, as another one.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from zope.interface import implementer

from twisted_chat.chat import snapshot
from twisted_chat.chat.events import NOBODY, ChatError, Event, Notice, Reaped, Refusal
from twisted_chat.chat.kept import Kept
from twisted_chat.chat.rooms import Rooms
from twisted_chat.cluster import codec
from twisted_chat.cluster.outgoing import Outgoing, Queue
from twisted_chat.cluster.stream import CLAIMED, GONE, HELLO, Entry, Stream
from twisted_chat.interfaces import IBackplane
from twisted_chat.link import Link, LinkError, RedisError

LEASE_SECONDS = 15.0
PATIENCE_SECONDS = 5.0
"""For so long lines wait while Redis is away; then they are refused."""
GIVEN_SECONDS = 5.0
"""For so long a node waits for a snapshot."""
HELPERS = 3
"""Nodes that make a snapshot for one that comes in: any of them may go meanwhile."""
LEAVE_SECONDS = 2.0
FREEZE_SECONDS = 1.0
POLL_SECONDS = 0.02

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
        link: Link,
        reading: Link,
        name: str,
        *,
        token: Callable[[], str],
        turn: Callable[[Callable[[], None]], None],
        lease: float = LEASE_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """
        :param reading: a second link to the same server.
        :param name: of the node.
        :param token: makes what no other node has made.
        :param turn: calls a function at the end of the reactor's turn.
        :param lease: seconds after which a node counts as gone that says nothing.
        :param patience: seconds for which lines wait while Redis is away.
        """
        self.last = 0
        self._reactor = reactor
        self._link, self._reading = link, reading
        self._stream = Stream(link, reading)
        self._name, self._token, self._turn = name, token, turn
        self._lease, self._patience = lease, patience
        self._epoch = b""
        self._members: list[str] = []
        """The incarnations that take part, as of the last event."""
        self._queue = Queue()
        self._rooms: Rooms
        self._found: Callable[[], Awaitable[Kept]]
        self._begun: Callable[[int], None]
        self.incarnation = ""
        self._is_inside = self._was_inside = self._is_lost = self._is_sending = False
        self._flush_is_due = self._stopping = self._is_frozen = False
        self._trouble: _DroppedOutError | None = None
        self._giving_up: IDelayedCall | None = None
        self._running: Deferred[None] | None = None
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
        else:
            self._flush_soon()

    def _refuse(self, one: Outgoing, words: str) -> None:
        """Take out an event, and tell whoever wanted it."""
        self._queue.take(one.number)
        if one.claim:
            one.claim.errback(ChatError(words))
        else:
            self._rooms.show(one.event.who.person, Refusal(words))

    def _tell_all(self, words: str) -> None:
        for session in list(self._rooms.sessions.values()):
            session.show(Notice(words))

    # Coming in, going on, going

    def start(
        self,
        rooms: Rooms,
        found: Callable[[], Awaitable[Kept]],
        begun: Callable[[int], None],
        left: Mapping[str, Any] | None = None,
    ) -> None:
        """Take part; the links have to be started as well.

        :param found: gives what is kept of earlier times, for the first of the nodes.
        :param begun: told from which event on this node knows everything.
        :param left: what `freeze` gave in the process before this one; then ``rooms`` go on.
        """
        self._rooms, self._found, self._begun = rooms, found, begun
        if left is None:
            self._become_another()
        else:
            self.incarnation, self.last = left["incarnation"], left["last"]
            self._epoch, self._members = left["epoch"].encode(), left["members"]
            self._queue.number = left["number"]
            rooms.incarnation, rooms.arrivals = self.incarnation, left["arrivals"]
            self._was_inside = self._is_inside = True
        self._begin()

    def _begin(self) -> None:
        self._running = Deferred.fromCoroutine(self._run())
        self._renewing.start(self._lease / 3, now=False)

    async def leave(self) -> None:
        """Let out what waits, and go: the others need not wait for the lease to end."""
        await self._empty_queue(LEAVE_SECONDS)
        self._halt()
        with suppress(LinkError, RedisError):
            await self._stream.reap(self.last, self.incarnation)

    async def freeze(self) -> dict[str, Any]:
        """Stop where it is, for another process to go on.

        :raises OSError: Redis has not taken everything in time.
        """
        self._is_frozen = True
        if not await self._empty_queue(FREEZE_SECONDS):
            raise OSError("Redis does not take what was said")
        self._halt()
        return {
            "incarnation": self.incarnation,
            "last": self.last,
            "epoch": self._epoch.decode(),
            "members": self._members,
            "number": self._queue.number,
            "arrivals": self._rooms.arrivals,
        }

    def thaw(self) -> None:
        """Go on where `freeze` has stopped."""
        self._is_frozen = False
        if self._stopping:
            self._stopping = False
            self._begin()

    async def _empty_queue(self, seconds: float) -> bool:
        """Wait until everything has come back, and tell whether it has."""
        end = self._reactor.seconds() + seconds
        while len(self._queue) and self._reactor.seconds() < end:
            self._flush_soon()
            await self._wait(POLL_SECONDS)
        return not len(self._queue)

    def _halt(self) -> None:
        self._stopping = True
        if self._renewing.running:
            self._renewing.stop()
        if self._giving_up and self._giving_up.active():
            self._giving_up.cancel()

    async def _run(self) -> None:
        while not self._stopping:
            try:
                if not self._is_inside:
                    await self._come_in()
                await self._follow()
            except _DroppedOutError as why:
                if not self._stopping:
                    self._drop_out(why)
            except (LinkError, RedisError) as error:
                self.log.debug("not yet: {error}", error=error)
                await self._wait(0.1)
            except Exception:
                self.log.failure("something went wrong between the nodes")
                await self._wait(1.0)

    def _wait(self, seconds: float) -> "Deferred[None]":
        return deferLater(self._reactor, seconds)

    def _become_another(self) -> None:
        self.incarnation = f"{self._name}-{self._token()}"
        self._rooms.incarnation, self._rooms.arrivals = self.incarnation, 0

    def _drop_out(self, why: _DroppedOutError) -> None:
        """Be outside, and tell of all that was asked for whether it was done."""
        self.log.warn(
            "this node begins anew, for {why}. people here may see others leave and come back",
            why=why,
        )
        self._is_inside, self._trouble = False, None
        for one in self._queue.all():
            if one.can_be_refused:
                is_known = why.is_certain or not one.is_sent
                self._refuse(one, NOT_SENT if is_known else NOT_KNOWN)
        self._gone_by = self.incarnation
        self._become_another()
        self._queue.begin_anew()

    async def _come_in(self) -> None:
        if self._was_inside:  # or the others would see each of us twice
            await self._stream.reap(self.last, self._gone_by)
        registered = await self._stream.register(
            self._token(), self.incarnation, self._lease, self.last
        )
        if registered.others:
            data = await self._snapshot(registered.id)
            load = self._loading(json.loads(data))
        else:
            kept = snapshot.remembered(self._rooms) if self._was_inside else await self._found()
            load = self._founding(kept)
        seen, self.last = self.last, registered.id
        self._epoch = registered.epoch
        self._rooms.reunion.begin_anew(load, seen)
        self.last = registered.id
        self._begun(self.last)
        self._is_inside = self._was_inside = True
        self.log.info(
            "{node} takes part, beside {others}",
            node=self.incarnation,
            others=", ".join(registered.others) or "no other node",
        )
        self._flush_soon()

    def _loading(self, given: Mapping[str, Any]) -> Callable[[], None]:
        def load() -> None:
            self._members = list(given["members"])
            snapshot.load(self._rooms, given["rooms"])

        return load

    def _founding(self, kept: Kept) -> Callable[[], None]:
        def load() -> None:
            self._members = [self.incarnation]
            self._rooms.restore(kept)

        return load

    async def _snapshot(self, id_: int) -> bytes:
        """Wait for what the chat was at an event.

        :raises LinkError: nobody gives it.
        """
        end = self._reactor.seconds() + GIVEN_SECONDS
        while self._reactor.seconds() < end and not self._stopping:
            if found := await self._stream.given(id_):
                return found
            await self._wait(POLL_SECONDS)
        raise LinkError("no other node gives a snapshot", sent=False)

    # What comes

    async def _follow(self) -> None:
        """Apply what comes, until the node has to begin anew."""
        while not self._stopping:
            found = await self._stream.read(self.last)
            if self._stopping:
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
            self._greet(entry)
        elif entry.kind == GONE:
            self._part(entry)
        elif entry.node in self._members:  # or it has been reaped
            self._apply_entry(entry)

    def _greet(self, entry: Entry) -> None:
        helpers = [one for one in self._members if one != entry.node][:HELPERS]
        self._members = [*(one for one in self._members if one != entry.node), entry.node]
        if self.incarnation in helpers:
            given = {"members": self._members, "rooms": snapshot.take(self._rooms)}
            data = json.dumps(given).encode()
            later = helpers.index(self.incarnation) * GIVEN_SECONDS / (HELPERS + 1)
            self._reactor.callLater(later, self._start, self._give(entry.id, data))

    async def _give(self, id_: int, data: bytes) -> None:
        with suppress(LinkError, RedisError):
            await self._stream.give(id_, data)

    def _part(self, entry: Entry) -> None:
        if entry.node == self.incarnation:
            raise _DroppedOutError("the others have not heard of it for too long", is_certain=True)
        if entry.node in self._members:
            self._members.remove(entry.node)
            event = Reaped(NOBODY, entry.node, self._rooms.limits.grace)
            event.id, event.time = entry.id, entry.time
            self._apply_safely(event)

    def _apply_entry(self, entry: Entry) -> None:
        own = self._queue.take(entry.number) if entry.node == self.incarnation else None
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
        is_open = self._is_inside and self._link.is_up and not (self._is_lost or self._trouble)
        if is_open and not self._is_sending and (batch := self._queue.batch()):
            self._is_sending = True
            self._start(self._send(batch))

    async def _send(self, batch: list[Outgoing]) -> None:
        """Send some events; one batch is under way at a time, so none can overtake another."""
        for one in batch:
            one.is_sent = True
        try:
            await self._append(batch)
        except LinkError as error:
            if not error.sent:
                for one in batch:
                    one.is_sent = False
        except RedisError as error:
            self.log.error("Redis does not take what is said: {error}", error=error)
            await self._wait(0.5)
            await self._reconcile()
        finally:
            self._is_sending = False
        self._flush_soon()

    async def _append(self, batch: list[Outgoing]) -> int:
        seen = self.last
        word, accepted, newest = await self._stream.append(
            self._epoch, self.incarnation, self._lease, self.last, batch
        )
        if word == "fenced":
            self._trouble = _DroppedOutError("its lease was over")
        elif word == "emptied":
            self._trouble = _DroppedOutError("Redis has lost everything")
        elif newest < seen:
            self._trouble = _DroppedOutError("Redis has lost what came last")
        return accepted

    async def _reconcile(self) -> None:
        """Find out what was accepted of that whose fate is unknown."""
        with suppress(LinkError, RedisError):
            self._queue.accepted(await self._append([]))

    def _start(self, running: Any) -> None:
        self._rooms.start(running)

    # The link and the lease

    def _link_is_up(self) -> None:
        if self._giving_up and self._giving_up.active():
            self._giving_up.cancel()
        self._start(self._go_on())

    async def _go_on(self) -> None:
        if self._is_inside:
            await self._reconcile()
        if not self._link.is_up:
            return
        if self._is_lost:
            self._refuse_unsent()
            self._is_lost = False
            self._tell_all(BACK)
        self._flush_soon()

    def _link_is_down(self, _why: str) -> None:
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
        if not self._is_inside or not self._link.is_up:
            return succeed(None)
        return Deferred.fromCoroutine(self._renew_and_reap())

    async def _renew_and_reap(self) -> None:
        with suppress(LinkError, RedisError):
            await self._append([])
            if not self._trouble:
                await self._stream.reap(self.last)
