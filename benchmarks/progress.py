"""A bar that tells how far it is."""

import sys
import time

WIDTH = 24


class Progress:
    """Shown on the standard error, if a person looks at it."""

    def __init__(self, steps: int) -> None:
        self._steps, self._done = steps, 0
        self._begin = time.monotonic()
        self._shown = sys.stderr.isatty()

    def begin(self, what: str) -> None:
        """Tell what is going on now."""
        full = WIDTH * self._done // max(self._steps, 1)
        bar = "█" * full + "░" * (WIDTH - full)
        self._show(f"{bar} {self._done}/{self._steps} {self._left()}{what}")

    def end(self) -> None:
        """Take a step."""
        self._done += 1

    def hide(self) -> None:
        """Make room for other lines."""
        self._show("")

    def _left(self) -> str:
        if not self._done:
            return ""
        spent = time.monotonic() - self._begin
        minutes, seconds = divmod(round(spent / self._done * (self._steps - self._done)), 60)
        return f"{minutes}:{seconds:02} left, "

    def _show(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\x1b[K{text[:100]}")
            sys.stderr.flush()
