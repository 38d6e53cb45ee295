"""Lines and letters as plain JSON data, to go on in another process."""

from collections.abc import Sequence
from typing import Any

from twisted_chat.chat.events import Emoted, Line, Said, Told, Who


def of_line(line: Line) -> tuple[object, ...]:
    """Give a line as it is recorded."""
    return line.id, line.time, line.who, line.room, line.text, isinstance(line, Emoted)


def to_line(record: Sequence[Any]) -> Line:
    """Give the line that was recorded so."""
    id_, time, who, room, text, is_emote = record
    line = (Emoted if is_emote else Said)(Who(*who), room, text)
    line.id, line.time = id_, time
    return line


def of_letter(letter: Told) -> tuple[object, ...]:
    """Give a letter as it is recorded."""
    return letter.id, letter.time, letter.who, letter.to, letter.text


def to_letter(record: Sequence[Any]) -> Told:
    """Give the letter that was recorded so."""
    id_, time, who, to, text = record
    letter = Told(Who(*who), Who(*to), text)
    letter.id, letter.time = id_, time
    return letter
