"""The telnet scanner: bytes in, lines out, whatever the client and however it was cut.

Telnet is RFC 854 and RFC 855.  Nothing is negotiated but the echo (RFC 857), while a password is
typed: every other DO is answered WONT and every WILL DONT.  What a person's terminal edits for
itself in line mode is edited here in character mode.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

ECHO = 1
SE, BREAK, IP, EC, EL, SB = 240, 243, 244, 247, 248, 250
WILL, WONT, DO, DONT, IAC = 251, 252, 253, 254, 255

ANSWERS = 100
"""How many options are answered on one connection."""
SUBNEGOTIATION = 4096
"""How many bytes a subnegotiation may hold before it is taken for text again."""
STEP = 8192
"""How many bytes are scanned at a time where each may be special: a millisecond or eight."""

_PLAIN = bytes(range(0x20, 0x7F)) + b"\r\n"
_SPECIAL = re.compile(rb"[\x00\x08\x0a\x0d\x15\x7f\xff]")
_REFUSE = {DO: WONT, WILL: DONT}
CONCEAL = bytes((IAC, WILL, ECHO))
"""Has a terminal not show what is typed: it is told that we do, which is not so."""
REVEAL = bytes((IAC, WONT, ECHO)) + b"\r\n"
"""Has it show that again; the line end is the one that was typed and not shown."""


class Signal(Enum):
    """What a scanner finds besides lines."""

    TOO_LONG = "a line was too long; the rest of it is skipped"
    INTERRUPT = "someone pressed Ctrl-C or Break"
    END_OF_INPUT = "nothing more will be typed"


class Reply(NamedTuple):
    """Bytes that answer an option."""

    data: bytes


Found: TypeAlias = bytes | Signal | Reply


def found_record(found: Found) -> dict[str, str]:
    """Give what was found as plain JSON data."""
    if isinstance(found, Signal):
        return {"signal": found.name}
    if isinstance(found, Reply):
        return {"reply": found.data.decode("latin-1")}
    return {"line": found.decode("latin-1")}


def found_from_record(record: Mapping[str, str]) -> Found:
    """Give what `found_record` recorded."""
    [(kind, text)] = record.items()
    if kind == "signal":
        return Signal[text]
    data = text.encode("latin-1")
    return Reply(data) if kind == "reply" else data


class Mode(Enum):
    """Where in telnet's grammar the last byte was."""

    TEXT = "text"
    COMMAND = "command"
    OPTION = "option"
    PARAMETERS = "parameters"
    PARAMETERS_COMMAND = "parameters command"


class Scanner:
    """Cuts what one connection sends into lines.

    Lines end with CR LF, LF, CR NUL or CR, which are not part of them; an empty one is nothing.
    """

    __slots__ = (
        "_agreements",
        "_answers_left",
        "_behind",
        "_limit",
        "_mode",
        "_partial",
        "_skipped",
        "_skipping",
        "_verb",
        "_was_cr",
        "clean",
    )

    def __init__(self, limit: int) -> None:
        """
        :param limit: bytes that a line may hold.
        """
        self._limit = limit
        self._partial = b""
        self._skipping = False  # the rest of a line that was too long
        self._was_cr = False
        self._mode = Mode.TEXT
        self._verb = 0
        self._skipped = 0  # bytes of the present subnegotiation
        self._answers_left = ANSWERS
        self._agreements = 0
        self._behind = b""
        self.clean = False
        """Whether the lines of the last `feed` are printable ASCII, one and all."""

    def allow(self, limit: int) -> None:
        """Have a line hold so many bytes from now on."""
        self._limit = limit

    def concealed(self) -> None:
        """Take note that `CONCEAL` was sent: one DO ECHO agrees to it, and wants no answer."""
        self._agreements += 1

    def feed(self, data: bytes) -> list[Found]:
        """Take what has arrived, and give what it completes.

        Bytes that are costly to scan are taken in steps; while there are any left, `behind` is
        true and ``feed(b"")`` goes on.
        """
        if self._behind:
            data, self._behind = self._behind + data, b""
        if not data:
            return []
        partial = self._partial
        whole = partial + data if partial else data
        self.clean = (
            self._mode is Mode.TEXT
            and not self._skipping
            and not whole.translate(None, _PLAIN)
            and len(partial) <= self._limit
        )
        if self.clean:
            return self._split(whole)
        self._behind = data[STEP:]
        return self._scan(data[:STEP])

    @property
    def behind(self) -> bool:
        """Whether there are bytes that `feed` has put off."""
        return bool(self._behind)

    def _split(self, whole: bytes) -> list[Found]:
        """Do the work of `_scan` where there is nothing but printable ASCII and line ends."""
        lines = whole.splitlines()
        self._was_cr = whole.endswith(b"\r")
        self._partial = b"" if whole[-1:] in b"\r\n" else lines.pop()
        found: list[Found] = list(filter(None, lines))
        limit = self._limit
        if len(whole) > limit:
            if len(self._partial) > limit:
                found.append(self._partial)
                self._partial = b""
                self._skipping = True
            found = [Signal.TOO_LONG if len(line) > limit else line for line in found]  # type: ignore[arg-type]
        return found

    def _scan(self, data: bytes) -> list[Found]:
        found: list[Found] = []
        place = 0
        while place < len(data):
            if self._mode is not Mode.TEXT:
                place = self._telnet(data, place, found)
                continue
            special = _SPECIAL.search(data, place)
            end = special.start() if special else len(data)
            if end > place:
                self._append(data[place:end], found)
                self._was_cr = False
            if special:
                self._edit(data[end], found)
            place = end + 1
        return found

    def _append(self, text: bytes, found: list[Found]) -> None:
        if self._skipping:
            return
        self._partial += text
        if len(self._partial) > self._limit:
            self._partial = b""
            self._skipping = True
            found.append(Signal.TOO_LONG)

    def _edit(self, byte: int, found: list[Found]) -> None:
        was_cr, self._was_cr = self._was_cr, byte == 0x0D
        if byte in b"\r\n":
            self._end_line(found)
        elif byte == IAC:
            self._was_cr = was_cr
            self._mode = Mode.COMMAND
        elif byte in b"\x08\x7f":
            self._take_back_character()
        elif byte == 0x15:
            self._take_back_line()
        elif not was_cr:  # a NUL is text, unless it pads a CR
            self._append(b"\0", found)

    def _end_line(self, found: list[Found]) -> None:
        if self._partial:
            found.append(self._partial)
        self._take_back_line()

    def _take_back_line(self) -> None:
        self._partial = b""
        self._skipping = False

    def _take_back_character(self) -> None:
        """Take back a whole character of UTF-8, or a byte that is none."""
        line = self._partial
        last = line[-4:].decode("utf-8", "surrogateescape")  # none is longer
        self._partial = line[:-4] + last[:-1].encode("utf-8", "surrogateescape")

    def _telnet(self, data: bytes, place: int, found: list[Found]) -> int:
        """Take telnet's own bytes from ``place`` on; give where they end."""
        if self._mode is Mode.PARAMETERS:
            return self._skip_parameters(data, place)
        byte = data[place]
        if self._mode is Mode.OPTION:
            self._answer(byte, found)
        elif self._mode is Mode.PARAMETERS_COMMAND:
            self._mode = Mode.TEXT if byte == SE else Mode.PARAMETERS
        else:
            self._command(byte, found)
        return place + 1

    def _command(self, byte: int, found: list[Found]) -> None:
        self._mode = Mode.TEXT
        if byte in (WILL, WONT, DO, DONT):
            self._mode = Mode.OPTION
            self._verb = byte
        elif byte == SB:
            self._mode = Mode.PARAMETERS
            self._skipped = 0
        elif byte == IAC:
            self._was_cr = False
            self._append(b"\xff", found)
        elif byte in (IP, BREAK):
            found.append(Signal.INTERRUPT)
        elif byte == EC:
            self._take_back_character()
        elif byte == EL:
            self._take_back_line()

    def _answer(self, option: int, found: list[Found]) -> None:
        self._mode = Mode.TEXT
        if self._agreements and (self._verb, option) == (DO, ECHO):
            self._agreements -= 1
            return
        refusal = _REFUSE.get(self._verb)
        if refusal and self._answers_left:
            self._answers_left -= 1
            found.append(Reply(bytes((IAC, refusal, option))))

    def _skip_parameters(self, data: bytes, place: int) -> int:
        end = data.find(IAC, place, place + SUBNEGOTIATION - self._skipped)
        if end >= 0:
            self._skipped += end + 1 - place
            self._mode = Mode.PARAMETERS_COMMAND
            return end + 1
        skipped = min(len(data) - place, SUBNEGOTIATION - self._skipped)
        self._skipped += skipped
        if self._skipped >= SUBNEGOTIATION:
            self._mode = Mode.TEXT
        return place + skipped

    # Moving to another process

    def to_record(self) -> dict[str, Any]:
        """Give the state as plain JSON data."""
        return {
            "partial": self._partial.decode("latin-1"),
            "skipping": self._skipping,
            "was_cr": self._was_cr,
            "mode": self._mode.value,
            "verb": self._verb,
            "skipped": self._skipped,
            "answers_left": self._answers_left,
            "agreements": self._agreements,
            "behind": self._behind.decode("latin-1"),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any], limit: int) -> "Scanner":
        """Carry on where `to_record` left off."""
        scanner = cls(limit)
        scanner._partial = record["partial"].encode("latin-1")
        scanner._skipping = record["skipping"]
        scanner._was_cr = record["was_cr"]
        scanner._mode = Mode(record["mode"])
        scanner._verb = record["verb"]
        scanner._skipped = record["skipped"]
        scanner._answers_left = record["answers_left"]
        scanner._agreements = record["agreements"]
        scanner._behind = record["behind"].encode("latin-1")
        return scanner
