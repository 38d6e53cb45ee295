"""What was said, and whether everyone hears it: every line once, and in order."""

import re
import time
from collections import deque

from benchmarks.doors import Heard

NUMBERED = re.compile(r"#(\d+) (?:@([\d.]+) )?")
MORE_THAN_SHOWN = re.compile("> you were gone for .* and missed at least ")
"""What those are told who missed more than the last 200 lines, which they are shown."""


class AstrayError(Exception):
    """A line was lost, doubled, or out of order."""


class Ledger:
    """How many lines everyone has said."""

    def __init__(self) -> None:
        self.said: dict[str, int] = {}
        self.first: dict[str, int] = {}
        """The number of the first line since someone entered their room."""
        self.last_words: dict[str, int] = {}
        """How many lines someone had said who has gone in order."""
        self.delays: deque[float] = deque(maxlen=1000)
        """Seconds that the latest deliveries took, of lines that were not held back."""
        self.deliveries = 0

    def enters(self, who: str) -> None:
        self.first[who] = self.said.setdefault(who, 0)
        self.last_words.pop(who, None)

    def next_line(self, who: str, words: str, *, is_timed: bool = True) -> str:
        """Give a line to say, with its number, and the time if it may tell a delay."""
        number = self.said[who]
        self.said[who] = number + 1
        return f"#{number} @{time.monotonic():.6f} {words}" if is_timed else f"#{number} {words}"

    def leaves(self, who: str) -> None:
        """Someone goes who has said all that they had to say."""
        self.last_words[who] = self.said.get(who, 0)

    def total(self) -> int:
        return sum(self.said.values())


class Ear:
    """What one person has to hear."""

    def __init__(self, me: str, ledger: Ledger, *, is_prompt: bool) -> None:
        """
        :param is_prompt: whether they hear at once what comes, so that it tells a delay.
        """
        self._me, self._ledger, self._is_prompt = me, ledger, is_prompt
        self._next: dict[str, int] = {}
        """The number of the line that comes next, by who says it."""

    def hears(self, heard: Heard) -> None:
        """
        :raises AstrayError: something is missing before this, or this was heard already.
        """
        if heard.kind == "joined":
            self._next[heard.who] = self._ledger.first.get(heard.who, 0)
        elif heard.kind == "answer" and MORE_THAN_SHOWN.match(heard.text):
            self.is_cut_off()
        elif heard.kind == "left":
            self._has_heard_all_of(heard.who)
        elif heard.kind in ("said", "told") and (found := NUMBERED.match(heard.text)):
            voice = heard.who if heard.kind == "said" else f"{heard.who} to {self._me}"
            if self._counts(voice, int(found[1]), heard.is_past):
                self._ledger.deliveries += 1
                if self._is_prompt and found[2] and not heard.is_past:
                    self._ledger.delays.append(time.monotonic() - float(found[2]))

    def is_cut_off(self) -> None:
        """Take note that what was on its way may be lost: nobody can tell what comes next."""
        self._next.clear()

    def misses(self, who: str) -> int:
        """Tell how many lines of somebody who was always there have not come yet."""
        voices = (who, f"{who} to {self._me}")
        return sum(self._ledger.said.get(one, 0) - self._next.get(one, 0) for one in voices)

    def _counts(self, voice: str, number: int, is_past: bool) -> bool:
        """Tell whether a line is news."""
        if is_past and number < self._next.get(voice, number + 1):
            return False
        expected = self._next.get(voice, number)
        if number != expected:
            raise AstrayError(
                f"{self._me} heard #{number} of {voice} where #{expected} should come"
            )
        self._next[voice] = number + 1
        return True

    def _has_heard_all_of(self, who: str) -> None:
        heard = self._next.pop(who, None)
        said = self._ledger.last_words.get(who)
        if None not in (heard, said) and heard != said:
            raise AstrayError(f"{self._me} heard {heard} lines of {who}, who had said {said}")


class Witnesses:
    """Two who say nothing in a room, and have to hear the very same there."""

    def __init__(self) -> None:
        self._ahead: deque[Heard] = deque()
        self._first = ""

    def hears(self, witness: str, heard: Heard) -> None:
        """
        :raises AstrayError: the other heard something else.
        """
        if not self._ahead or self._first == witness:
            self._first = witness
            self._ahead.append(heard)
        elif (other := self._ahead.popleft()) != heard:
            raise AstrayError(f"{witness} heard {heard} where {self._first} heard {other}")
