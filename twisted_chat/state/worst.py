"""The worst of the last minute."""

from collections import deque


class Worst:
    """The largest of the figures of a span of time that moves on."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._figures: deque[tuple[float, float]] = deque()
        """When, and what: falling, for what comes before something larger is never the worst."""

    def add(self, now: float, figure: float) -> None:
        """Take a figure in; ``now`` is in seconds."""
        while self._figures and self._figures[-1][1] <= figure:
            self._figures.pop()
        self._figures.append((now, figure))
        self._drop_old(now)

    def of_late(self, now: float) -> float:
        """Give the largest figure of the span that ends now; 0 if there was none."""
        self._drop_old(now)
        return self._figures[0][1] if self._figures else 0.0

    def _drop_old(self, now: float) -> None:
        while self._figures and self._figures[0][0] < now - self._seconds:
            self._figures.popleft()
