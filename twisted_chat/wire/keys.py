"""What a terminal sends, cut into what was typed and which keys were pressed."""

import re
from codecs import getincrementaldecoder
from enum import Enum
from types import MappingProxyType

SEQUENCE = 32
"""Characters in the longest sequence of a key that is waited for."""


class Key(Enum):
    """A key, or what several keys do alike."""

    ENTER = "enter"
    INTERRUPT = "Ctrl-C"
    END_OF_INPUT = "Ctrl-D"
    REDRAW = "Ctrl-L"
    BACKSPACE = "backspace"
    DELETE = "delete"
    DELETE_WORD = "Ctrl-W"
    DELETE_NEXT_WORD = "Alt-d"
    DELETE_TO_BEGIN = "Ctrl-U"
    DELETE_TO_END = "Ctrl-K"
    LEFT = "left"
    RIGHT = "right"
    WORD_LEFT = "Ctrl-left"
    WORD_RIGHT = "Ctrl-right"
    HOME = "home"
    END = "end"
    OLDER = "up"
    NEWER = "down"


# Those of Emacs, as everywhere; sequences as in ECMA-48 and xterm's ctlseqs.
_KEYS = MappingProxyType(
    {
        "\r": Key.ENTER,
        "\n": Key.ENTER,
        "\x01": Key.HOME,
        "\x02": Key.LEFT,
        "\x03": Key.INTERRUPT,
        "\x04": Key.END_OF_INPUT,
        "\x05": Key.END,
        "\x06": Key.RIGHT,
        "\x08": Key.BACKSPACE,
        "\x0b": Key.DELETE_TO_END,
        "\x0c": Key.REDRAW,
        "\x0e": Key.NEWER,
        "\x10": Key.OLDER,
        "\x15": Key.DELETE_TO_BEGIN,
        "\x17": Key.DELETE_WORD,
        "\x7f": Key.BACKSPACE,
        "\x1bb": Key.WORD_LEFT,
        "\x1bd": Key.DELETE_NEXT_WORD,
        "\x1bf": Key.WORD_RIGHT,
        "\x1b\x08": Key.DELETE_WORD,
        "\x1b\x7f": Key.DELETE_WORD,
        "\x1b[1;5C": Key.WORD_RIGHT,
        "\x1b[1;3C": Key.WORD_RIGHT,
        "\x1b[1;5D": Key.WORD_LEFT,
        "\x1b[1;3D": Key.WORD_LEFT,
        "\x1b[1~": Key.HOME,
        "\x1b[7~": Key.HOME,
        "\x1b[4~": Key.END,
        "\x1b[8~": Key.END,
        "\x1b[3~": Key.DELETE,
        **{
            f"\x1b{begin}{letter}": key
            for begin in "[O"
            for letter, key in (
                ("A", Key.OLDER),
                ("B", Key.NEWER),
                ("C", Key.RIGHT),
                ("D", Key.LEFT),
                ("H", Key.HOME),
                ("F", Key.END),
            )
        },
    }
)
_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x08\x0a-\x1f\x7f]+)"
    r"|\r\n"
    r"|(?P<part>\x1b(?:\[\[|[\[O][0-?]*[ -/]*)?\Z)"
    # "[[" begins the function keys of the Linux console; what is broken off has no last byte.
    r"|\x1b(?:\[\[|[\[O][0-?]*[ -/]*)[@-~]?"
    r"|\x1b[^\x1b]"
    r"|.",
    re.DOTALL,
)


class Keyboard:
    """Takes what comes in, cut anywhere, and gives it piece by piece."""

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._come = ""
        self._place = 0
        """Up to where that was taken."""
        self._was_cr = False

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        self._come = self._come[self._place :] + self._decoder.decode(data)
        self._place = 0

    @property
    def has_more(self) -> bool:
        """Whether there is something to be taken."""
        return self._next() is not None

    def take(self) -> str | Key | None:
        """Give what comes next: a text, a key, or None for what is no key of ours.

        :raises LookupError: there is nothing more yet.
        """
        found = self._next()
        if found is None:
            raise LookupError
        self._place = found.end()
        token = found[0]
        was_cr, self._was_cr = self._was_cr, token == "\r"
        if found["text"]:
            return token
        if was_cr and token == "\n":
            return None
        return Key.ENTER if token == "\r\n" else _KEYS.get(token)

    def _next(self) -> re.Match[str] | None:
        """Find what comes next, unless it may be the beginning of something longer."""
        found = _TOKEN.match(self._come, self._place)
        if found and found["part"] and len(found[0]) <= SEQUENCE:
            return None
        return found
