"""The telnet scanner: the same lines, whatever the client and however its bytes were cut."""

import json
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twisted_chat.wire import telnet
from twisted_chat.wire.telnet import ANSWERS, STEP, SUBNEGOTIATION, Reply, Scanner, Signal

IAC, DONT, DO, WONT, WILL, SB, EL, EC, IP, BREAK, SE = (
    bytes((code,)) for code in (255, 254, 253, 252, 251, 250, 248, 247, 244, 243, 240)
)
NOP, GA = b"\xf1", b"\xf9"
TIMING_MARK = b"\x06"
TOO_LONG, INTERRUPT = Signal.TOO_LONG, Signal.INTERRUPT


def scan(*pieces, limit=1024):
    """Give what a scanner finds in pieces that arrive one by one."""
    scanner = Scanner(limit)
    return [found for piece in pieces for found in drain(scanner, piece)]


def drain(scanner, piece):
    """Give all that a piece completes, in as many steps as it takes."""
    found = scanner.feed(piece)
    while scanner.behind:
        found += scanner.feed(b"")
    return found


def bytewise(data, limit=1024):
    """Give what a scanner finds in bytes that arrive one at a time."""
    return scan(*(data[place : place + 1] for place in range(len(data))), limit=limit)


def finds(data, *expected, limit=1024):
    """Check what a scanner finds, all at once and byte by byte."""
    assert scan(data, limit=limit) == list(expected)
    assert bytewise(data, limit=limit) == list(expected)


# Lines


@pytest.mark.parametrize(
    "end", [b"\r\n", b"\n", b"\r\0", b"\r", b"\n\r\0", b"\n\r", b"\r\r\n", b"\r\n\r\n"]
)
def test_line_ends(end):
    """All four line ends, and the mixtures that PuTTY and others send, end one line."""
    finds(b"one" + end + b"two" + end, b"one", b"two")


def test_a_cr_at_the_end_of_a_segment():
    """A lone CR ends its line at once, and what pads it may come later or not at all."""
    for pad in (b"\n", b"\0", b""):
        scanner = Scanner(1024)
        assert scanner.feed(b"one\r") == [b"one"]
        assert scanner.feed(b"") == []
        assert scanner.feed(pad + b"two\r") == [b"two"]


def test_telnetlib3_and_nc():
    """Clients that end lines with a lone CR or LF are heard as soon as the line is there."""
    assert scan(b"/nick ann\r/join tea\rhi\r") == [b"/nick ann", b"/join tea", b"hi"]
    assert scan(b"/nick ann\n/join tea\nhi\n") == [b"/nick ann", b"/join tea", b"hi"]


def test_an_empty_line_is_nothing():
    """Line ends alone bring nothing."""
    finds(b"\r\n\n\r\0\r\r\n\n\n")


def test_a_nul_is_text_unless_it_pads_a_cr():
    """A NUL inside of a line is kept, for the sanitizer to show."""
    finds(b"a\0b\r\0\0c\r\n", b"a\0b", b"\0c")


def test_other_controls_are_left_to_the_sanitizer():
    """The scanner takes nothing out of a line but telnet and what edits it."""
    finds(
        b"\x1b[2J\t\x07\x85\xe2\x80\xa8\x0b\x0c\x1c\n", b"\x1b[2J\t\x07\x85\xe2\x80\xa8\x0b\x0c\x1c"
    )


def test_an_unfinished_line_waits():
    """What is not ended is not found, and is there when its end comes."""
    scanner = Scanner(1024)
    assert [scanner.feed(piece) for piece in (b"he", b"llo", b" ", b"you\r")] == [
        [],
        [],
        [],
        [b"hello you"],
    ]


def test_clean_lines_are_known_to_be_clean():
    """Lines are called clean only if they are printable ASCII, one and all."""
    scanner = Scanner(8)
    for piece, clean in (
        (b"hello\r\n", True),
        (b"h\xc3\xa9", False),
        (b"llo\n", False),  # with what came before
        (b"\n", True),
        (b"a\tb\n", False),
        (b"ab" + IAC, False),
        (NOP + b"c", False),
        (b"d\n", True),
        (b"123456789", True),  # too long: no line at all
        (b"and the rest\nok\n", False),
        (b"ok\n", True),
    ):
        scanner.feed(piece)
        assert scanner.clean is clean, piece


# Lines that are too long


@pytest.mark.parametrize("byte", [b"x", b"\xe9"])
def test_a_line_holds_its_limit_exactly(byte):
    """A line of just the limit is a line; one byte more is refused, and the next line is fine."""
    finds(byte * 10 + b"\r\nnext\r\n", byte * 10, b"next", limit=10)
    finds(byte * 11 + b"\r\nnext\r\n", TOO_LONG, b"next", limit=10)


@pytest.mark.parametrize("byte", [b"x", b"\xe9"])
def test_a_line_is_refused_once(byte):
    """An endless line is refused as soon as it is too long, once, and its rest is skipped."""
    scanner = Scanner(10)
    assert scanner.feed(byte * 10) == []
    assert scanner.feed(byte) == [TOO_LONG]
    for _ in range(5):
        assert scanner.feed(byte * 1000) == []
        assert len(scanner.to_record()["partial"]) <= 10
    assert scanner.feed(byte + b"\rok\r") == [b"ok"]


def test_each_line_is_refused_by_itself():
    """Among lines of one segment each that is too long is refused in its place."""
    finds(
        b"a\n" + b"b" * 11 + b"\nc\n" + b"d" * 11 + b"\n" + b"e" * 11,
        *[b"a", TOO_LONG, b"c", TOO_LONG, TOO_LONG],
        limit=10,
    )


def test_telnet_bytes_do_not_count():
    """Only what becomes part of a line counts against its limit."""
    finds((b"x" + IAC + NOP) * 10 + b"\n", b"x" * 10, limit=10)
    finds(b"x" * 10 + b"\x08" + b"y\n", b"x" * 9 + b"y", limit=10)
    finds(b"xxxxx\x15" * 10 + b"y\n", b"y", limit=10)


def test_a_line_that_is_too_long_can_be_taken_back():
    """Who takes back the whole line begins a new one; a single character is not enough."""
    for whole in (b"\x15", IAC + EL):
        finds(b"x" * 11 + whole + b"ok\n", TOO_LONG, b"ok", limit=10)
    for one in (b"\x08", b"\x7f", IAC + EC):
        finds(b"x" * 11 + one + b"lost\nok\n", TOO_LONG, b"ok", limit=10)


# Telnet


@pytest.mark.parametrize(
    "noise",
    [
        IAC + NOP,
        IAC + GA,
        IAC + SE,
        IAC + DONT + b"\x01",
        IAC + WONT + b"\n",
        IAC + SB + b"\x18\x00xterm\r\n/quit\r\n" + IAC + SE,
        IAC + SB + b"\x1f" + IAC + IAC + IAC + NOP + b"\r" + IAC + SE,
    ],
)
def test_telnet_never_reaches_the_chat(noise):
    """Telnet commands inside of a command's own word are taken out, and nothing is answered."""
    finds(b"/ni" + noise + b"ck bob\r" + noise + b"\nhi\r" + noise + b"\0", b"/nick bob", b"hi")


def test_what_agrees_to_conceal_is_not_answered():
    """Whoever says DO ECHO to our WILL is not told WONT, or the password would be shown."""
    scanner = Scanner(1024)
    scanner.concealed()
    assert scanner.feed(IAC + DO + b"\x01secret\r\n" + IAC + DONT + b"\x01") == [b"secret"]
    assert scanner.feed(IAC + DO + b"\x01") == [Reply(IAC + WONT + b"\x01")]
    scanner.concealed()
    scanner = Scanner.from_record(json.loads(json.dumps(scanner.to_record())), 1024)
    assert scanner.feed(IAC + DO + b"\x03" + IAC + DO + b"\x01") == [Reply(IAC + WONT + b"\x03")]


@pytest.mark.parametrize(("asked", "answer"), [(DO, WONT), (WILL, DONT)])
@pytest.mark.parametrize("option", [b"\x01", TIMING_MARK, b"\x22", b"\r", b"\n", b"\0", b"\xff"])
def test_options_are_refused(asked, answer, option):
    """Every DO is answered WONT and every WILL with DONT, TIMING-MARK too."""
    finds(b"h" + IAC + asked + option + b"i\n", Reply(IAC + answer + option), b"hi")


def test_answers_are_bounded():
    """An option storm is answered a hundred times on one connection, and then only taken out."""
    answers = [Reply(IAC + WONT + b"\x03"), Reply(IAC + DONT + b"\x03")] * (ANSWERS // 2)
    storm = (IAC + DO + b"\x03" + IAC + WILL + b"\x03") * 3000
    scanner = Scanner(1024)
    assert drain(scanner, storm) == answers
    assert drain(scanner, storm + b"hi\n") == [b"hi"]
    assert ANSWERS == 100


@pytest.mark.parametrize("command", [IP, BREAK])
def test_interrupts_are_signals(command):
    """Ctrl-C and Break are found in their place among the lines; the line goes on."""
    finds(
        b"one\nt" + IAC + command + IAC + DO + TIMING_MARK + b"wo\n",
        b"one",
        INTERRUPT,
        Reply(IAC + WONT + TIMING_MARK),
        b"two",
    )


def test_a_doubled_iac_is_a_byte():
    """IAC IAC is the byte 255, which is text and ends nothing."""
    finds(b"a" + IAC * 2 + b"b\r" + IAC * 2 + b"\0\n", b"a\xffb", b"\xff\0")


def test_padding_after_telnet_is_padding():
    """A telnet command between CR and its NUL changes nothing."""
    finds(b"a\r" + IAC + NOP + b"\0b\n", b"a", b"b")


def test_subnegotiation_ends():
    """IAC SE ends a subnegotiation wherever it is cut, and nothing else does."""
    data = b"a" + IAC + SB + b"x" + SE + IAC + DO + b"y" + IAC + SE + b"b\n"
    for cut in range(len(data)):
        assert scan(data[:cut], data[cut:]) == [b"ab"]


def test_a_subnegotiation_that_never_ends():
    """A subnegotiation swallows no more than its cap, and memory stays as it is."""
    scanner = Scanner(1024)
    assert scanner.feed(IAC + SB + b"x" * (SUBNEGOTIATION - 1)) == []
    assert scanner.feed(b"xhello\n") == [b"hello"]
    assert scan(IAC + SB + b"x" * SUBNEGOTIATION + b"hello\n") == [b"hello"]
    found = scan(IAC + SB + IAC * (3 * SUBNEGOTIATION) + b"\nhello\n", limit=10)
    assert found == [TOO_LONG, b"hello"]
    scanner = Scanner(1024)
    drain(scanner, IAC + SB + b"x" * 3 * SUBNEGOTIATION)
    assert len(json.dumps(scanner.to_record())) < 2048


def test_what_is_costly_is_scanned_in_steps():
    """A segment full of special bytes is put off in part, and the parts give the whole."""
    scanner = Scanner(1024)
    storm = b"a\x08" * STEP + b"ok\n"
    assert scanner.feed(storm) == []
    assert scanner.behind
    moved = Scanner.from_record(json.loads(json.dumps(scanner.to_record())), 1024)
    assert drain(scanner, b"more\n") == [b"ok", b"more"]
    assert drain(moved, b"more\n") == [b"ok", b"more"]
    assert not scanner.behind


# Editing


@pytest.mark.parametrize("back", [b"\x08", b"\x7f", IAC + EC])
@pytest.mark.parametrize(
    ("typed", "left"),
    [
        (b"ab", b"a"),
        ("aé".encode(), b"a"),
        ("a€".encode(), b"a"),
        ("a😀".encode(), b"a"),
        ("é😀".encode(), "é".encode()),
        ("😀é".encode(), "😀".encode()),
        ("a\u0301".encode(), b"a"),
        (b"a\xc3", b"a"),  # a character that is not complete
        (b"a\x80", b"a"),  # bytes that are none
        (b"a\x80\x80\x80\x80\x80", b"a\x80\x80\x80\x80"),
        (b"a\xff", b"a\xff"[:1]),
    ],
)
def test_one_character_is_taken_back(back, typed, left):
    """Backspace, DEL and EC take back one character, of however many bytes."""
    finds(typed.replace(IAC, IAC * 2) + back + b"!\n", left + b"!")


def test_nothing_is_taken_back_from_nothing():
    """At the beginning of a line there is nothing to take back; the line before is safe."""
    finds(b"one\n\x08\x7f\x15" + IAC + EC + IAC + EL + b"two\n", b"one", b"two")
    finds(b"a\x08\x08\x08b\x08\n")


@pytest.mark.parametrize("back", [b"\x15", IAC + EL])
def test_a_line_is_taken_back(back):
    """Ctrl-U and EL take back all of the line."""
    finds("one\r\nhéllo".encode() + back + b"two\r\n", b"one", b"two")


# However it is cut


class Model:
    """The same grammar as plainly as can be: a byte at a time."""

    def __init__(self, limit, answers, cap):
        self.limit, self.answers, self.cap = limit, answers, cap
        self.found, self.line = [], b""
        self.skipping = self.after_cr = False
        self.state = self.text
        self.verb = self.swallowed = 0

    def text(self, byte):
        after_cr, self.after_cr = self.after_cr, byte == b"\r"
        if byte == IAC:
            self.state, self.after_cr = self.command, after_cr
        elif byte in (b"\r", b"\n"):
            self.found += [self.line] if self.line else []
            self.clear()
        elif byte in (b"\x08", b"\x7f"):
            self.backspace()
        elif byte == b"\x15":
            self.clear()
        elif byte != b"\0" or not after_cr:
            self.add(byte)

    def command(self, byte):
        self.state = self.text
        if byte == IAC:
            self.after_cr = False
            self.add(byte)
        elif byte in (WILL, WONT, DO, DONT):
            self.verb, self.state = byte, self.option
        elif byte == SB:
            self.swallowed, self.state = 0, self.parameters
        elif byte in (IP, BREAK):
            self.found.append(INTERRUPT)
        elif byte == EC:
            self.backspace()
        elif byte == EL:
            self.clear()

    def option(self, byte):
        self.state = self.text
        if self.verb in (DO, WILL) and self.answers:
            self.answers -= 1
            self.found.append(Reply(IAC + (WONT if self.verb == DO else DONT) + byte))

    def parameters(self, byte):
        if self.swallowed == self.cap:
            self.state = self.text
            self.text(byte)
            return
        self.swallowed += 1
        if byte == IAC:
            self.state = self.parameters_end

    def parameters_end(self, byte):
        self.state = self.text if byte == SE else self.parameters

    def add(self, byte):
        if self.skipping:
            return
        self.line += byte
        if len(self.line) > self.limit:
            self.clear()
            self.skipping = True
            self.found.append(TOO_LONG)

    def backspace(self):
        self.line = self.line.decode("utf-8", "surrogateescape")[:-1].encode(
            "utf-8", "surrogateescape"
        )

    def clear(self):
        self.line, self.skipping = b"", False


def modelled(data, limit, answers, cap):
    """Give what there is to be found."""
    model = Model(limit, answers, cap)
    for place in range(len(data)):
        model.state(data[place : place + 1])
    return model.found


TELNET = st.one_of(
    st.sampled_from([IAC, IAC + IAC, IAC + NOP, IAC + IP, IAC + EC, IAC + EL, SE, IAC + SE]),
    st.tuples(st.just(IAC), st.sampled_from([DO, DONT, WILL, WONT]), st.binary(max_size=1)).map(
        b"".join
    ),
    st.tuples(st.just(IAC + SB), st.binary(max_size=12), st.sampled_from([b"", IAC + SE])).map(
        b"".join
    ),
)
ENDS = st.sampled_from([b"\r\n", b"\n", b"\r\0", b"\r", b"\0", b"\n\r\0"])
EDITS = st.sampled_from([b"\x08", b"\x7f", b"\x15"])
PLAIN = st.sampled_from([b"a", b"/nick bob", b" ", b"x" * 9, b"y" * 30])
LETTERS = st.sampled_from([*map(str.encode, "é€😀"), b"\xc3", b"\x80", b"\xf0\x9f", b"\x80" * 6])


def streams(*kinds):
    return st.lists(st.one_of(*kinds), max_size=25).map(b"".join)


STREAMS = streams(TELNET, ENDS, EDITS, PLAIN, LETTERS, st.binary(max_size=6))
CUTS = st.lists(st.integers(0, 200), max_size=12).map(sorted)
LIMITS = st.sampled_from([1, 8, 10, 40])


def pieces(data, cuts):
    """Cut ``data`` at some places; some pieces are empty."""
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def check(data, cuts, limit):
    """Check a scanner that is fed in pieces against the model, with and without records."""
    with patch.multiple(telnet, ANSWERS=4, SUBNEGOTIATION=10):
        scanner, moved = Scanner(limit), Scanner(limit)
        found, found_by_moved = [], []
        for piece in pieces(data, [cut for cut in cuts if cut <= len(data)]):
            new = scanner.feed(piece)
            found += new
            lines = [one for one in new if isinstance(one, bytes)]
            assert all(len(line) <= limit for line in lines)
            if scanner.clean:
                assert all(line.isascii() and line.decode().isprintable() for line in lines)
            moved = Scanner.from_record(json.loads(json.dumps(moved.to_record())), limit)
            found_by_moved += moved.feed(piece)
            assert len(moved.to_record()["partial"]) <= limit
    assert found == found_by_moved == modelled(data, limit, 4, 10)


@settings(max_examples=600, deadline=None)
@given(STREAMS, CUTS, LIMITS)
@example(b"a\r\0b\n", [2, 2], 8)
@example(IAC + SB + b"x" * 9 + IAC + IAC + b"ab\n", [12, 13], 8)
@example(b"123456789\x15ok\n", [9, 10], 8)
def test_cut_anywhere(data, cuts, limit):
    """Any bytes, cut anywhere and moved at any cut, bring what the model finds in them uncut."""
    check(data, cuts, limit)


@settings(max_examples=300, deadline=None)
@given(streams(ENDS.filter(lambda end: b"\0" not in end), PLAIN), CUTS, LIMITS)
def test_plain_text_cut_anywhere(data, cuts, limit):
    """Plain text takes a quicker way, which finds the same."""
    check(data, cuts, limit)


def test_a_record_of_a_process_with_longer_lines():
    """A line begun under a higher limit is never called clean, and does not grow any more."""
    before = Scanner(100)
    before.feed(b"x" * 50)
    scanner = Scanner.from_record(before.to_record(), 10)
    assert scanner.feed(b"\nok\n") == [b"x" * 50, b"ok"]
    assert not scanner.clean
    scanner = Scanner.from_record(before.to_record(), 10)
    assert scanner.feed(b"x") == [TOO_LONG]
    assert scanner.feed(b"\nok\n") == [b"ok"]
