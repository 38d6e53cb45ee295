"""Typed text: what reaches another terminal, and what does not."""

import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twisted_chat.chat.sanitize import sanitize

UNSAFE = [
    *map(chr, (*range(0x09), *range(0x0A, 0x20), *range(0x7F, 0xA0))),
    *"\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff",
    *map(chr, range(0xE0000, 0xE0080)),
    *("\ud800", "\udbff", "\udc00", "\udfff"),
]
JOINERS = "\u200c\u200d"
KEPT = {
    "plain": "hello, world ~ {|}",
    "accents": "naïve Ærøskøbing, cafe\u0301",
    "Persian": "می\u200cخواهم",
    "Hindi": "क\u094d\u200dष",
    "Sinhala": "ශ\u0dca\u200dර\u0dd3",
    "emoji family": "👩\u200d👩\u200d👧",
    "emoji with variation selectors": "👁\ufe0f\u200d🗨\ufe0f",
    "keycap": "1\ufe0f\u20e3",
    "Thai": "น\u0e49\u0e33 ก\u0e47",
    "three marks": "e\u0301\u0302\u0303x\u0301\u0302\u0303",
    "marks that are no letter's": "\u0301\u0302\u0303",
    "Hebrew and Arabic": "שלום, مرحبا",
    "no-break space": "a\u00a0b",
    "replacement": "a\ufffdb",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT.keys())
def test_what_people_write_is_kept(text):
    """Text in any script reaches the others as it was typed."""
    assert sanitize(text) == text


def test_a_tab_becomes_a_blank():
    """A tab is one blank."""
    assert sanitize("\ta\t\tb") == " a  b"
    assert sanitize("é\t") == "é "


def test_what_acts_on_a_terminal_is_replaced():
    """Every control, separator, override and tag is shown as U+FFFD, whatever it stands by."""
    for one in UNSAFE:
        for before, after in (("", ""), ("a", "b"), ("é", "ü")):
            assert sanitize(f"{before}{one}{after}") == f"{before}\ufffd{after}"
    assert sanitize("\x1b[2J\x9b31m") == "\ufffd[2J\ufffd31m"


def test_the_neighbours_of_what_is_replaced_are_kept():
    """What stands right beside a range of unsafe characters is left alone."""
    for one in " ~\u00a0\u2027\u202f\u2065\u206a\ufefe\uff00\ud7ff\ue000\U000e0080":
        assert sanitize(f"a{one}é") == f"a{one}é"


@pytest.mark.parametrize("joiner", JOINERS)
def test_joiners_stay_between_letters_that_are_not_ascii(joiner):
    """A joiner beside ASCII, or at an end of the line, is replaced."""
    assert sanitize(f"é{joiner}é") == f"é{joiner}é"
    for before, after in (("", ""), ("a", "b"), ("é", "b"), ("a", "é"), ("", "é"), ("é", "")):
        assert sanitize(f"{before}{joiner}{after}") == f"{before}\ufffd{after}"
    assert sanitize(f"a{joiner * 2}é") == f"a\ufffd{joiner}é"


@pytest.mark.parametrize("mark", ["\u0301", "\u0e47", "\u0903", "\u20dd", "\ufe0f", "\U000e0100"])
def test_marks_do_not_pile_up(mark):
    """Three combining marks in a row are the most there are, of whatever combining class."""
    assert sanitize("x" + mark * 3) == "x" + mark * 3
    assert sanitize("x" + mark * 4) == "x" + mark * 3
    assert sanitize("x" + mark * 500 + "y" + mark * 4) == "x" + mark * 3 + "y" + mark * 3
    assert sanitize(mark * 4) == mark * 3


@pytest.mark.parametrize("between", ["\u200d", "\u200c", "\u200b", "\u2060", "\u00ad"])
def test_what_takes_no_room_does_not_begin_another_pile(between):
    """Marks pile up on one character although something invisible stands among them."""
    assert sanitize(f"é\u0316\u0317{between}\u0318\u0319é") == f"é\u0316\u0317{between}\u0318é"
    assert sanitize("é" + f"\u0316{between}" * 50 + "é").count("\u0316") == 3


def test_a_joiner_left_alone_by_a_pile_is_replaced():
    """A joiner whose neighbour was cut off is judged by the neighbour it has then."""
    assert sanitize("\u0316\u0316\u0316\u200d\u0316a") == "\u0316\u0316\u0316\ufffda"


# Whatever may come

CHARACTERS = st.one_of(
    st.characters(exclude_categories=()),
    st.sampled_from([*UNSAFE, *JOINERS, "\t", "a", "é", "\u0301", "\u0e47", "\u0903", "\u200b"]),
)
TEXTS = st.text(CHARACTERS, max_size=30)


@settings(max_examples=500, deadline=None)
@given(TEXTS)
@example("\u0301\u200d\u0301\u200d\u0301\u200d\u0301\u200da")
def test_nothing_unsafe_comes_through(text):
    """Whatever is typed, nothing of the list is left, and nothing is left to do."""
    safe = sanitize(text)
    assert not set(safe) & {*UNSAFE, "\t"}
    assert not re.search(r"(^|[\x00-\x7f])[\u200c\u200d]|[\u200c\u200d]($|[\x00-\x7f])", safe)
    shape = "".join(unicodedata.category(one)[0] for one in safe)
    assert "MMMM" not in shape
    assert len(safe) <= len(text)
    assert sanitize(safe) == safe
    safe.encode()


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["C", "M", "Zl", "Zp"]), max_size=30))
def test_what_is_clean_is_unchanged(text):
    """Text without anything of the list comes through as it is."""
    assert sanitize(text) == text
