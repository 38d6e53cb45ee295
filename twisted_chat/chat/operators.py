"""Who runs the server."""

from collections.abc import Iterable, Sequence
from hmac import compare_digest

from twisted_chat.chat import names
from twisted_chat.chat.account import account_id
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.names import Name


class Operators:
    """Those who run the server: named by whoever starts it, never by being first to register.

    While such a name has no account, only a code registers it, once.
    """

    def __init__(self, operators: Iterable[str] = ()) -> None:
        """
        :param operators: the names of their accounts.
        :raises ChatError: one of these can be nobody's name.
        """
        self.names: Sequence[Name] = ()
        self._ids: set[str] = set()
        self._codes: dict[str, str] = {}
        """By the id of the account."""
        self.appoint(operators)

    def __contains__(self, account: str | None) -> bool:
        return account in self._ids

    def appoint(self, operators: Iterable[str]) -> Sequence[Name]:
        """Have these run the server, and nobody else; give those who did not before.

        :raises ChatError: one of these can be nobody's name; nothing has changed.
        """
        each_once = {name.fold: name for name in map(names.nick, operators)}
        before = self._ids
        self.names = tuple(each_once.values())
        self._ids = {account_id(name.text) for name in self.names}
        self._codes = {id_: code for id_, code in self._codes.items() if id_ in self._ids}
        return [name for name in self.names if account_id(name.text) not in before]

    def expect(self, name: Name, code: str) -> None:
        """Let ``code`` register a name."""
        self._codes[account_id(name.text)] = code

    def needs_code(self, name: str) -> bool:
        """Tell whether only a code registers a name.

        :raises ChatError: nothing does, for it looks like that of an operator.
        """
        own = Name.of(name)
        for operator in self.names:
            if own.fold == operator.fold:
                return True
            if not set(own.keys).isdisjoint(operator.keys):
                raise ChatError(f'"{name}" looks like "{operator.text}", who runs the server')
        return False

    def check_code(self, name: str, code: str) -> None:
        """Check the code that registers a name.

        :raises ChatError: it is not that code.
        """
        expected = self._codes.get(account_id(name), "")
        if not expected or not compare_digest(code.encode(), expected.encode()):
            raise ChatError("that is not the code that the log of the server shows")

    def registered(self, name: str) -> None:
        """Have the code of a name worth nothing from now on."""
        self._codes.pop(account_id(name), None)
