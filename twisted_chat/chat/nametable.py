"""Whose name is whose."""

from typing import Generic, Protocol, TypeVar

from twisted_chat.chat.events import ChatError
from twisted_chat.chat.names import Name, fold


class Named(Protocol):
    """What has a name: a person or a room."""

    name: Name


Owner = TypeVar("Owner", bound=Named)


class NameTable(Generic[Owner]):
    """The names in use; one who looks like another shares a key with them."""

    def __init__(self) -> None:
        self._owners: dict[str, Owner] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def find(self, text: str) -> Owner | None:
        """Find who is called so, in any letter case; a look-alike is not meant."""
        folded = fold(text)
        owner = self._owners.get(folded)
        return owner if owner and owner.name.fold == folded else None

    def refuse_taken(self, name: Name, own: Owner | None) -> None:
        """Check that a name can be given to ``own``, or to somebody new.

        :raises ChatError: it is taken, or looks like one that is.
        """
        for key in name.keys:
            owner = self._owners.get(key)
            if owner is None or owner is own:
                continue
            if owner.name.fold == name.fold:
                raise ChatError(f'"{name.text}" is taken')
            raise ChatError(f'"{name.text}" looks like "{owner.name.text}", which is taken')

    def holders(self, name: Name) -> list[Owner]:
        """Give those who share a key with a name, each once."""
        found = (self._owners.get(key) for key in name.keys)
        return list({id(owner): owner for owner in found if owner is not None}.values())

    def add(self, owner: Owner) -> None:
        """Take the name of ``owner`` as theirs."""
        self._owners.update(dict.fromkeys(owner.name.keys, owner))

    def remove(self, owner: Owner) -> None:
        """Have the name of ``owner`` free again."""
        for key in owner.name.keys:
            del self._owners[key]
