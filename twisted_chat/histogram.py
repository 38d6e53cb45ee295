"""How long things take: how often it was at most so long."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Histogram:
    """Counts figures by the first bound that they do not exceed."""

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        """
        :param bounds: rising; what exceeds the last is counted as well.
        """
        self.bounds = bounds
        self.total = 0.0
        """Of all figures."""
        self._counts = [0] * (len(bounds) + 1)

    def add(self, figure: float) -> None:
        """Take a figure in; one below 0, as of a clock that was set back, is 0."""
        figure = max(0.0, figure)
        self.total += figure
        self._counts[bisect_left(self.bounds, figure)] += 1

    def cumulative(self) -> list[int]:
        """Give for each bound how many figures do not exceed it, and then how many there are."""
        return list(accumulate(self._counts))
