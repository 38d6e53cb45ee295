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

    def claim(self, number: int) -> None:
        """Take a certain number, which is free."""
        for free in range(self._next, number):
            self.give_back(free)
        if number < self._next:
            self._returned.remove(number)
            heapq.heapify(self._returned)
        self._next = max(self._next, number + 1)

    def give_back(self, number: int) -> None:
        heapq.heappush(self._returned, number)
