"""What must hold of the parts that cut and read what comes in."""

import json
import random
from collections.abc import Callable, Iterator
from ipaddress import ip_address

from twisted_chat.chat.sanitize import REPLACEMENT, sanitize
from twisted_chat.wire import proxy
from twisted_chat.wire.jsonlines import Hello, Message
from twisted_chat.wire.keys import SEQUENCE, Key, Keyboard
from twisted_chat.wire.telnet import Found, Scanner, Signal
from twisted_chat.wire.terminal import Paper, Screen

LINE = 40
"""Bytes in a line, here."""


def pieces(data: bytes) -> Iterator[bytes]:
    """Cut data in places that are always the same for the same data."""
    chance = random.Random(data)
    while data:
        length = chance.choice((1, 1, 2, 3, 7, 40))
        yield data[:length]
        data = data[length:]


def fed(scanner: Scanner, *data: bytes) -> list[Found]:
    """Give all that a scanner finds."""
    found = []
    for one in data:
        found += scanner.feed(one)
        while scanner.behind:
            found += scanner.feed(b"")
    return found


def telnet(data: bytes) -> None:
    """However it is cut, and moved to another process between, the same is found."""
    whole = fed(Scanner(LINE), data)
    assert fed(Scanner(LINE), *pieces(data)) == whole
    moved, found = Scanner(LINE), []
    for one in pieces(data):
        found += fed(moved, one)
        moved = Scanner.from_record(json.loads(json.dumps(moved.to_record())), LINE)
    assert found == whole
    for line in whole:
        if isinstance(line, bytes):
            assert 0 < len(line) <= LINE
            assert not {*b"\r\n\x08\x7f\x15"} & {*line}


def pressed(*data: bytes) -> list[str | Key]:
    """Give what is typed, texts that follow each other in one."""
    keyboard, found = Keyboard(), []
    for one in data:
        keyboard.feed(one)
        while keyboard.has_more:
            taken = keyboard.take()
            if isinstance(taken, str) and found and isinstance(found[-1], str):
                found[-1] += taken
            elif taken is not None:  # a key of ours
                found.append(taken)
    return found


def keys(data: bytes) -> None:
    """However they are cut, the same keys are pressed; a text has no control in it."""
    whole = pressed(data)
    for text in whole:
        assert not isinstance(text, str) or not {*map(chr, range(0x20)), "\x7f"} - {"\t"} & {*text}
    if len(data) <= SEQUENCE:  # a longer sequence is not waited for
        assert pressed(*(data[place : place + 1] for place in range(len(data)))) == whole


def terminal(data: bytes) -> None:
    """Whatever is typed, a line is text, and so is all that is shown but for a few controls."""
    shown = bytearray()
    kinds: list[Callable[[], Screen | Paper]] = [
        lambda: Screen(LINE, shown.extend, lambda: "$ ", 20, 5),
        lambda: Paper(LINE, shown.extend, echoes=True, line_end=b"\r\n"),
    ]
    for kind in kinds:
        typing = kind()
        for one in pieces(data):
            for found in fed(typing, one):
                _is_a_line(found)
            shown.extend(typing.beside(b"> ann: hello\r\n"))
        shown.extend(typing.finish())
        _is_harmless(bytes(shown))
        shown.clear()


def _is_a_line(found: Found) -> None:
    if isinstance(found, bytes):
        line = found.decode()
        assert len(found) - 2 * line.count(REPLACEMENT) <= LINE  # it stands for a single byte
        joined = line.translate(dict.fromkeys(map(ord, "\u200c\u200d"), "x"))  # judged later
        assert sanitize(joined) == joined
    else:
        assert isinstance(found, Signal)


def _is_harmless(shown: bytes) -> None:
    """See that there is nothing but text, and what moves the cursor and erases."""
    text = shown.decode()
    for sequence in ("\x1b[H\x1b[2J", "\x1b[J", "\r\n", "\r", "\a", "\b"):
        text = text.replace(sequence, "")
    while (begin := text.find("\x1b[")) >= 0:
        digits = text[begin + 2 :].rstrip()
        number = digits[: len(digits) - len(digits.lstrip("0123456789"))]
        assert number
        assert digits[len(number)] in "AC"
        text = text[:begin] + text[begin + 3 + len(number) :]
    assert not [one for one in text if ord(one) < 0x20 or 0x7F <= ord(one) < 0xA0]


def proxy_header(data: bytes) -> None:
    """It is read once it is whole, as the same from then on; or else it is refused for ever."""
    told: list[object] = []
    for end in range(len(data) + 1):
        try:
            told.append(proxy.parse(data[:end]))
        except ValueError as error:
            told.append(str(error))
    first = next((one for one in told if one is not None), None)
    assert told == [None] * told.count(None) + [first] * (len(told) - told.count(None))
    if isinstance(first, proxy.Header):
        assert told.count(None) == first.length
        assert 0 <= first.port < 65536
        assert not first.host or ip_address(first.host)
    elif isinstance(first, str):
        assert first.isprintable()


def json_message(data: bytes) -> None:
    """It is read, or refused in a line that shows nothing harmful."""
    for kind in (Message, Hello):
        try:
            read = kind.of(data)
        except ValueError as error:
            why = str(error)
        else:
            why = ""
            _reads_the_same(kind, read)
        assert sanitize(why) == why
        assert "\n" not in why


def _reads_the_same(kind: type[Message] | type[Hello], read: Message | Hello) -> None:
    """See that what was read, written again, is read alike."""
    missing = {"tag": None, "after": None, "key": ""}
    given = {name: one for name, one in read._asdict().items() if one != missing.get(name)}
    assert kind.of(json.dumps(given).encode()) == read
