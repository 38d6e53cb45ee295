"""How those who run the server come by their accounts: by a code that the log shows."""

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from twisted_chat.chat.events import ChatError
from twisted_chat.chat.names import Name
from twisted_chat.chat.rooms import Rooms


class Enrolment:
    """Tells in the log how each operator without an account makes it."""

    log = Logger()

    def __init__(self, rooms: Rooms, code: Callable[[], str]) -> None:
        """
        :param code: makes what nobody can guess.
        """
        self._rooms = rooms
        self._code = code

    def tell_all(self) -> None:
        """Tell of all operators."""
        self.tell(self._rooms.operators.names)

    def tell(self, operators: Sequence[Name]) -> None:
        """Tell of some."""
        self._rooms.start(self._tell_each(operators))

    async def _tell_each(self, operators: Sequence[Name]) -> None:
        for name in operators:
            try:
                account = await self._rooms.accounts.find(name.text)
            except ChatError as error:
                self.log.error(
                    "cannot tell whether {name} has an account: {error}. if not, the next "
                    "start shows the code that makes it",
                    name=name.text,
                    error=error,
                )
                continue
            if account is None and name in self._rooms.operators.names:  # by now others may be
                self._tell(name)

    def _tell(self, name: Name) -> None:
        code = self._code()
        self._rooms.operators.expect(name, code)
        self.log.info(
            "{name} has no account yet: connect, then /nick {name} and /register, "
            "with the code {code}",
            name=name.text,
            code=code,
        )
