"""Terminals that leave the editing of a line to us, as those behind SSH do.

A terminal stands where a `Scanner` stands for telnet: bytes go in, lines come out.  What is
typed is shown by us, and what others say never goes through the middle of it.
"""

import re
from collections.abc import Callable, Iterable
from itertools import takewhile
from operator import eq

from twisted_chat.chat.sanitize import sanitize
from twisted_chat.wire.editline import WIDEST, EditLine, width
from twisted_chat.wire.keys import Key, Keyboard
from twisted_chat.wire.telnet import Found, Signal

KEYS_A_TURN = 500
"""How many keys of one terminal are looked at before the others get a turn."""
NARROWEST = WIDEST
"""Columns that a screen has at least, whatever is told of it."""
BELL = "\a"
TO_THE_TOP = "\x1b[H\x1b[2J"
ERASE_BELOW = "\x1b[J"
_JOINER = re.compile("([\u200c\u200d])")


class Terminal:
    """What screens and paper have in common: keys that are pressed, and a line that comes of it.

    At most one line is found at a time: what becomes of it may change how the next one is to be
    shown, if that is a password.
    """

    clean = False
    """As `Scanner.clean`; it is not known."""

    def __init__(self, limit: int, write: Callable[[bytes], None]) -> None:
        """
        :param limit: bytes that a line may hold.
        :param write: shows something, now.
        """
        self._line = EditLine(limit)
        self._keyboard = Keyboard()
        self._write = write
        self._is_over = False
        self._keys: dict[Key, Callable[[], None]] = {
            Key.BACKSPACE: self._line.delete_before,
            Key.DELETE_WORD: self._line.delete_word,
            Key.DELETE_TO_BEGIN: self._line.delete_to_begin,
        }

    # As a `Scanner`

    def allow(self, limit: int) -> None:
        """Have a line hold so many bytes from now on."""
        self._line.limit = limit

    def feed(self, data: bytes) -> list[Found]:
        """Take what was typed, and give the line that it completes, if it does."""
        self._keyboard.feed(data)
        found: list[Found] = []
        for _ in range(KEYS_A_TURN):
            if found or not self._keyboard.has_more:
                break
            self._take(self._keyboard.take(), found)
        if self._is_over and not found and not self._keyboard.has_more:
            self._is_over = False
            found.append(Signal.END_OF_INPUT)
        self._show_typing()
        return found

    @property
    def behind(self) -> bool:
        """Whether there is more to be found, by ``feed(b"")``."""
        return self._keyboard.has_more or self._is_over

    def end(self) -> None:
        """Take note that nothing will be typed after what has come so far."""
        self._is_over = True

    def _take(self, what: str | Key | None, found: list[Found]) -> None:
        if isinstance(what, str):
            self._insert(what)
        elif what is Key.ENTER:
            self._enter(found)
        elif what is Key.INTERRUPT:
            self._interrupt(found)
        elif what is Key.END_OF_INPUT and not self._line.characters:
            found.append(Signal.END_OF_INPUT)
        elif what is not None and what in self._keys:
            self._keys[what]()

    def _insert(self, text: str) -> None:
        # A joiner is judged with its neighbours, which may come later: once the line is whole.
        pieces = _JOINER.split(text)
        pieces[::2] = map(sanitize, pieces[::2])
        self._line.insert("".join(pieces))
        if self._line.is_cut:
            self._write(BELL.encode())

    def _enter(self, found: list[Found]) -> None:
        is_cut = self._line.is_cut
        self._leave_line()
        line = self._line.enter()
        if is_cut:
            found.append(Signal.TOO_LONG)
        elif line:
            found.append(line.encode())

    def _interrupt(self, found: list[Found]) -> None:
        if self._line.characters:
            self._line.clear()
        else:
            found.append(Signal.INTERRUPT)

    # What is shown

    @property
    def is_concealed(self) -> bool:
        """Whether what is typed is not shown."""
        return self._line.is_secret

    def conceal(self, hidden: bool) -> None:
        """Show nothing of what is typed, or show it again."""
        self._line.is_secret = hidden
        self._show_typing()

    def resize(self, columns: int, rows: int) -> None:
        """Take note that the screen has another size."""

    def beside(self, data: bytes) -> bytes:
        """Give what shows some lines, and leaves what is being typed as it is."""
        raise NotImplementedError

    def finish(self) -> bytes:
        """Give what leaves the terminal in order, after the last that is shown."""
        return b""

    def _show_typing(self) -> None:
        """Have what is typed shown as it is now."""

    def _leave_line(self) -> None:
        """Show that the line is typed, and another one begins."""


class Paper(Terminal):
    """A terminal that cannot take back what it has shown, or a program that reads aloud.

    What is typed is shown; when others speak meanwhile, it stays where it is, and goes on
    below.
    """

    def __init__(
        self, limit: int, write: Callable[[bytes], None], *, echoes: bool, line_end: bytes
    ) -> None:
        """
        :param echoes: whether what is typed has to be shown by us.
        :param line_end: how lines end there.
        """
        super().__init__(limit, write)
        self._echoes = echoes
        self._line_end = line_end
        self._shown: list[str] = []
        """The characters of the line that stand on the paper."""

    def beside(self, data: bytes) -> bytes:
        if self._shown:
            self._shown = []
            data = b"\r\n" + data
        return data.replace(b"\r\n", self._line_end)

    def _show_typing(self) -> None:
        if not self._echoes or self._line.is_secret:
            return
        now, before = self._line.characters, self._shown
        same = len(list(takewhile(bool, map(eq, now, before))))
        back = sum(map(width, before[same:]))
        self._shown = list(now)
        if shown := "\b \b" * back + "".join(now[same:]):
            self._write(shown.encode())

    def _leave_line(self) -> None:
        self._show_typing()
        self._shown = []
        if self._echoes:
            self._write(self._line_end)


class Screen(Terminal):
    """A terminal on which what is typed stays below everything else."""

    def __init__(
        self,
        limit: int,
        write: Callable[[bytes], None],
        prompt: Callable[[], str],
        columns: int = 80,
        rows: int = 24,
    ) -> None:
        """
        :param prompt: gives what stands before what is typed.
        """
        super().__init__(limit, write)
        self._prompt = prompt
        self._set_size(columns, rows)
        self._row = 0
        """In which row of what is shown of the line the cursor is."""
        self._drawn: tuple[object, ...] = ()
        """What is shown of the line; empty if nothing is."""
        line = self._line
        self._keys |= {
            Key.REDRAW: self._clear_screen,
            Key.DELETE: line.delete_under,
            Key.END_OF_INPUT: line.delete_under,
            Key.DELETE_NEXT_WORD: line.delete_next_word,
            Key.DELETE_TO_END: line.delete_to_end,
            Key.LEFT: line.left,
            Key.RIGHT: line.right,
            Key.WORD_LEFT: line.word_left,
            Key.WORD_RIGHT: line.word_right,
            Key.HOME: line.home,
            Key.END: line.end,
            Key.OLDER: line.older,
            Key.NEWER: line.newer,
        }

    def resize(self, columns: int, rows: int) -> None:
        # Some terminals move the rows that are there, and tell nobody.  To take the cursor to be
        # where it was leaves a trace of the old line in these, and never takes away another.
        self._set_size(columns, rows)
        self._show_typing()

    def _set_size(self, columns: int, rows: int) -> None:
        self._columns = max(NARROWEST, columns)
        self._most_rows = max(1, rows - 1)

    def beside(self, data: bytes) -> bytes:
        return self._erased().encode() + data + self._draw().encode()

    def finish(self) -> bytes:
        return self._erased().encode()

    def _show_typing(self) -> None:
        if self._drawn != self._state():
            self._write((self._erased() + self._draw()).encode())

    def _leave_line(self) -> None:
        self._line.end()
        self._show_typing()
        _, row, column = self._layout()
        if column or not row:  # or the cursor is below already, as the last row is full
            self._write(b"\r\n")
        self._row = 0
        self._drawn = ()

    def _clear_screen(self) -> None:
        self._write(TO_THE_TOP.encode())
        self._row = 0
        self._drawn = ()

    def _state(self) -> tuple[object, ...]:
        """Give all that decides how the line is shown."""
        line = self._line
        typed = () if line.is_secret else (tuple(line.characters), line.cursor)
        return self._prompt(), typed, self._columns, self._most_rows

    def _erased(self) -> str:
        """Give what takes the line off the screen, and stays where it began."""
        up = f"\x1b[{self._row}A" if self._row else ""
        self._row = 0
        return f"\r{up}{ERASE_BELOW}"

    def _draw(self) -> str:
        """Give what shows the line, from the left margin on."""
        self._drawn = self._state()
        rows, row, column = self._layout()
        # Of a line with more rows than the screen, as much as there is room for.
        first = max(0, row - self._most_rows + 1)
        rows = rows[first : first + self._most_rows]
        self._row = row - first
        shown = "\r\n".join(rows)
        if self._line.cursor == len(self._line.characters):  # it is where it ought to be
            return shown
        up = len(rows) - 1 - self._row
        move = f"\x1b[{up}A" if up else ""
        return shown + move + "\r" + (f"\x1b[{column}C" if column else "")

    def _layout(self) -> tuple[list[str], int, int]:
        """Give the rows that the line takes, and the row and column of the cursor."""
        line = self._line
        before = [*self._prompt(), *(() if line.is_secret else line.before)]
        after = [] if line.is_secret else line.characters[line.cursor :]
        rows, column = self._wrapped(before)
        if column + (width(after[0]) if after else 1) > self._columns:
            rows, column = [*rows, ""], 0
        row = len(rows) - 1
        first, *others = self._wrapped(after, column)[0]
        return [*rows[:-1], rows[-1] + first, *others], row, column

    def _wrapped(self, characters: Iterable[str], column: int = 0) -> tuple[list[str], int]:
        """Give rows of characters, and the column after the last.

        :param column: where the first row goes on.
        """
        rows: list[list[str]] = [[]]
        for character in characters:
            columns = width(character)
            if column + columns > self._columns:
                rows.append([])
                column = 0
            rows[-1].append(character)
            column += columns
        return ["".join(row) for row in rows], column
