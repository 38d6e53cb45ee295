"""Make typed text safe to show on anybody's terminal."""

import re
import unicodedata

from twisted_chat.chat.events import ChatError, Reason

REPLACEMENT = "\ufffd"
MARKS_IN_A_ROW = 3

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL and C1
    "\u2028\u2029"  # line and paragraph separators
    "\u202a-\u202e\u2066-\u2069"  # bidirectional embeddings, overrides and isolates
    "\ufeff\U000e0000-\U000e007f"  # byte order mark and tag characters
    "\ud800-\udfff]"  # surrogates, which no encoder takes
)
# ZWJ and ZWNJ mean something only inside Persian, Indic and emoji text.
_STRAY_JOINER = re.compile("(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])")


def _characters(category: str) -> frozenset[str]:
    """Give all characters whose category begins so."""
    # Nothing beyond is a mark or a format, but for the variation selectors of plane 14.
    codes = (*range(0x80, 0x20000), *range(0xE0100, 0xE01F0))
    return frozenset(
        one for one in map(chr, codes) if unicodedata.category(one).startswith(category)
    )


_MARKS = _characters("M")
_FORMATS = _characters("Cf")


def sanitize(text: str) -> str:
    """Give ``text`` without anything that could act on a terminal.

    A tab becomes a blank; controls and their like become U+FFFD; marks piled up on one
    character are cut down to three.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _UNSAFE.sub(REPLACEMENT, text.replace("\t", " "))
    if text.isascii():
        return text
    if not _MARKS.isdisjoint(text):
        text = _thinned(text)
    return _STRAY_JOINER.sub(REPLACEMENT, text)


def typed(line: str, longest: int) -> str:
    """Give what someone has typed, safe to show.

    :param longest: bytes that it may have.
    :raises ChatError: it has more.
    """
    # U+FFFD stands for a byte that was no UTF-8, and has three of its own.
    if len(line.encode("utf-8", "replace")) - 2 * line.count(REPLACEMENT) > longest:
        raise ChatError(f"a line holds at most {longest} bytes", Reason.TOO_LONG)
    return sanitize(line)


def _thinned(text: str) -> str:
    """Cut marks piled up on one character down to three.

    A format between them, such as ZWJ, takes no room: they still sit on the same character.
    """
    kept = []
    row = 0
    for one in text:
        if one in _MARKS:
            row += 1
            if row > MARKS_IN_A_ROW:
                continue
        elif one not in _FORMATS:
            row = 0
        kept.append(one)
    return "".join(kept)
