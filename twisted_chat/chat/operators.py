"""Who runs the server."""

from collections.abc import Iterable, Mapping, Sequence
from hmac import compare_digest

from twisted_chat.chat import names
from twisted_chat.chat.account import account_id
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.names import Name


class Operators:
    """Those who run the server: named by whoever starts it, never by being first to register.

    While such a name has no account, only a code registers it, once.  In a cluster each node is
    told by whoever starts it, and what any of them was told holds for all.
    """

    def __init__(self, operators: Iterable[str] = ()) -> None:
        """
        :param operators: the names of their accounts.
        :raises ChatError: one of these can be nobody's name.
        """
        self.names: Sequence[Name] = ()
        self.own: list[str] = []
        """The ids of the accounts that this node was told."""
        self._by_node: dict[str, list[str]] = {"": []}
        """What each node was told; the one without a name is alone."""
        self._ids: set[str] = set()
        """Those of all nodes."""
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
        before = set(self.own)
        self.names = tuple(each_once.values())
        self.own = [account_id(name.text) for name in self.names]
        self._codes = {id_: code for id_, code in self._codes.items() if id_ in self.own}
        if not self.are_shared:
            self.obey("", self.own)
        return [name for name in self.names if account_id(name.text) not in before]

    @property
    def are_shared(self) -> bool:
        """Whether there are other nodes."""
        return "" not in self._by_node

    def differ_at(self, node: str) -> bool:
        """Whether this node, called so, was told something that the others do not know."""
        return self.are_shared and self._by_node.get(node, []) != self.own

    def share(self, by_node: Mapping[str, Sequence[str]]) -> None:
        """Be one of many nodes, the others of which were told so."""
        self._by_node = {node: list(ids) for node, ids in by_node.items()}
        self._ids = set().union(*self._by_node.values())

    def obey(self, node: str, ids: Sequence[str]) -> None:
        """Have those run the server whom a node was told, and no longer those before."""
        self.share({**self._by_node, node: ids})

    def forget(self, node: str) -> None:
        """Have nobody run the server any more whom that node alone was told."""
        self.share({one: ids for one, ids in self._by_node.items() if one != node})

    def to_record(self) -> dict[str, list[str]]:
        """Give what each node was told."""
        return self._by_node

    def expect(self, name: Name, code: str) -> None:
        """Let ``code`` register a name."""
        self._codes[account_id(name.text)] = code

    def needs_code(self, name: str) -> bool:
        """Tell whether only a code registers a name: that of an operator, whichever node knows.

        :raises ChatError: nothing does, for it looks like that of an operator.
        """
        own = Name.of(name)
        for operator in (*self.names, *(Name.of(id_[1:]) for id_ in self._ids)):
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
