"""The door for programs: JSON, an object to a line (``docs/protocol.rst``)."""

from twisted_chat.chat.answers import Done
from twisted_chat.chat.events import Reason
from twisted_chat.chat.limits import Limits
from twisted_chat.chat.session import Session
from twisted_chat.doors.protocol import ChatProtocol
from twisted_chat.interfaces import IFormat
from twisted_chat.wire.jsonlines import JSON, MESSAGE_BYTES, Message, encode


class JsonProtocol(ChatProtocol):
    """One connection of a program.

    It is cut into lines like one of people: what telnet knows besides lines is in no JSON.
    """

    door = "json"
    echo = True
    is_bot = True
    format: IFormat = JSON
    _tag: str | int | None = None
    """That of the line which is being obeyed."""

    @staticmethod
    def longest(_limits: Limits) -> int:
        return MESSAGE_BYTES

    def _obey(self, session: Session, line: bytes) -> float:
        try:
            message = Message.of(line)
        except ValueError as error:
            return session.refuse(str(error), Reason.MALFORMED)
        if message.after is not None:
            session.after = message.after
        if not message.line.strip():
            session.charge(1)  # a message is work, also without a line
        session.receive(message.line)
        self._tag = message.tag
        self._tell_done()
        return session.pause()

    def _proceed(self) -> None:
        self._tell_done()
        super()._proceed()

    def _tell_done(self) -> None:
        """Tell that a line has been obeyed, once it has been."""
        session = self._session
        if self._tag is not None and session and not session.ended and not session.busy:
            tag, self._tag = self._tag, None
            session.show(Done(tag))

    def conceal(self, hidden: bool) -> None:
        self.send(encode({"type": "conceal", "on": hidden}))
