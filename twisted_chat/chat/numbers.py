"""Numbers that are given out and come back."""

import heapq


class Numbers:
    """Gives the lowest number that is free; the first is 1."""

    def __init__(self) -> None:
        self._returned: list[int] = []
        self._next = 1

    def take(self) -> int:
        if self._returned:
            return heapq.heappop(self._returned)
        self._next += 1
        return self._next - 1

    def give_back(self, number: int) -> None:
        heapq.heappush(self._returned, number)
