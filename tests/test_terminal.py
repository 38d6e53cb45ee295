"""Terminals that we edit for: what is pressed, what comes of it, and what stands on the screen."""

import re
from copy import deepcopy
from itertools import pairwise
from math import ceil
from unicodedata import combining, normalize
from unittest.mock import patch

import pyte
import pytest
from fuzz.wires import pressed
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twisted_chat.chat.sanitize import sanitize
from twisted_chat.wire.editline import REMEMBERED, EditLine, width
from twisted_chat.wire.keys import SEQUENCE, Key, Keyboard
from twisted_chat.wire.telnet import Signal
from twisted_chat.wire.terminal import KEYS_A_TURN, NARROWEST, Paper, Screen

TOO_LONG, INTERRUPT, END_OF_INPUT = Signal.TOO_LONG, Signal.INTERRUPT, Signal.END_OF_INPUT
ACUTE = "\u0301"
FAMILY = "👩\u200d👩\u200d👧"
CHARACTERS = [
    "a",
    "B",
    " ",
    "é",
    f"e{ACUTE}",
    "日",
    "本",
    FAMILY,
    "👍🏽",
    "🇩🇪",
    "1\ufe0f\u20e3",
    "क\u094dष",
]
SEQUENCES = {
    Key.ENTER: [b"\r", b"\n", b"\r\n"],
    Key.INTERRUPT: [b"\x03"],
    Key.END_OF_INPUT: [b"\x04"],
    Key.REDRAW: [b"\x0c"],
    Key.BACKSPACE: [b"\x08", b"\x7f"],
    Key.DELETE: [b"\x1b[3~"],
    Key.DELETE_WORD: [b"\x17", b"\x1b\x7f", b"\x1b\x08"],
    Key.DELETE_NEXT_WORD: [b"\x1bd"],
    Key.DELETE_TO_BEGIN: [b"\x15"],
    Key.DELETE_TO_END: [b"\x0b"],
    Key.LEFT: [b"\x02", b"\x1b[D", b"\x1bOD"],
    Key.RIGHT: [b"\x06", b"\x1b[C", b"\x1bOC"],
    Key.WORD_LEFT: [b"\x1bb", b"\x1b[1;5D", b"\x1b[1;3D"],
    Key.WORD_RIGHT: [b"\x1bf", b"\x1b[1;5C", b"\x1b[1;3C"],
    Key.HOME: [b"\x01", b"\x1b[H", b"\x1bOH", b"\x1b[1~", b"\x1b[7~"],
    Key.END: [b"\x05", b"\x1b[F", b"\x1bOF", b"\x1b[4~", b"\x1b[8~"],
    Key.OLDER: [b"\x10", b"\x1b[A", b"\x1bOA"],
    Key.NEWER: [b"\x0e", b"\x1b[B", b"\x1bOB"],
}
UP, DOWN, LEFT, HOME, BACKSPACE, KILL = b"\x10", b"\x0e", b"\x02", b"\x01", b"\x7f", b"\x15"
UNKNOWN = [
    b"\x1b[5~",
    b"\x1b[200~",
    b"\x1b[1;2A",
    b"\x1b[?1;2c",
    b"\x1b[0 q",
    b"\x1b[I",
    b"\x1b[[A",
    b"\x1bOP",
    b"\x1bO2P",
    b"\x1bx",
    b"\x1b\xc3\xa9",
    b"\x00",
    b"\x1f",
]


def bytewise(data):
    """Cut data into bytes."""
    return [data[place : place + 1] for place in range(len(data))]


def drain(terminal, data):
    """Give all that some data completes, in as many steps as it takes."""
    found = terminal.feed(data)
    while terminal.behind:
        found += terminal.feed(b"")
    return found


# Keys


@pytest.mark.parametrize("key", Key)
def test_a_key_has_its_sequences(key):
    """All that terminals send for a key means that key, at once and byte by byte."""
    for sequence in SEQUENCES[key]:
        assert pressed(b"a" + sequence + b"b") == ["a", key, "b"], sequence
        assert pressed(*bytewise(b"a" + sequence + b"b")) == ["a", key, "b"], sequence


@pytest.mark.parametrize("sequence", UNKNOWN)
def test_what_is_no_key_of_ours_is_swallowed(sequence):
    """Keys that mean nothing here leave nothing in the text, however they are cut."""
    data = b"a" + sequence + b"b"
    for place in range(len(data)):
        assert pressed(data[:place], data[place:]) == ["ab"], place
    assert pressed(*bytewise(data)) == ["ab"]


@pytest.mark.parametrize("broken", [b"\x1b", b"\x1b[", b"\x1b[1;", b"\x1bO", b"\x1b[[", b"\x1b[1 "])
def test_what_is_broken_off_takes_no_key_with_it(broken):
    """A sequence in the middle of which another begins is dropped, and the other one counts."""
    assert pressed(broken + b"\x1b[A") == pressed(broken, b"\x1b[A") == [Key.OLDER]
    assert pressed(*bytewise(broken + b"\x1b[A")) == [Key.OLDER]


def test_text_is_utf_8():
    """Characters are whole wherever they are cut, and what is none is U+FFFD."""
    text = "a\té日👍🏽" + FAMILY
    data = text.encode()
    for place in range(len(data)):
        assert pressed(data[:place], data[place:]) == [text], place
    assert pressed(*bytewise(data)) == [text]
    assert pressed(b"a\xffb\xc3") == ["a\ufffdb"]
    assert pressed(b"\xc3", b"\r") == ["\ufffd", Key.ENTER]


def test_line_ends():
    """CR, LF and CR LF are one Enter each, and cutting makes no two of CR LF."""
    enter = Key.ENTER
    for data, times in (
        (b"\r\n\r\n", 2),
        (b"\r\r\n", 2),
        (b"\n\n", 2),
        (b"\n\r", 2),
        (b"\r\n\n", 2),
    ):
        assert pressed(data) == pressed(*bytewise(data)) == [enter] * times, data
    assert pressed(b"a\r", b"\nb\r", b"", b"\n", b"\n") == ["a", enter, "b", enter, enter]
    assert pressed(b"\r", b"\x01\n") == [enter, Key.HOME, enter]


def test_an_endless_sequence_is_not_waited_for():
    """What can be no key any more is dropped, and what comes after it counts."""
    longest = b"\x1b[" + b"1" * (SEQUENCE - 2)
    assert pressed(longest, b"A") == []
    assert pressed(longest + b"1", b"A") == ["A"]
    assert pressed(longest + b"1" * 10_000, b"ab\r") == ["ab", Key.ENTER]


def test_nothing_is_taken_before_it_has_come():
    """Whoever takes what is not there is told so."""
    keyboard = Keyboard()
    keyboard.feed(b"\x1b[")
    assert not keyboard.has_more
    with pytest.raises(LookupError):
        keyboard.take()
    keyboard.feed(b"A")
    assert keyboard.take() is Key.OLDER


FRAGMENTS = [one for all_of_it in SEQUENCES.values() for one in all_of_it]
FRAGMENTS += [*UNKNOWN, b"\xff", b"\xc3", b"\x1b", b"\x1b[", b"\t", b"hello", b"\x85", b"\xc2\x9b"]
FRAGMENTS += [one.encode() for one in (*CHARACTERS, ACUTE, "\u200d", "\u200c", "\u202e", "\u2028")]
PRESSED = st.one_of(
    st.binary(max_size=60), st.lists(st.sampled_from(FRAGMENTS), max_size=25).map(b"".join)
)


def terminals(write):
    """Make one of each kind."""
    return (
        Screen(1000, write, lambda: "[ann] ", 20, 6),
        Paper(1000, write, echoes=True, line_end=b"\r\n"),
        Paper(1000, write, echoes=False, line_end=b"\n"),
    )


@settings(max_examples=300)
@given(PRESSED, st.lists(st.integers(0, 60), max_size=5))
@example(b"\x1b[[A", [3])
def test_whatever_is_pressed_is_taken(data, places):
    """Any bytes are worked off in time, and give the same however they are cut."""
    cuts = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    pieces = [data[begin:end] for begin, end in pairwise(cuts)]
    for whole, cut in zip(terminals(lambda _: None), terminals(lambda _: None), strict=True):
        found, steps = whole.feed(data), 0
        while whole.behind:
            found += whole.feed(b"")
            steps += 1
            assert steps <= len(data)
        in_pieces = [one for piece in pieces for one in drain(cut, piece)]
        # The chat looks at a line as a whole again.
        assert [isinstance(one, bytes) and sanitize(one.decode()) for one in in_pieces] == [
            isinstance(one, bytes) and sanitize(one.decode()) for one in found
        ]


# Editing


METHODS = {
    Key.BACKSPACE: "delete_before",
    Key.DELETE: "delete_under",
    Key.DELETE_WORD: "delete_word",
    Key.DELETE_NEXT_WORD: "delete_next_word",
    Key.DELETE_TO_BEGIN: "delete_to_begin",
    Key.DELETE_TO_END: "delete_to_end",
    Key.LEFT: "left",
    Key.RIGHT: "right",
    Key.WORD_LEFT: "word_left",
    Key.WORD_RIGHT: "word_right",
    Key.HOME: "home",
    Key.END: "end",
    Key.OLDER: "older",
    Key.NEWER: "newer",
}


class Typist:
    """What a line is, told as simply as it can be: two piles of characters, and a pile of lines."""

    def __init__(self):
        self.before, self.after = [], []
        self.past, self.future = [], []
        self.typed = None
        """What was there before older lines were looked at."""

    @property
    def text(self):
        return self.before + self.after

    def insert(self, characters):
        for one in characters:
            if one == ACUTE and self.before:
                self.before[-1] += one
            else:
                self.before.append(one)

    def delete_before(self):
        self.before = self.before[:-1]

    def delete_under(self):
        self.after = self.after[1:]

    def delete_to_begin(self):
        self.before = []

    def delete_to_end(self):
        self.after = []

    def left(self):
        self.after = self.before[-1:] + self.after
        self.before = self.before[:-1]

    def right(self):
        self.before += self.after[:1]
        self.after = self.after[1:]

    def home(self):
        self.before, self.after = [], self.text

    def end(self):
        self.before, self.after = self.text, []

    def _is_word(self, character):
        return character.strip() != ""

    def word_left(self):
        while self.before and not self._is_word(self.before[-1]):
            self.left()
        while self.before and self._is_word(self.before[-1]):
            self.left()

    def word_right(self):
        while self.after and not self._is_word(self.after[0]):
            self.right()
        while self.after and self._is_word(self.after[0]):
            self.right()

    def delete_word(self):
        count = len(self.after)
        self.word_left()
        self.after = self.after[len(self.after) - count :]

    def delete_next_word(self):
        count = len(self.before)
        self.word_right()
        self.before = self.before[:count]

    def older(self):
        if self.past:
            if not self.future:
                self.typed = self.text
            self.future.append(self.past.pop())
            self.before, self.after = list(self.future[-1]), []

    def newer(self):
        if self.future:
            self.past.append(self.future.pop())
            self.before, self.after = list(self.future[-1] if self.future else self.typed), []

    def clear(self):
        self.past += reversed(self.future)
        self.before, self.after, self.future = [], [], []

    def enter(self):
        text = self.text
        self.clear()
        if text and text != (self.past[-1] if self.past else None):
            self.past = [*self.past, text][-REMEMBERED:]
        return "".join(text)


OPERATIONS = st.one_of(
    st.lists(st.sampled_from(CHARACTERS), min_size=1, max_size=6),
    st.just([ACUTE]),
    st.sampled_from([*METHODS.values(), "enter", "clear"]),
    st.sampled_from(["left", "right", "older", "newer", "enter"]),
)


@settings(max_examples=300)
@given(st.lists(OPERATIONS, max_size=40))
def test_a_line_is_what_a_naive_one_is(operations):
    """Whatever is done to a line, it is that of somebody who counts on their fingers."""
    line, typist = EditLine(100_000), Typist()
    for operation in operations:
        if isinstance(operation, list):
            line.insert("".join(operation))
            typist.insert(operation)
        else:
            assert getattr(line, operation)() == getattr(typist, operation)()
        assert (line.characters, line.cursor) == (typist.text, len(typist.before)), operation


def typed(*pieces, limit=1024):
    """Give what is found on a screen when pieces are pressed one by one."""
    screen = Screen(limit, lambda _: None, lambda: "> ")
    return [found for piece in pieces for found in drain(screen, piece)]


@pytest.mark.parametrize("character", CHARACTERS)
def test_what_people_call_a_character_is_one(character):
    """The cursor goes over it in one step, and one key deletes it, whole."""
    data = character.encode()
    assert typed(b"x" + data + LEFT + LEFT + b"y\r") == [b"yx" + data]
    assert typed(b"x" + data + BACKSPACE + b"y\r") == [b"xy"]
    assert typed(b"x" + data + LEFT + b"\x1b[3~y\r") == [b"xy"]
    assert typed(*bytewise(b"x" + data + BACKSPACE + b"y\r")) == [b"xy"]
    assert typed(*[one.encode() for one in character], b"\r") == [data]


def test_a_joiner_may_come_alone():
    """A keyboard sends it by itself, as that for Persian does: it is judged in the whole line."""
    word = "می\u200cخواهم"
    assert typed(*[one.encode() for one in word], b"\r") == [word.encode()]
    assert sanitize(word) == word


def test_a_mark_joins_what_is_before_the_cursor():
    """One that is typed later sits on that character, in the middle of a line as well."""
    assert typed(b"ab", LEFT, ACUTE.encode(), BACKSPACE, b"\r") == [b"b"]
    assert typed(ACUTE.encode(), b"e", HOME, b"\x06" + BACKSPACE, b"\r") == [b"e"]


def test_what_is_as_wide_as_a_screen_is_no_character():
    """Letters that make one endless character are several, which fit on any screen."""
    for letter in ("\u1100", "\u0600"):
        line = EditLine(1000)
        line.insert(letter * 100)
        assert line.characters == [letter] * 100
        line.insert(letter * 50 + "a")
        assert max(map(width, line.characters)) <= NARROWEST
        assert line.enter() == letter * 150 + "a"


def test_words():
    """A word goes as far as there is no blank."""
    assert typed(b"one two  \x17three\r") == [b"one three"]
    assert typed(b"one two\x1bb\x1bbzero \x1bf,\r") == [b"zero one, two"]
    assert typed(b"one two three\x01\x1bd\x1bd\r") == [b" three"]


# The past


def test_lines_are_recalled():
    """Up and down go through what was entered, and come back to what was being typed."""
    past = b"one\rtwo\r"
    found = [b"one", b"two"]
    assert typed(past, UP, b"\r") == [*found, b"two"]
    assert typed(past, UP, UP, b"!\r") == [*found, b"one!"]
    assert typed(past, UP * 5, DOWN, b"\r") == [*found, b"two"]
    assert typed(past, b"thr", UP, UP, DOWN, DOWN, DOWN, b"ee\r") == [*found, b"three"]
    assert typed(past, UP, UP, b"\r", UP, UP, b"\r") == [*found, b"one", b"two"]


def test_a_line_entered_twice_is_remembered_once():
    """Saying the same again and again leaves the past as it is."""
    assert typed(b"one\rtwo\rtwo\rtwo\r", UP, UP, b"\r")[-1] == b"one"
    assert typed(b"one\rtwo\rone\r", UP, UP, b"\r")[-1] == b"two"


def test_empty_lines_are_nothing():
    """They are neither found nor remembered."""
    assert typed(b"\r\n\r\rone\r\r\r", UP, b"\r") == [b"one", b"one"]


def test_the_past_is_bounded():
    """So many lines are remembered; the oldest are forgotten."""
    lines = [b"%d" % number for number in range(REMEMBERED + 20)]
    assert typed(b"".join(line + b"\r" for line in lines), UP * 1000, b"\r")[-1] == lines[20]


def test_after_an_interrupt_the_newest_line_is_the_first_again():
    """Ctrl-C leaves the past, and forgets what was being typed."""
    assert typed(b"one\rtwo\r", UP, UP, b"\x03", UP, b"\r")[-1] == b"two"
    assert typed(b"one\r", b"old", UP, b"\x03new", UP, DOWN, b"\r")[-1] == b"new"


# The limit


def bells(*pieces, limit=10):
    """Give how often the bell rings, and what is found."""
    written = []
    screen = Screen(limit, written.append, lambda: "> ")
    found = [found for piece in pieces for found in drain(screen, piece)]
    return b"".join(written).count(b"\a"), found


def test_a_line_holds_its_limit_exactly():
    """One more byte rings the bell, Enter then says so, and Up gives what there was room for."""
    assert bells(b"0123456789", b"\r") == (0, [b"0123456789"])
    assert bells(b"0123456789", b"x", b"\rok\r") == (1, [TOO_LONG, b"ok"])
    assert bells(b"0123456789x\r", UP, b"\r") == (1, [TOO_LONG, b"0123456789"])
    assert bells("日本日本\r".encode(), UP, b"\r") == (1, [TOO_LONG, "日本日".encode()])
    assert bells(b"0123456789", HOME, "é".encode(), b"\r", UP, b"\r")[1][1] == b"0123456789"
    assert bells("👍🏽".encode(), b"\r", limit=3) == (1, [TOO_LONG])


def test_room_comes_back():
    """What is deleted makes room for as many bytes."""
    assert bells("日本日".encode(), BACKSPACE * 2, "é12345\r".encode()) == (
        0,
        ["日é12345".encode()],
    )
    assert bells(b"0123456789", KILL, b"9876543210\r") == (0, [b"9876543210"])


def test_a_line_that_was_too_long_and_is_gone_is_not_held_against_the_next():
    """Whoever deletes all of it, or leaves it, begins anew."""
    for key in (KILL, b"\x17", BACKSPACE * 10, b"\x03", DOWN + KILL):
        assert bells(b"0123456789x", key, b"ok\r") == (1, [b"ok"]), key
    assert bells(b"one\r", b"0123456789x", UP, b"\r") == (1, [b"one", b"one"])


def test_a_byte_that_is_no_text_counts_once():
    """It is shown as U+FFFD, which has three bytes of its own."""
    assert bells(b"\xff" * 10 + b"\r") == (0, ["\ufffd".encode() * 10])
    assert bells(b"\xff" * 11 + b"\r") == (1, [TOO_LONG])


def test_a_limit_that_changes():
    """A line that is longer than what is allowed by now takes nothing more."""
    written = []
    screen = Screen(10, written.append, lambda: "> ")
    assert drain(screen, b"0123456789") == []
    screen.allow(4)
    assert drain(screen, b"0123456789\r") == [TOO_LONG]
    assert drain(screen, UP + b"\r") == [b"0123456789"]
    assert drain(screen, b"0123\r01234\r") == [b"0123", TOO_LONG]


@settings(max_examples=100)
@given(PRESSED, st.integers(0, 20))
def test_no_line_is_longer_than_its_limit(data, limit):
    """Whatever is pressed, a line that is found counts for no more bytes than it may."""
    for line in typed(data + b"\r", limit=limit):
        if isinstance(line, bytes):
            assert len(line) - 2 * line.decode().count("\ufffd") <= limit


# The screen


class Glass(pyte.Screen):
    """A screen where a mark sits on a character that is the last of its row, as everywhere else."""

    def draw(self, data):
        for one in data:
            if combining(one) and self.cursor.x == self.columns:
                row = self.buffer[self.cursor.y]
                last = row[self.columns - 1]
                begin = self.columns - 1 if last.data else self.columns - 2
                text = normalize("NFC", row[begin].data + one)
                row[begin] = row[begin]._replace(data=text)
            else:
                super().draw(one)


class Desk:
    """A screen that somebody sits at, and a terminal for it."""

    def __init__(self, columns=80, rows=24, prompt="[ann] ", limit=1024):
        self.prompt = prompt
        self.written = b""
        self.glass = Glass(columns, rows)
        self._stream = pyte.ByteStream(self.glass)
        self.screen = Screen(limit, self._write, lambda: self.prompt, columns, rows)
        self.press(b"")

    def _write(self, data):
        self.written += data
        self._stream.feed(data)

    def press(self, data):
        return drain(self.screen, data)

    def hear(self, *lines):
        self._write(self.screen.beside("".join(f"{line}\r\n" for line in lines).encode()))

    def resize(self, columns, rows):
        self.glass.resize(rows, columns)
        self.screen.resize(columns, rows)

    @property
    def rows(self):
        """What stands on the screen, but for what is empty below."""
        return "\n".join(row.rstrip() for row in self.glass.display).rstrip("\n").split("\n")

    @property
    def cursor(self):
        return self.glass.cursor.y, self.glass.cursor.x


def cells(character):
    """Give how many columns a character of those in these tests takes."""
    return 2 if character[0] in "日本" else 1


def wrapped(characters, columns):
    """Give the rows that characters take."""
    rows, room = [""], columns
    for one in characters:
        if cells(one) > room:
            rows, room = [*rows, ""], columns
        rows[-1] += one
        room -= cells(one)
    return rows


class Expected:
    """What has to stand on a screen."""

    def __init__(self, columns, height, prompt):
        self.columns, self.height = columns, height
        self.prompt = list(prompt)
        self.typist = Typist()
        self.above = []
        self.top = 0
        """How many rows have gone up and away, which do not come back."""

    def typing(self):
        """Give the rows of the line, and where among them the cursor is."""
        typist = self.typist
        rows = wrapped(self.prompt + typist.text, self.columns)
        # The cursor is where the next character is, or would be.
        under = typist.after[0] if typist.after else "x"
        to_cursor = wrapped([*self.prompt, *typist.before, under], self.columns)
        at = len(to_cursor) - 1
        rows += [""] * (at + 1 - len(rows))
        return rows, at, sum(map(cells, normalize("NFC", to_cursor[-1]))) - cells(under)

    @property
    def is_too_much(self):
        """Whether the line has more rows than are shown."""
        self_at_end = deepcopy(self)
        self_at_end.typist.end()
        return len(self_at_end.typing()[0]) > self.height - 1

    def hear(self, *lines):
        for line in lines:
            self.above += wrapped(line, self.columns)

    def enter(self):
        self.above += wrapped(self.prompt + self.typist.text, self.columns)
        self.typist.enter()

    def redraw(self):
        self.above, self.top = [], 0

    def check(self, desk):
        typing, row, column = self.typing()
        rows = self.above + typing
        self.top = max(self.top, len(rows) - self.height)
        rows = [normalize("NFC", one).rstrip() for one in rows[self.top :]]
        rows += [""] * (self.height - len(rows))
        assert [one.rstrip() for one in desk.glass.display] == rows
        assert desk.cursor == (len(self.above) + row - self.top, column)


ON_SCREEN = ["a", "B", " ", f"e{ACUTE}", "日", "本", *"xyz"]
HAPPENINGS = st.one_of(
    st.lists(st.sampled_from(ON_SCREEN), min_size=1, max_size=30),
    st.sampled_from([*METHODS, Key.REDRAW]),
    st.sampled_from([Key.LEFT, Key.BACKSPACE, Key.HOME, Key.END, Key.OLDER, Key.ENTER, Key.ENTER]),
    st.lists(st.floats(0, 3), min_size=1, max_size=3).map(tuple),
)


@settings(max_examples=400)
@given(
    st.sampled_from([4, 20, 37, 80]),
    st.sampled_from([6, 24]),
    st.sampled_from(["[ann] ", "[日e] ", ""]),
    st.lists(HAPPENINGS, max_size=30),
)
@example(20, 6, "[ann] ", [["a"] * 14, Key.HOME, Key.ENTER, ["a"] * 14, Key.ENTER, (1.0, 2.0)])
@example(20, 6, "[ann] ", [["a"] * 13 + ["日"], Key.LEFT, (0.0,), Key.LEFT, Key.ENTER])
@example(4, 24, "", [["a"] * 4, Key.ENTER, ["日"] * 4, Key.HOME, (3.0, 0.5), Key.ENTER])
def test_the_screen_is_as_it_has_to_be(columns, height, prompt, happenings):
    """After all that is typed and heard each row is where it belongs, and so is the cursor."""
    desk, expected = Desk(columns, height, prompt), Expected(columns, height, prompt)
    for number, happening in enumerate(happenings):
        before = deepcopy(expected)
        if isinstance(happening, tuple):
            text = f"> bob: {number} " + "0123456789" * 25
            lines = [text[: int(part * columns)] for part in happening]
            desk.hear(*lines)
            expected.hear(*lines)
        elif isinstance(happening, list):
            expected.typist.insert(happening)
            if expected.is_too_much:
                expected = before
                continue
            desk.press("".join(happening).encode())
        elif happening in METHODS:
            getattr(expected.typist, METHODS[happening])()
            desk.press(SEQUENCES[happening][-1])
        else:
            entered = "".join(expected.typist.text).encode()
            expected.enter() if happening is Key.ENTER else expected.redraw()
            found = desk.press(SEQUENCES[happening][-1])
            assert found == ([entered] if happening is Key.ENTER and entered else [])
        expected.check(desk)


def test_others_do_not_speak_into_what_is_typed():
    """Lines that come go above the line that is being typed, which goes on as it was."""
    desk = Desk(20)
    desk.press(b"hello b" + LEFT)
    desk.hear("> bob: hi", "> bob: how are you these days")
    assert desk.rows == ["> bob: hi", "> bob: how are you t", "hese days", "[ann] hello b"]
    assert desk.cursor == (3, 12)
    assert desk.press(b"\x05ob\r") == [b"hello bob"]
    assert desk.rows[3:] == ["[ann] hello bob", "[ann]"]


def test_the_prompt_may_change():
    """What stands before the line is what it is by now, whoever brings it about."""
    desk = Desk()
    desk.press(b"hi")
    desk.prompt = "[anna] "
    desk.hear("> you are now known as anna")
    assert desk.rows == ["> you are now known as anna", "[anna] hi"]
    desk.prompt = "[a] "
    desk.press(b"!")
    assert desk.rows[1:] == ["[a] hi!"]
    assert desk.cursor == (1, 7)


def test_a_line_longer_than_the_screen():
    """As many rows as fit are shown, those around the cursor; what is above them stays."""
    text = "".join(f"row {number:02}...." for number in range(20))
    desk = Desk(10, 6, prompt="")
    desk.hear("> one", "> two", "> three")
    for one in bytewise(text.encode()):
        desk.press(one)
    assert desk.rows == ["> three", "row 16....", "row 17....", "row 18....", "row 19...."]
    assert desk.cursor == (5, 0)
    desk.press(HOME)
    assert desk.rows == ["> three", *wrapped(text, 10)[:5]]
    assert desk.cursor == (1, 0)
    desk.hear("> four")
    assert desk.rows == ["> four", *wrapped(text, 10)[:5]]
    for place in range(1, 100):
        desk.press(b"\x06")
        row, column = divmod(place, 10)
        assert desk.rows[0] == "> four"
        assert desk.cursor == (1 + min(row, 4), column)
        assert desk.rows[1 + min(row, 4)] == wrapped(text, 10)[row]
    desk.press(KILL)
    desk.press(b"\x0b")
    assert desk.rows == ["> four"]
    desk.press(b"hi")
    assert desk.rows == ["> four", "hi"]
    assert desk.press(KILL + text.encode() + b"\r") == [text.encode()]


def test_a_row_that_is_full():
    """The cursor is in the next row, and Enter leaves no empty one behind."""
    desk = Desk(10, 6)
    desk.press(b"1234")
    assert desk.cursor == (1, 0)
    assert desk.press(b"\r") == [b"1234"]
    assert desk.rows == ["[ann] 1234", "[ann]"]


def test_a_screen_too_narrow_for_a_prompt():
    """Columns and rows that there cannot be are not believed, and break nothing."""
    for columns, rows in ((0, 0), (1, 1), (0, 10**6), (10**6, 0), (10**6, 10**6)):
        desk = Desk(NARROWEST, 24)
        desk.hear("> on")
        desk.screen.resize(columns, rows)
        assert desk.press("日本日本日本 hello".encode() + HOME + b"x\x05") == []
        desk.hear("> tw")
        assert desk.press(b"y\r") == ["x日本日本日本 helloy".encode()]
        assert desk.rows[0] == "> on"
        assert "> tw" in desk.rows


@settings(max_examples=100)
@given(
    st.sampled_from([10, 11, 20, 40]),
    st.lists(
        st.tuples(st.sampled_from([10, 11, 20, 40]), st.booleans(), st.text("ab日", max_size=9)),
        max_size=10,  # as much as is shown whole on the narrowest
    ),
)
def test_a_screen_of_another_size(width_at_first, happenings):
    """Wider or narrower, the line is shown anew, and no row above it is taken away."""
    desk = Desk(width_at_first, 24)
    expected = Expected(width_at_first, 24, "[ann] ")
    for number, (columns, is_heard, text) in enumerate(happenings):
        desk.resize(columns, 24)
        expected.columns = columns
        expected.check(desk)
        if is_heard:
            desk.hear(f"> bob: {number}"[:10])
            expected.hear(f"> bob: {number}"[:10])
        expected.typist.insert(text)
        desk.press(text.encode())
        expected.check(desk)


def test_more_and_fewer_rows():
    """A line that is longer than the screen shows more of itself when there is more room."""
    desk = Desk(10, 4, prompt="")
    desk.press(b"a" * 95)
    assert desk.rows == ["a" * 10] * 2 + ["a" * 5]
    desk.resize(10, 24)
    assert desk.rows == ["a" * 10] * 9 + ["a" * 5]


# What is secret


def test_a_secret_is_not_shown():
    """Nothing is written for what is typed, wherever the cursor goes, but the prompt stays."""
    desk = Desk()
    desk.prompt = "[not shown] "
    desk.screen.conceal(True)
    assert desk.rows == ["[not shown]"]
    desk.written = b""
    for one in bytewise(b"secret" + LEFT + HOME + b"\x05" + UP + DOWN + BACKSPACE + b"t"):
        desk.press(one)
    assert desk.written == b""
    desk.hear("> bob: hi")
    assert desk.rows == ["> bob: hi", "[not shown]"]
    desk.press(b"\x0c")
    assert desk.rows == ["[not shown]"]
    desk.press(LEFT * 3)
    desk.hear("> bob: hi")
    assert desk.rows == ["> bob: hi", "[not shown]"]
    assert desk.cursor == (1, 12)
    assert desk.press(b"\r") == [b"secret"]
    assert re.sub(rb"\x1b\[\d*\w|> bob: hi|\[not shown\] |\r|\n", b"", desk.written) == b""


def test_a_secret_is_not_remembered():
    """Neither in its own line nor later does up give one, nor does a secret line give the past."""
    desk = Desk()
    desk.press(b"one\r")
    desk.screen.conceal(True)
    assert desk.press(UP + b"secret" + UP + DOWN + b"\r") == [b"secret"]
    desk.screen.conceal(False)
    assert desk.press(UP + b"\r") == [b"one"]
    assert desk.press(UP + UP + UP + b"\r") == [b"one"]


def test_a_secret_that_is_pasted_with_its_command():
    """One line is found at a time: what becomes of it decides whether the next one is shown."""
    desk = Desk()
    assert desk.screen.feed(b"/login ann\rsecret\rhello\r") == [b"/login ann"]
    assert desk.screen.behind
    desk.screen.conceal(True)
    assert desk.screen.feed(b"") == [b"secret"]
    desk.screen.conceal(False)
    assert desk.screen.feed(b"") == [b"hello"]
    assert not desk.screen.behind
    assert b"secret" not in desk.written
    assert desk.rows == ["[ann] /login ann", "[ann]", "[ann] hello", "[ann]"]
    assert desk.press(UP + UP + b"\r") == [b"/login ann"]


# Signals


def test_ctrl_c():
    """It takes away what is typed; if that is nothing, it is told."""
    desk = Desk()
    assert desk.press(b"hello" + LEFT + b"\x03") == []
    assert desk.rows == ["[ann]"]
    assert desk.press(b"\x03") == [INTERRUPT]
    assert desk.press(b"a\x03b\x03\x03c\r") == [INTERRUPT, b"c"]


def test_ctrl_d():
    """It deletes what is under the cursor, and in an empty line it is the end."""
    desk = Desk()
    assert desk.press(b"hello" + HOME + b"\x04\x05\x04\r") == [b"ello"]
    assert desk.press(b"\x04") == [END_OF_INPUT]
    assert desk.press(b"a\x01\x04\x04") == [END_OF_INPUT]


def test_ctrl_l():
    """It leaves the line alone on the screen, and the line as it was."""
    desk = Desk(20)
    desk.hear("> one", "> two")
    desk.press(b"hello" + LEFT + b"\x0c")
    assert desk.rows == ["[ann] hello"]
    assert desk.cursor == (0, 10)
    desk.hear("> three")
    assert desk.rows == ["> three", "[ann] hello"]


def test_the_end_comes_after_all_that_was_typed():
    """Input that has ended is worked off line by line, and then the end is told, once."""
    for terminal in terminals(lambda _: None):
        assert terminal.feed(b"one\rtwo\r" + LEFT * (2 * KEYS_A_TURN) + b"three\rfour") == [b"one"]
        terminal.end()
        assert drain(terminal, b"") == [b"two", b"three", END_OF_INPUT]
        assert not terminal.behind
        assert terminal.feed(b"") == []


def test_the_end_comes_after_the_last_line():
    """A line and the end are not found at once, as what becomes of the line may take its time."""
    for terminal in terminals(lambda _: None):
        assert terminal.feed(b"one\rtwo\r") == [b"one"]
        terminal.end()
        assert [terminal.feed(b""), terminal.feed(b"")] == [[b"two"], [END_OF_INPUT]]


def test_the_end_of_nothing():
    """Somebody who types nothing and goes is gone at once."""
    for terminal in terminals(lambda _: None):
        terminal.end()
        assert terminal.behind
        assert terminal.feed(b"") == [END_OF_INPUT]
        assert not terminal.behind


def test_finishing():
    """What was being typed is taken away, and the next that is shown begins a row."""
    desk = Desk(10)
    desk.hear("> bye")
    desk.press(b"hello you" + HOME)
    desk._write(desk.screen.finish() + b"$")
    assert desk.rows == ["> bye", "$"]


# Paper


class Sheet(Desk):
    """A terminal that can take nothing back, drawn on one that can."""

    def __init__(self, columns=80, rows=24, limit=1024):
        self.written = b""
        self.glass = Glass(columns, rows)
        self._stream = pyte.ByteStream(self.glass)
        self.screen = Paper(limit, self._write, echoes=True, line_end=b"\r\n")


def test_paper_shows_what_is_typed():
    """What is typed is echoed, and what is deleted is blanked out, column by column."""
    sheet = Sheet()
    for one in bytewise("a日é".encode()):
        sheet.press(one)
    assert sheet.written == "a日é".encode()
    sheet.written = b""
    sheet.press(BACKSPACE)
    assert sheet.written == b"\b \b"
    sheet.press(BACKSPACE)
    assert sheet.written == b"\b \b" * 3
    assert sheet.cursor == (0, 1)
    assert sheet.rows == ["a"]
    assert sheet.press(b"bc\r") == [b"abc"]
    assert sheet.press(b"one two\x17\x17three\x15four\r") == [b"four"]
    assert sheet.rows == ["abc", "four"]


def test_a_mark_on_paper():
    """What gets a mark is shown anew."""
    sheet = Sheet()
    sheet.press(b"ae")
    sheet.written = b""
    sheet.press(ACUTE.encode())
    assert sheet.written == f"\b \be{ACUTE}".encode()
    assert sheet.rows == ["aé"]


def test_others_speak_while_somebody_types_on_paper():
    """The half line stays where it is, and the next key shows all of it below."""
    sheet = Sheet()
    sheet.hear("> bob: one")
    sheet.press(b"hel")
    sheet.hear("> bob: two", "> bob: three")
    assert sheet.rows == ["> bob: one", "hel", "> bob: two", "> bob: three"]
    sheet.hear("> bob: four")
    sheet.press(b"l")
    assert sheet.rows[4:] == ["> bob: four", "hell"]
    assert sheet.press(b"o\r") == [b"hello"]
    sheet.press(b"hi")
    sheet.hear("> bob: five")
    assert sheet.press(b"\r") == [b"hi"]
    assert sheet.rows[5:] == ["hello", "hi", "> bob: five", "hi"]
    sheet.hear("> bob: six")
    assert sheet.rows[9:] == ["> bob: six"]


def test_a_secret_on_paper():
    """Only that the line is over is shown."""
    sheet = Sheet()
    sheet.screen.conceal(True)
    assert sheet.press(b"sec" + BACKSPACE + b"cret") == []
    assert sheet.written == b""
    sheet.hear("> bob: hi")
    assert sheet.press(b"\r") == [b"secret"]
    assert sheet.written == b"> bob: hi\r\n\r\n"
    sheet.screen.conceal(False)
    assert sheet.press(b"ok\r") == [b"ok"]
    assert sheet.written == b"> bob: hi\r\n\r\nok\r\n"


def test_keys_that_paper_does_not_have():
    """There is no cursor to be moved, and no past to be shown: they do nothing."""
    sheet = Sheet()
    assert sheet.press(b"one\r") == [b"one"]
    assert sheet.press(b"a\x1b[D\x01\x02\x1bbb\x0c\x04\x10\x1b[A\x0b\r") == [b"ab"]
    assert sheet.rows == ["one", "ab"]
    assert sheet.press(b"\x03\x04") == [INTERRUPT, END_OF_INPUT]
    assert sheet.press(b"abc\x03\r") == []


def test_a_program_hears_lines_and_nothing_else():
    """Without an echo nothing is written but what others say, with the line end that is wanted."""
    written = []
    paper = Paper(10, written.append, echoes=False, line_end=b"\n")
    assert drain(paper, "héllo\rtwo".encode()) == ["héllo".encode()]
    assert paper.beside(b"> bob: one\r\n> bob: two\r\n") == b"> bob: one\n> bob: two\n"
    paper.conceal(True)
    paper.resize(10, 10)
    assert drain(paper, b"\x7f\x7f\x0c" + UP + b"\n") == [b"t"]
    paper.conceal(False)
    assert paper.finish() == b""
    assert written == []


@settings(max_examples=100)
@given(PRESSED)
@example("\ufe00\u20d0\0\ufe00\u20d0".encode())
def test_paper_is_sent_no_sequences(data):
    """Whatever is pressed, only text, blanks, backspaces, line ends and bells are written."""
    sheet = Sheet(limit=50)
    sheet.press(data)
    sheet.hear("> bob: hi")
    sheet.press(b"x" + data)
    rest = re.sub("\r\n|\b \b|\a", "", sheet.written.decode())
    assert not ACTING.search(rest)  # how many marks may be piled up is judged in the whole line


# What goes to the screen


ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
OURS = re.compile(r"\x1b\[[1-9]\d*[AC]|\x1b\[J|\x1b\[H\x1b\[2J|\r|\n|\a")


@settings(max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=()), max_size=20),
            st.sampled_from(
                ["\x9b31m", "\x1b]0;x\x07", "\x1b[2J", "\u202e", "\u2066", "\x85", "\r"]
            ),
        ),
        max_size=8,
    )
)
def test_nothing_that_is_typed_acts_on_the_screen(pieces):
    """No control and no override is written but what the screen itself has need of."""
    desk = Desk(20, 6)
    for piece in pieces:
        desk.press(piece.encode("utf-8", "surrogatepass"))
    assert not ACTING.search(OURS.sub("", desk.written.decode()))


# Work


PAST = b"".join(b"%d" % number * 300 + b"\r" for number in range(REMEMBERED))


@pytest.mark.parametrize(
    ("pressed", "keys"),
    [
        (b"\x01", 1),
        (b"a\x01", 2),
        (b"\x17", 1),
        (b"a\x17", 2),
        (b"\x10\x0e", 2),
        (b"\x1b[A", 1),
        (ACUTE.encode() + b"\x05", 2),
        ("日\x01".encode(), 2),
        (b"\x1b[5~", 1),
        (b"\x00", 1),
        (b"\r", 1),
    ],
)
def test_one_turn_looks_at_so_many_keys(pressed, keys):
    """A chunk full of keys is worked off in steps, each of which is bounded."""
    count = 32_000 // len(pressed)
    written = []
    screen = Screen(1024, written.append, lambda: "> ")
    drain(screen, PAST)
    steps = 0
    with patch.object(Keyboard, "take", autospec=True, side_effect=Keyboard.take) as take:
        assert screen.feed(pressed * count) == []
        while screen.behind:
            steps += 1
            assert take.call_count == steps * KEYS_A_TURN
            assert screen.feed(b"") == []
        assert take.call_count == count * keys
    assert steps + 1 == ceil(count * keys / KEYS_A_TURN)


def test_text_is_looked_at_as_a_whole():
    """A chunk without keys is one step, however little of it there is room for."""
    for text in ("a", "日", "\u200d", "\u1100", "\u202e"):
        desk = Desk(limit=100)
        assert desk.screen.feed(text.encode() * 10_000) == []
        assert not desk.screen.behind
        assert desk.press(b"\rok\r") == [TOO_LONG, b"ok"]


def test_one_line_is_found_at_a_time():
    """A chunk full of lines takes as many steps as there are lines."""
    for terminal in terminals(lambda _: None):
        found = [terminal.feed(b"a\r" * 1000)]
        while terminal.behind:
            found.append(terminal.feed(b""))
        assert found == [[b"a"]] * 1000
