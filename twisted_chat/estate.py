"""All that one process leaves to the next: what it knows, its sockets, and what it has not sent."""

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from socket import AF_INET, AF_INET6, AF_UNIX
from typing import Any, NamedTuple

from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.interfaces import IListeningPort

from twisted_chat.chat import record
from twisted_chat.chat.rooms import Rooms
from twisted_chat.doors import moving
from twisted_chat.doors.protocol import ChatProtocol
from twisted_chat.doors.tcp import ChatFactory

VERSION = 3


class Estate(NamedTuple):
    """What is left."""

    record: Mapping[str, Any]
    """Plain JSON data."""
    unsent: bytes
    """What waits to be sent, of one connection after the other."""
    descriptors: Sequence[int]
    """Of the ports, then of the connections, in the order of the record."""


def gather(
    rooms: Rooms,
    since: float,
    kept: object,
    ports: Iterable[tuple[str, IListeningPort]],
    protocols: Iterable[ChatProtocol],
    *,
    node: object = None,
    restarts: int = 0,
) -> Estate:
    """Put together what is left; nothing may happen from now on.

    :param since: when the chat was frozen, UTC seconds.
    :param kept: what the store has released.
    :param ports: each with its description.
    :param protocols: those whose connections can be moved.
    :param node: what the node of a cluster leaves, if this is one.
    :param restarts: how often the chat has moved to another process, this time included.
    """
    descriptors: list[int] = []
    unsent: list[bytes | memoryview] = []
    port_records = []
    for description, port in ports:
        descriptors.append(port.fileno())  # type: ignore[attr-defined]
        port_records.append({"description": description, "family": _family(port.getHost())})
    connections = []
    for protocol in protocols:
        descriptors.append(protocol.transport.fileno())
        pieces, is_begun = protocol.unsent()
        unsent += pieces
        connections.append(
            {
                **moving.to_record(protocol),
                "family": _family(protocol.transport.getHost()),
                "pieces": list(map(len, pieces)),
                "is_begun": is_begun,
            }
        )
    record_ = {
        "version": VERSION,
        "since": since,
        "chat": record.to_record(rooms),
        "kept": kept,
        "node": node,
        "restarts": restarts,
        "ports": port_records,
        "connections": connections,
    }
    return Estate(record_, b"".join(unsent), descriptors)


def ports(estate: Estate) -> list[tuple[str, int, int]]:
    """Give description, descriptor and address family of each port that is left."""
    return [
        (port["description"], descriptor, port["family"])
        for port, descriptor in zip(estate.record["ports"], estate.descriptors, strict=False)
    ]


def restarts(estate: Estate) -> int:
    """Give how often the chat has moved to another process."""
    return int(estate.record.get("restarts", 1))  # earlier code did not count


def move_in(estate: Estate, reactor: Any, factory: ChatFactory) -> None:
    """Go on with the connections that are left; who has none any more has gone.

    The descriptors of the estate are closed: the reactor has made its own of each it has adopted.
    """
    number = len(estate.record["ports"])
    for descriptor in estate.descriptors[:number]:
        os.close(descriptor)
    place = 0
    for connection, descriptor in zip(
        estate.record["connections"], estate.descriptors[number:], strict=True
    ):
        bounds = pairwise(accumulate(connection["pieces"], initial=place))
        pieces = [estate.unsent[begin:end] for begin, end in bounds]
        place += sum(map(len, pieces))
        move = moving.Move(factory, connection, (pieces, connection["is_begun"]))
        try:
            reactor.adoptStreamConnection(descriptor, connection["family"], move)
        except OSError:
            factory.log.debug("a peer went while its connection moved")
        finally:
            os.close(descriptor)
    factory.rooms.dismiss_absent()


def _family(address: object) -> int:
    if isinstance(address, UNIXAddress):
        return AF_UNIX
    return AF_INET6 if isinstance(address, IPv6Address) else AF_INET
