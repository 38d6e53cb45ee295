"""Connections that go on here from where they were in another process."""

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.interfaces import IAddress

from twisted_chat.chat.session import Session
from twisted_chat.doors.protocol import ChatProtocol
from twisted_chat.doors.tcp import ChatFactory
from twisted_chat.wire.telnet import Scanner, found_from_record


class MovedProtocol(ChatProtocol):
    """A connection that was one before, in another process: nobody is greeted again."""

    def __init__(
        self,
        factory: ChatFactory,
        address: IAddress | None,
        record: Mapping[str, Any],
        unsent: tuple[Sequence[bytes], bool],
    ) -> None:
        """
        :param record: what `ChatProtocol.to_record` gave.
        :param unsent: what `ChatProtocol.unsent` gave.
        """
        super().__init__(factory, address)
        self._record = record
        self._unsent = unsent
        self._scanner = Scanner.from_record(record["scanner"], factory.rooms.limits.max_line)
        self._found = [found_from_record(one) for one in record["found"]]
        self._clean = record["clean"]
        self._opening = record["opening"].encode("latin-1")
        self._spoke = record["spoke"]

    def connectionMade(self) -> None:
        self._begin()
        if self._spoke:
            self.factory.silent.done(self)
        pieces, is_begun = self._unsent
        if pieces:
            self._outbox.refill(pieces, is_begun)
        session = self._record["session"]
        if session is None:  # it was about to close
            self.close("moved while it was closing")
            return
        self._session = Session.from_record(session, self, self.factory.rooms, self._proceed)
        self.pauseProducing()
        self._proceed()


class Move:
    """Builds the one protocol that goes on with a connection; the reactor asks it."""

    def __init__(
        self,
        factory: ChatFactory,
        record: Mapping[str, Any],
        unsent: tuple[Sequence[bytes], bool],
    ) -> None:
        """
        :param factory: of the door through which the connection came.
        """
        self._factory = factory
        self._record = record
        self._unsent = unsent

    def buildProtocol(self, address: IAddress | None) -> MovedProtocol:
        return MovedProtocol(self._factory, address, self._record, self._unsent)
