"""What must hold of any bytes, tried on those that were worth keeping, and on others like them."""

import random
from pathlib import Path

import pytest
from fuzz.targets import TARGETS

from twisted_chat.doors.tcp import ChatFactory
from twisted_chat.wire import proxy, terminal
from twisted_chat.wire.delivery import Delivery
from twisted_chat.wire.jsonlines import Message
from twisted_chat.wire.keys import Keyboard
from twisted_chat.wire.telnet import Scanner

CORPUS = Path(__file__).with_name("fuzz") / "corpus"
CHANGED = 200
"""How many that were changed are tried of each target."""


def corpus(target: str) -> list[bytes]:
    return [one.read_bytes() for one in sorted((CORPUS / target).iterdir())]


def changed(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Change a few places: something goes, comes twice, or is another's."""
    for _ in range(chance.randrange(1, 4)):
        begin, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        middle = chance.choice(
            (b"", data[begin:end] * 2, other[begin:end], chance.randbytes(chance.randrange(1, 5)))
        )
        data = data[:begin] + middle + data[end:]
    return data


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_worth_keeping(target):
    """All of it holds, of all that is kept."""
    kept = corpus(target)
    assert kept
    for data in kept:
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_others_like_them(target):
    """It holds as well of what is changed a little, always in the same way."""
    chance, kept = random.Random(target), corpus(target)
    for _ in range(CHANGED):
        TARGETS[target](changed(chance, chance.choice(kept), chance.choice(kept)))


BROKEN = {
    "telnet": (Scanner, "_take_back_line", lambda scanner: None),
    "keys": (Keyboard, "has_more", True),
    "terminal": (terminal, "sanitize", str),
    "proxy": (proxy, "parse", lambda data: proxy.Header(len(data))),
    "json": (Message, "of", lambda data: Message(data.decode("latin-1"))),
    "session": (Delivery, "to_room", lambda *what: None),
    **{
        f"{door}-door": (ChatFactory, "left", lambda *what: None)
        for door in ("telnet", "json", "page", "proxy", "ssh")
    },
}
"""Something of each that would be wrong."""


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_broken_is_noticed(monkeypatch, target):
    """Something kept shows it: otherwise the targets would hold of anything."""
    monkeypatch.setattr(*BROKEN[target])
    with pytest.raises((AssertionError, LookupError, ValueError)):
        test_what_was_worth_keeping(target)


def test_the_corpus_is_small_and_nobody_elses():
    """Each directory of it is a target's; together they are no burden."""
    assert {one.name for one in CORPUS.iterdir()} == {*TARGETS}
    files = [one for one in CORPUS.rglob("*") if one.is_file()]
    assert len(files) < 300
    assert sum(one.stat().st_size for one in files) < 300_000
