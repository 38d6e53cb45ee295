"""A crowd in the order in which people sort names."""

from bisect import bisect_left, insort
from typing import Generic

from twisted_chat.chat.nametable import Owner

_LAST = "\U0010ffff"


class Roster(Generic[Owner]):
    """Keeps owners of names sorted: the first two hundred cost the same in any crowd."""

    def __init__(self) -> None:
        self._order: list[tuple[str, str]] = []
        self._owners: dict[tuple[str, str], Owner] = {}

    def add(self, owner: Owner) -> None:
        place = (owner.name.fold, owner.name.text)
        insort(self._order, place)
        self._owners[place] = owner

    def remove(self, owner: Owner) -> None:
        """Take ``owner`` out, who still has the name they were added with."""
        place = (owner.name.fold, owner.name.text)
        del self._order[bisect_left(self._order, place)]
        del self._owners[place]

    def first(self, number: int, prefix: str = "") -> tuple[list[Owner], int]:
        """Give the first whose names begin so in any letter case, and how many more do.

        :param prefix: folded.
        """
        begin = bisect_left(self._order, (prefix, ""))
        end = bisect_left(self._order, (prefix + _LAST, ""))
        found = [self._owners[place] for place in self._order[begin : min(end, begin + number)]]
        return found, end - begin - len(found)
