"""Connections that go on here from where they were in another process."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from twisted.internet.interfaces import IAddress

from twisted_chat.doors.json import JsonProtocol
from twisted_chat.doors.protocol import ChatProtocol, Unsent
from twisted_chat.doors.proxy import BehindProxy
from twisted_chat.doors.tcp import ChatFactory

KINDS = MappingProxyType({kind.door: kind for kind in (ChatProtocol, JsonProtocol)})


def to_record(protocol: ChatProtocol) -> dict[str, Any]:
    """Give what `Move` takes, as plain JSON data."""
    address = protocol.address
    behind = list(address) if isinstance(address, BehindProxy) else None
    return {
        **protocol.to_record(),
        "door": protocol.door,
        "behind": behind,
    }


class Move:
    """Builds the one protocol that goes on with a connection; the reactor asks it."""

    def __init__(self, factory: ChatFactory, record: Mapping[str, Any], unsent: Unsent) -> None:
        """
        :param record: what `to_record` gave.
        :param unsent: what the protocol had yet to send.
        """
        self._factory = factory
        self._record = record
        self._unsent = unsent

    def buildProtocol(self, address: IAddress | None) -> ChatProtocol:
        if self._record["behind"]:
            address = BehindProxy(*self._record["behind"])
        protocol = KINDS[self._record["door"]](self._factory, address)
        protocol.inherit(self._record, self._unsent)
        return protocol
