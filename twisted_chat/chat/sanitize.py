"""Make typed text safe to show on anybody's terminal."""

import re
import unicodedata

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


def _combining_marks() -> str:
    """Give the ranges of all combining marks, for a character class."""
    ranges: list[list[int]] = []
    # Nothing beyond is a mark, but for the variation selectors of plane 14.
    for code in (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0)):
        if not unicodedata.category(chr(code)).startswith("M"):
            continue
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


_PILED_MARKS = re.compile(f"(?<=[{(marks := _combining_marks())}]{{{MARKS_IN_A_ROW}}})[{marks}]+")


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
    return _PILED_MARKS.sub("", _STRAY_JOINER.sub(REPLACEMENT, text))
