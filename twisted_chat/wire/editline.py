"""A line that is being typed, and those that were typed before."""

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from wcwidth import iter_graphemes, wcswidth

from twisted_chat.chat.sanitize import REPLACEMENT

REMEMBERED = 100
WIDEST = 4
"""Columns of the widest character; what is wider, such as a row of jamo, is several."""


@lru_cache(maxsize=4096)
def width(character: str) -> int:
    """Give how many columns a character takes, with all the marks that sit on it."""
    return max(0, wcswidth(character))


def _measured(text: str) -> bytes:
    """Give as many bytes as a text counts for: what stands for one that was no UTF-8 is one."""
    return text.replace(REPLACEMENT, "\0").encode()


class EditLine:
    """The text, cut into what people call characters, and where the cursor is in it."""

    def __init__(self, limit: int) -> None:
        """
        :param limit: bytes that a line may hold.
        """
        self.limit = limit
        self.is_secret = False
        """Whether it is neither to be shown nor remembered."""
        self.is_cut = False
        """Whether there was no room for all of it."""
        self.characters: list[str] = []
        self.cursor = 0
        self._size = 0
        self._past: deque[list[str]] = deque(maxlen=REMEMBERED)
        self._recalled = 0
        """How far back in the past the text is from; 0 for the newest."""
        self._newest: list[str] = []
        """What was typed before older lines were looked at."""

    @property
    def before(self) -> Sequence[str]:
        """The characters before the cursor."""
        return self.characters[: self.cursor]

    # Changing the text

    def insert(self, text: str) -> None:
        """Insert text without controls at the cursor, as far as there is room."""
        room = max(0, self.limit - self._size)
        fitting = _measured(text)[:room].decode("utf-8", "ignore").replace("\0", REPLACEMENT)
        self.is_cut = self.is_cut or fitting != text
        # A mark that comes later sits on the character before the cursor.
        begin = max(0, self.cursor - 1)
        new = iter_graphemes("".join(self.characters[begin : self.cursor]) + fitting)
        pieces = [[one] if width(one) <= WIDEST else list(one) for one in new]
        self._replace(begin, self.cursor, list(chain.from_iterable(pieces)))

    def delete(self, begin: int, end: int) -> None:
        """Take characters away; the cursor is then where they were."""
        self._replace(max(0, begin), min(end, len(self.characters)), [])
        self.is_cut = self.is_cut and bool(self.characters)

    def delete_before(self) -> None:
        self.delete(self.cursor - 1, self.cursor)

    def delete_under(self) -> None:
        self.delete(self.cursor, self.cursor + 1)

    def delete_word(self) -> None:
        self.delete(self._word_begin(), self.cursor)

    def delete_next_word(self) -> None:
        self.delete(self.cursor, self._word_end())

    def delete_to_begin(self) -> None:
        self.delete(0, self.cursor)

    def delete_to_end(self) -> None:
        self.delete(self.cursor, len(self.characters))

    def clear(self) -> None:
        self._replace(0, len(self.characters), [])
        self.is_cut = False
        self._recalled = 0

    def _replace(self, begin: int, end: int, new: list[str]) -> None:
        old = self.characters[begin:end]
        self.characters[begin:end] = new
        self._size += len(_measured("".join(new))) - len(_measured("".join(old)))
        self.cursor = begin + len(new)

    # Moving the cursor

    def left(self) -> None:
        self.cursor = max(0, self.cursor - 1)

    def right(self) -> None:
        self.cursor = min(len(self.characters), self.cursor + 1)

    def home(self) -> None:
        self.cursor = 0

    def end(self) -> None:
        self.cursor = len(self.characters)

    def word_left(self) -> None:
        self.cursor = self._word_begin()

    def word_right(self) -> None:
        self.cursor = self._word_end()

    def _word_begin(self) -> int:
        place = self.cursor
        while place and self.characters[place - 1].isspace():
            place -= 1
        while place and not self.characters[place - 1].isspace():
            place -= 1
        return place

    def _word_end(self) -> int:
        place, length = self.cursor, len(self.characters)
        while place < length and self.characters[place].isspace():
            place += 1
        while place < length and not self.characters[place].isspace():
            place += 1
        return place

    # The past

    def older(self) -> None:
        """Have the line before the one that is shown."""
        self._recall(self._recalled + 1)

    def newer(self) -> None:
        """Have the line after the one that is shown."""
        self._recall(self._recalled - 1)

    def _recall(self, how_far: int) -> None:
        if self.is_secret or not 0 <= how_far <= len(self._past):
            return
        if not self._recalled:
            self._newest = list(self.characters)
        self._recalled = how_far
        self.is_cut = False
        self._replace(
            0, len(self.characters), list(self._past[-how_far] if how_far else self._newest)
        )

    def enter(self) -> str:
        """Give the line, and begin another one."""
        line = list(self.characters)
        if line and not self.is_secret and (not self._past or self._past[-1] != line):
            self._past.append(line)
        self.clear()
        return "".join(line)
