"""Bounded output: what waits for a slow reader, and what happens when it is too much.

A bare socket is written to at once while nothing waits: ``transport.write`` would cost a round
through epoll for every recipient.  What the kernel does not take is kept here, and the outbox is
the transport's pull producer until it is gone; the transport's own buffer stays empty.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

CHUNK = 65536


class Waiting:
    """All output that waits, of all connections together."""

    def __init__(self, limit: int) -> None:
        """
        :param limit: bytes; above it the largest outbox is cut.
        """
        self.limit = limit
        self.total = 0
        self.cut = 0
        """How many were too slow a reader."""
        self._outboxes: set[Outbox] = set()

    def changed(self, outbox: "Outbox", by: int) -> None:
        """Take note that ``outbox`` holds ``by`` bytes more, or less."""
        self.total += by
        if outbox.size:
            self._outboxes.add(outbox)
        else:
            self._outboxes.discard(outbox)

    @property
    def largest(self) -> int:
        """What waits of the one connection that has most, in bytes."""
        return max((one.size for one in self._outboxes), default=0)

    def enforce(self) -> None:
        """Cut the largest until the rest is within the limit."""
        while self.total > self.limit:
            max(self._outboxes, key=lambda one: one.size).overflow()


class Outbox:
    """What waits to be written to one transport.

    ``_queue`` is None while all is written at once, and never None again once ``_shut``.
    """

    __slots__ = ("_limit", "_overflowed", "_queue", "_shut", "_transport", "_waiting", "size")

    def __init__(
        self, transport: Any, limit: int, waiting: Waiting, overflowed: Callable[[], bytes]
    ) -> None:
        """
        :param limit: bytes that may wait.
        :param waiting: where all that waits is counted.
        :param overflowed: called when that was too much; gives the last words.
        """
        self._transport = transport
        self._limit = limit
        self._waiting = waiting
        self._overflowed = overflowed
        self._queue: deque[bytes | memoryview] | None = None
        self._shut = False
        self.size = 0

    def allow(self, limit: int) -> None:
        """Have so many bytes wait from now on; what waits already is not cut for it."""
        self._limit = limit

    def send(self, data: bytes) -> None:
        """Write ``data`` now, or as soon as all before it is written."""
        if self._queue is not None:
            self._enqueue(data)
            return
        sent = self._write(data)
        if sent != len(data):
            self._begin_queue(data, sent)

    def _begin_queue(self, data: bytes, sent: int) -> None:
        self._queue = deque()
        self._enqueue(_rest(data, sent))
        self._wait_for_room()

    def overflow(self) -> None:
        """Drop what waits, but for the rest of a piece that is half written, and close."""
        if self._shut:  # not even the last words were read
            self._drop()
            self._transport.abortConnection()
            return
        self._shut = True
        self._waiting.cut += 1
        first = self._queue[0] if self._queue else b""
        begun = first if isinstance(first, memoryview) else b""
        self._drop()
        self._append(begun)
        self._append(self._overflowed())
        self._finish()

    def close(self) -> None:
        """Take nothing more, and close the transport once everything is written."""
        if self._shut:
            return
        self._shut = True
        if self._queue is None:
            self._queue = deque()
        self._finish()

    def lost(self) -> None:
        """Take note that the connection is gone."""
        self._shut = True
        self._drop()

    def unsent(self) -> tuple[list[bytes | memoryview], bool]:
        """Give what waits, in pieces, and whether the first of them is the rest of one."""
        pieces = list(self._queue or ())
        return pieces, bool(pieces) and isinstance(pieces[0], memoryview)

    def refill(self, pieces: Iterable[bytes], is_begun: bool) -> None:
        """Have pieces wait that did so in another process, before anything is sent here.

        :param is_begun: whether the first is the rest of one.
        """
        self._queue = deque(pieces)
        if is_begun:
            self._queue[0] = memoryview(self._queue[0])
        self._count(sum(map(len, self._queue)))
        self._wait_for_room()

    def _write(self, data: bytes | memoryview) -> int:
        """Write as much as is taken now; give how much that was."""
        raise NotImplementedError

    def _wait_for_room(self) -> None:
        """Have the queue written as room comes up."""
        raise NotImplementedError

    def _finish(self) -> None:
        """Close the transport, now or once the queue is written."""
        raise NotImplementedError

    def _enqueue(self, data: bytes | memoryview) -> None:
        if self._shut:
            return
        self._append(data)
        if self.size > self._limit:
            self.overflow()
        self._waiting.enforce()

    def _append(self, data: bytes | memoryview) -> None:
        assert self._queue is not None
        self._queue.append(data)
        self._count(len(data))

    def _drop(self) -> None:
        self._queue = deque()
        self._count(-self.size)

    def _count(self, change: int) -> None:
        self.size += change
        self._waiting.changed(self, change)

    def _write_queue(self) -> bool:
        """Write what can be written; tell whether that was all."""
        while self._queue:
            data = self._next_piece(self._queue)
            sent = self._write(data)
            self._count(-sent)
            if sent < len(data):
                self._queue.appendleft(_rest(data, sent))
                return False
        if not self._shut:
            self._queue = None
        return True

    def _next_piece(self, queue: deque[bytes | memoryview]) -> bytes | memoryview:
        """Take from the queue as much as is worth a system call."""
        first = queue.popleft()
        if isinstance(first, memoryview):  # stays apart, for what is begun must be finished
            return first
        pieces: list[bytes | memoryview] = [first]
        length = len(first)
        while queue and length < CHUNK:
            pieces.append(queue.popleft())
            length += len(pieces[-1])
        return first if len(pieces) == 1 else b"".join(pieces)


def _rest(data: bytes | memoryview, written: int) -> bytes | memoryview:
    """Give what is left of a piece; it is a view if, and only if, the piece is begun."""
    return memoryview(data)[written:] if written else data


@implementer(IPullProducer)
class SocketOutbox(Outbox):
    """For a bare socket: writes to it directly, and is its producer while something waits."""

    __slots__ = ("_send",)

    def __init__(
        self, transport: Any, limit: int, waiting: Waiting, overflowed: Callable[[], bytes]
    ) -> None:
        super().__init__(transport, limit, waiting, overflowed)
        # writeSomeData does the same, at twice the cost of what is not the system call.
        self._send = transport.getHandle().send

    def send(self, data: bytes) -> None:
        """Do what every outbox does, with as little as can be between a line and the kernel."""
        if self._queue is None:
            try:
                sent = self._send(data)
            except OSError:
                sent = self._write(data)  # which knows why
            if sent != len(data):
                self._begin_queue(data, sent)
        else:
            self._enqueue(data)

    def _write(self, data: bytes | memoryview) -> int:
        try:
            return self._send(data)  # type: ignore[no-any-return]
        except BlockingIOError:
            return 0
        except OSError:
            # The reactor may not see it while nothing is read.
            self._transport.abortConnection()
            return len(data)

    def _wait_for_room(self) -> None:
        self._transport.registerProducer(self, False)  # which calls resumeProducing

    def _finish(self) -> None:
        self._transport.loseConnection()  # waits for us to unregister, if we are registered
        # What the peer still sends is read, or the system would drop what it has yet to send.
        self._transport.startReading()

    def resumeProducing(self) -> None:
        if self._write_queue():
            self._transport.unregisterProducer()
        else:
            self._transport.startWriting()

    def stopProducing(self) -> None:
        self.lost()


@implementer(IPushProducer)
class StreamOutbox(Outbox):
    """For any other transport, TLS among them: it tells when it has had enough."""

    __slots__ = ("_paused",)

    def __init__(
        self, transport: Any, limit: int, waiting: Waiting, overflowed: Callable[[], bytes]
    ) -> None:
        super().__init__(transport, limit, waiting, overflowed)
        self._paused = False
        transport.registerProducer(self, True)

    def _write(self, data: bytes | memoryview) -> int:
        if self._paused:
            return 0
        self._transport.write(bytes(data))
        return len(data)

    def _wait_for_room(self) -> None:
        pass  # resumeProducing will come

    def _finish(self) -> None:
        if not self._queue:
            self._transport.unregisterProducer()
            self._transport.loseConnection()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        if self._queue and self._write_queue() and self._shut:
            self._finish()

    def stopProducing(self) -> None:
        self.lost()


def outbox(transport: Any, limit: int, waiting: Waiting, overflowed: Callable[[], bytes]) -> Outbox:
    """Make the outbox that fits ``transport``; the arguments are those of `Outbox`.

    Only the class tells a bare socket: wrappers, TLS among them, forward every attribute to the
    socket below, and what is written there leaves unencrypted.
    """
    bare = isinstance(transport, tcp.Connection) and not transport.TLS
    return (SocketOutbox if bare else StreamOutbox)(transport, limit, waiting, overflowed)
