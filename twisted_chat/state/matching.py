"""What a search finds: the same in memory and on disk."""

from collections.abc import Sequence

from twisted_chat.chat.events import Line
from twisted_chat.chat.names import fold


class Matcher:
    """Tells whether a line holds all of some words, in any letter case, each anywhere in it."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = [fold(word) for word in words]

    def __call__(self, line: Line) -> bool:
        folded = fold(line.text)
        return all(word in folded for word in self.words)
