"""Hot restart: a process hands the whole chat over to another one, made of the code as it is now.

The *heir* is started, and says that it is ready once it has loaded everything and built its
service.  Only then is the chat frozen, and passed on: what it knows as JSON, the sockets as
descriptors (unix(7), ``SCM_RIGHTS``).  The heir answers once it has taken all of it, and goes on as
soon as the other process is out of the way, which it sees by the end of the channel.  Until it has
answered nothing is lost: the heir is killed, and the chat goes on where it was.
"""

import json
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

from twisted.logger import Logger

from twisted_chat import estate as estates
from twisted_chat.chat import record
from twisted_chat.estate import Estate
from twisted_chat.service import ChatService
from twisted_chat.worker import Worker

START_SECONDS = 20.0
"""In which the heir has to be ready."""
ANSWER_SECONDS = 10.0
"""In which it has to take everything."""
WAIT_SECONDS = 60.0
"""For so long the heir waits to be given something."""
_AT_ONCE = 200
"""Descriptors in one message; Linux takes 253."""
_HEAD = struct.Struct("!QQQ")
"""How long the record is, how much is unsent, and how many descriptors there are."""


class HandoverError(Exception):
    """Why a chat was not handed over, in words for who runs the server."""


class Channel:
    """What two processes tell each other through."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def send(self, message: Mapping[str, Any], unsent: bytes = b"", descriptors: Any = ()) -> None:
        """Send a message, and what goes with it.

        :raises OSError: the other is not there, or does not take it in time.
        """
        data = json.dumps(message).encode()
        self._socket.sendall(_HEAD.pack(len(data), len(unsent), len(descriptors)))
        for some in _batched(descriptors):
            socket.send_fds(self._socket, [b"."], list(some))
        # In one go: whoever has read the last byte may be gone.
        self._socket.sendall(data + unsent)

    def wait_at_most(self, seconds: float) -> None:
        """Have nothing take longer than this."""
        self._socket.settimeout(seconds)

    def receive(self, seconds: float) -> Estate:
        """Wait for a message, and give it with what came along.

        :raises OSError, EOFError: the other says nothing in time, or is gone.
        """
        self._socket.settimeout(seconds)
        length, unsent, number = _HEAD.unpack(self._read(_HEAD.size))
        descriptors: list[int] = []
        while len(descriptors) < number:
            byte, some, _, _ = socket.recv_fds(self._socket, 1, _AT_ONCE)
            if not byte:
                raise EOFError
            descriptors += some
        message = json.loads(self._read(length))
        return Estate(message, bytes(self._read(unsent)), descriptors)

    def wait_for_end(self, seconds: float) -> None:
        """Wait until the other is gone."""
        self._socket.settimeout(seconds)
        with suppress(ConnectionResetError):
            self._socket.recv(1)
        self._socket.close()

    def close(self) -> None:
        """Have the other see that we are gone."""
        self._socket.close()

    def _read(self, length: int) -> bytearray:
        data = bytearray(length)
        view = memoryview(data)
        while view:
            read = self._socket.recv_into(view)
            if not read:
                raise EOFError
            view = view[read:]
        return data


class IsHeir(Protocol):
    """The process that is started."""

    channel: Channel

    def kill(self) -> None:
        """End it, and return once it is gone."""


class Handover:
    """The side that gives."""

    log = Logger()

    def __init__(self, reactor: Any, service: ChatService) -> None:
        self._service = service
        self._waiter = Worker(reactor, "tcpchat handover")

    async def to(self, heir: IsHeir) -> bool:
        """Hand the chat over; tell whether that was done.

        If so, this process has nothing left to do but to go.
        """
        is_frozen = False
        try:
            await self._waiter.do(lambda: _expect_ready(heir.channel, self._service))
            self._refuse_to_stop()
            is_frozen = True
            estate = await self._service.freeze()
            self._refuse_to_stop()
            _pass(heir.channel, estate)
        except Exception as error:
            heir.kill()
            if is_frozen:
                self._service.thaw()
            self._tell(error)
            return False
        finally:
            self._waiter.stop()
        return True

    def _refuse_to_stop(self) -> None:
        """Leave a chat to its end that somebody stops meanwhile.

        :raises HandoverError: it is so.
        """
        if not self._service.running:
            raise HandoverError("it is being stopped")

    def _tell(self, error: Exception) -> None:
        why = str(error) or type(error).__name__
        if isinstance(error, EOFError):
            why = "it ended; what it has logged tells more"
        elif isinstance(error, TimeoutError):
            why = "it did not answer in time"
        self.log.error(
            "the chat was not handed over to a new process, and goes on in this one: {why}", why=why
        )


def _expect_ready(channel: Channel, service: ChatService) -> None:
    found = channel.receive(START_SECONDS).record
    if found != (expected := _versions(service)):
        raise HandoverError(f"the new code goes on from {found}, not {expected}. stop and start")


def _pass(channel: Channel, estate: Estate) -> None:
    channel.wait_at_most(ANSWER_SECONDS)
    channel.send(*estate)
    answer = channel.receive(ANSWER_SECONDS).record
    if "taken" not in answer:
        raise HandoverError(str(answer.get("refused")))


class Inheritance:
    """The side that takes: in the heir, before its reactor runs."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._estate: Estate | None = None

    def receive(self, service: ChatService) -> None:
        """Say that the service is ready, and have it take what is left."""
        self._channel.send(_versions(service))
        self._estate = self._channel.receive(WAIT_SECONDS)
        if self._estate.record["version"] != estates.VERSION:
            raise HandoverError(f"an estate of version {self._estate.record['version']}")
        service.inherit(self._estate)

    def accept(self) -> None:
        """Say that everything is taken, and wait until the other is out of the way."""
        self._channel.send({"taken": True})
        self._channel.wait_for_end(WAIT_SECONDS)

    def refuse(self, error: BaseException) -> None:
        """Say why it cannot be taken."""
        with suppress(OSError):
            self._channel.send({"refused": f"{type(error).__name__}: {error}"})


def _versions(service: ChatService) -> dict[str, Any]:
    """Give what both sides have to agree in."""
    return {
        "estate": estates.VERSION,
        "chat": record.VERSION,
        "kept": service.rooms.store.form,
    }


def _batched(descriptors: Any) -> Any:
    for begin in range(0, len(descriptors), _AT_ONCE):
        yield descriptors[begin : begin + _AT_ONCE]
