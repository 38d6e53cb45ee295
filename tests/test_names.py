"""Names: what may be one, and which two are taken for each other."""

import sys
import unicodedata
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from town import Town

from twisted_chat.chat import names
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.sanitize import sanitize

# Two names of which only the first comer gets theirs: they differ in letter case or width ...
SAME = [
    ("Bob", "bob"),
    ("BOB", "bOb"),
    ("ｂｏｂ", "bob"),
    ("①", "1"),
    ("straße", "STRASSE"),
    ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
    ("ИВАН", "иван"),
    ("\u212aim", "kim"),  # the Kelvin sign
    ("\ufb01nn", "finn"),  # a ligature
    ("zoe\u0308", "zo\u00eb"),  # decomposed and composed
]
# ... or look alike ...
ALIKE = [
    ("аdmin", "admin"),  # with a Cyrillic a
    ("Iain", "lain"),
    ("modern", "modem"),
    ("modern", "moԁem"),
    ("\u0433nark", "mark"),  # a Cyrillic letter inside of what looks like an m
    ("pаypal", "paypal"),  # there is a letter that looks like "ay": the а is to be found still
    ("u1O", "u10"),
    ("O", "0"),
    ("l", "1"),
    ("I", "1"),
    ("I", "l"),
    ("|van", "lvan"),
    ("ѕсоре", "scope"),
    ("сос", "coc"),
    ("æsop", "aesop"),
    ("ƚ", "l\u0335"),
    ("oʼneil", "o'neil"),
]
# ... and two that can be had together.
DIFFERENT = [
    ("bob", "bobby"),
    ("u1", "u2"),
    ("ab", "ba"),
    ("a-b", "a_b"),
    ("bob", "bo"),
    ("amelie", "amélie"),
    ("иван", "иванна"),
    ("ольга", "олег"),
    ("й", "и"),
    ("田中", "中田"),
    ("王", "玉"),
    ("か", "が"),
    ("김", "임"),
    ("محمد", "محمود"),
    ("דוד", "דור"),
    ("ทอม", "ทิม"),
    ("राम", "रमा"),
    ("Άννα", "Άντα"),
]


def both_ways(town, pair):
    """Give the names of a pair in both orders, each time with two people who have none."""
    for first, second in (pair, pair[::-1]):
        guests = town.arrives(), town.arrives()
        yield first, second, *guests
        for guest in guests:
            guest.drops()


def refusal(make, text):
    """Give the words in which a name is refused."""
    with pytest.raises(ChatError) as refused:
        make(text)
    return str(refused.value)


@pytest.fixture(scope="module")
def town():
    return Town()


@pytest.fixture
def guests(town):
    both = [town.arrives(), town.arrives()]
    yield both
    for guest in both:
        guest.drops()


# Two names


@pytest.mark.parametrize("pair", SAME)
def test_the_same_name_is_taken(town, pair):
    """A name that differs in letter case or width alone is taken."""
    for taken, wanted, first, second in both_ways(town, pair):
        assert first.asks(f"/nick {taken}") == [
            f"> all right, I will call you {unicodedata.normalize('NFKC', taken)}"
        ]
        words = f'err: "{unicodedata.normalize("NFKC", wanted)}" is taken'
        assert second.asks(f"/nick {wanted}") == [words]


@pytest.mark.parametrize("pair", ALIKE)
def test_a_look_alike_is_refused(town, pair):
    """A name that looks like another cannot be had beside it, and one is told which."""
    for taken, wanted, first, second in both_ways(town, pair):
        assert first.asks(f"/nick {taken}") == [f"> all right, I will call you {taken}"]
        assert second.asks(f"/nick {wanted}") == [
            f'err: "{wanted}" looks like "{taken}", which is taken'
        ]


@pytest.mark.parametrize("pair", DIFFERENT)
def test_different_names_live_together(town, pair):
    """Names that nobody would mistake can be had by two people."""
    for taken, wanted, first, second in both_ways(town, pair):
        assert first.asks(f"/nick {taken}") == [f"> all right, I will call you {taken}"]
        assert second.asks(f"/nick {wanted}") == [f"> all right, I will call you {wanted}"]


def test_a_name_can_become_its_own_look_alike(guests):
    """Someone may change the look of the name they have, and it stays theirs."""
    first, second = guests
    first.types("/nick iain")
    for name in ("Iain", "lain", "lаin"):
        assert first.asks(f"/nick {name}") == [f"> all right, I will call you {name}"]
    assert second.asks("/nick iain") == ["> all right, I will call you iain"]
    assert second.asks("/nick 1ain") == ['err: "1ain" looks like "lаin", which is taken']


def test_a_name_is_free_again(guests):
    """A name, and all that looks like it, is free once its owner goes by another."""
    first, second = guests
    first.types("/nick modem", "/nick ann")
    assert second.asks("/nick modern") == ["> all right, I will call you modern"]


def test_a_look_alike_is_not_the_one_who_is_meant(guests):
    """A private line goes to the name as typed in any letter case, never to a look-alike."""
    first, second = guests
    first.types("/nick Ann")
    for typed in ("Ann", "ANN", "ａｎｎ", "𝐀nn"):
        assert second.asks(f"/tell {typed} hi")[-1] == "> [you -> Ann] hi"
    assert second.asks("/tell аnn hi") == ["err: there is nobody called аnn"]


# Rooms


def test_a_room_is_entered_in_any_letter_case(guests):
    """A room is entered under its own name, however it was spelt."""
    first, second = guests
    first.types("/join tea")
    assert second.asks("/join TEA")[0] == "> welcome to tea"
    assert second.asks("/join ｔｅａ") == ["> you are in tea already"]
    assert second.asks("/rooms") == ["> available rooms: tea"]


@pytest.mark.parametrize("pair", [("tea", "tеa"), ("modem", "modern")])
def test_a_look_alike_of_a_room_is_refused(town, pair):
    """Nobody can lure people into a room that looks like another."""
    for made, wanted, first, second in both_ways(town, pair):
        first.types(f"/join {made}")
        assert second.asks(f"/join {wanted}") == [
            f'err: "{wanted}" looks like "{made}", which is taken'
        ]
        assert second.asks("/leave") == ["err: you are in no room. usage: /join ROOM_NAME"]


def test_a_room_and_a_person_share_a_name(guests):
    """Rooms and people do not take names from each other."""
    first, second = guests
    first.types("/nick tea", "/join tea")
    assert second.asks("/join lobby")[0] == "> welcome to lobby"
    assert second.asks("/nick lobby") == ["> all right, I will call you lobby"]


def test_rooms_may_be_called_as_people_may_not():
    """What is reserved for the server among nicks is no lie as the name of a room."""
    assert names.room_name("here").text == "here"
    assert names.room_name("anonymous").text == "anonymous"


# One name


@pytest.mark.parametrize("word", names.RESERVED)
def test_reserved_words(word):
    """What notices begin with, or would be taken for the server, is nobody's name."""
    assert refusal(names.nick, word) == f'"{word}" is reserved'
    assert refusal(names.nick, word.upper()) == f'"{word.upper()}" is reserved'
    assert names.nick(f"{word}s").text == f"{word}s"


@pytest.mark.parametrize(
    ("name", "word"),
    [("sеrver", "server"), ("aII", "all"), ("a1l", "all"), ("hеre", "here"), ("yοu", "you")],
)
def test_look_alikes_of_reserved_words(name, word):
    """What looks like a reserved word is refused as well."""
    assert refusal(names.nick, name) == f'"{name}" looks like "{word}", which is reserved'


@pytest.mark.parametrize(
    "name", ["anonymous", "Anonymous", "anonymous-2", "anonymousX", "anоnymous", "anonyrnous-3"]
)
def test_the_names_of_strangers(name):
    """Nobody takes a name that the server gives to people without one, or its like."""
    assert refusal(names.nick, name) == f'"{name}" is kept for people without a name'


def test_strangers_are_numbered():
    """The first person without a name is anonymous, the next ones have a number."""
    assert [names.stranger_name(number).text for number in (1, 2, 3)] == [
        "anonymous",
        "anonymous-2",
        "anonymous-3",
    ]


def test_what_other_lines_are_made_of():
    """No name holds what notices, emotes, private lines and lists are recognised by."""
    for mark, form in product(":[]*>,/@#", ("{}", "{}a", "a{}b", "a{}")):
        name = form.format(mark)
        for make, kind in ((names.nick, "nick"), (names.room_name, "room name")):
            assert refusal(make, name) == f"a {kind} holds none of : [ ] * > , / @ #"


def test_what_becomes_such_a_mark():
    """A wide or small form of a forbidden mark is that mark."""
    for wide in "：［］＊＞，／＠＃﹕﹡":
        assert refusal(names.nick, f"a{wide}b") == "a nick holds none of : [ ] * > , / @ #"


def test_blanks():
    """A name holds no blank of any kind, nor what becomes one."""
    for blank in " \t\n\u00a0\u2003\u3000\u1680\u00a8\ufdfa":
        assert refusal(names.nick, f"a{blank}b") == "a nick holds no blank"


def test_no_name_at_all(guests):
    """Nothing, or nothing but blanks, is no name."""
    for name in ("", " ", "\u3000"):
        assert refusal(names.nick, name) == "a nick holds no blank"
    assert guests[0].asks("/nick  ") == ["err: nick is required. usage: /nick NAME"]
    assert guests[0].asks("/join  ") == ["err: room name is required. usage: /join ROOM_NAME"]


@pytest.mark.parametrize(
    "name",
    [
        "a\ufffd",
        "\ufffd",
        "پ\u200cپ",  # where Persian has it
        "क\u094d\u200dष",  # where Hindi has it
        "bob\u2800",  # blank, though a Braille pattern
        "a\U00016fe4",
        "a\U0001d159",
        "e\u0316\u0317\u0318\u0319",
    ],
)
def test_what_cannot_be_shown(name):
    """A name holds nothing that is invisible, replaced, or piled up."""
    assert refusal(names.nick, name) == "a nick holds no characters that cannot be shown"


def test_three_marks_are_enough():
    """Three combining marks on one letter are allowed in a name."""
    assert names.nick("e\u0316\u0317\u0318").text == "e\u0316\u0317\u0318"


def test_a_mark_needs_a_letter():
    """A name cannot begin with a mark, which would sit on whatever stands before it."""
    words = "a nick cannot begin with a mark that sits on a letter"
    for mark in ["\u0301", "\u0e47", "\u0903", "\u20dd"]:
        assert refusal(names.nick, f"{mark}a") == words


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("a\u200db", "U+200D"),
        ("a\x00b", "U+0000"),
        ("a\x1b[m", None),
        ("a\u00adb", "U+00AD"),
        ("a\u200eb", "U+200E"),
        ("a\u202eb", "U+202E"),
        ("a\ue000", "U+E000"),
        ("a\ud800", "U+D800"),
        ("a\u3131", "U+1100"),
        ("\u0132\u00ad", "U+00AD"),  # one that stands elsewhere than where it was typed
        ("\U000e0041", "U+E0041"),
    ],
)
def test_what_rfc_8264_refuses(text, culprit):
    """A refused character is told by its code, as it cannot be shown."""
    expected = f"cannot hold {culprit}" if culprit else "holds none of : [ ] * > , / @ #"
    assert refusal(names.nick, text) == f"a nick {expected}"


def test_a_profile_that_blames_the_whole_name(monkeypatch):
    """A refusal that is about no single character is still put in words."""

    class Strict:
        def enforce(self, text):
            raise UnicodeEncodeError("Nickname", text, 0, len(text), "DISALLOWED/not_idempotent")

    monkeypatch.setattr(names, "_PROFILE", Strict())
    assert refusal(names.room_name, "bob") == "a room name cannot hold such characters"


def test_how_long_names_are():
    """A nick holds 32 characters and a room's name 64, as typed and as they become."""
    assert names.nick("é" * 32).text == "é" * 32
    assert names.room_name("é" * 64).text == "é" * 64
    assert refusal(names.nick, "b" * 33) == "a nick holds at most 32 characters"
    assert refusal(names.room_name, "b" * 65) == "a room name holds at most 64 characters"
    assert refusal(names.nick, "㎏" * 17) == "a nick holds at most 32 characters"


@pytest.mark.parametrize("name", ["b" * 100_000, "\u0301" * 100_000, " " * 100_000])
def test_endless_names(name):
    """A name of 100 kB is refused for its length, before anything is done with it."""
    assert refusal(names.nick, name) == "a nick holds at most 32 characters"
    assert refusal(names.room_name, name) == "a room name holds at most 64 characters"


def test_a_name_is_shown_as_it_was_typed():
    """The letter case is kept, compatibility forms are not."""
    assert names.nick("McBob").text == "McBob"
    assert names.nick("ＭcＢob").text == "McBob"


# Whatever may come


CHARACTERS = st.one_of(
    st.characters(),
    st.sampled_from("aIl10Orn m|:,\u200c\u200d\ufffd\u0301\u0e47\u2800аеοМ①ﬁǅß"),
)


@settings(max_examples=300, deadline=None)
@given(st.text(CHARACTERS, min_size=1, max_size=40))
@example("\u0345" * 32)
@example("a\u0345\u0301")
@example("İ")
def test_a_name_that_is_allowed_is_harmless(text):
    """Whatever is typed is refused in words, or makes a name that keeps all the rules."""
    try:
        name = names.nick(text)
    except ChatError:
        return
    assert 1 <= len(name.text) <= 32
    assert not set(name.text) & {*":[]*>,/@# \ufffd\u200c\u200d\u2800"}
    assert sanitize(name.text) == name.text
    assert not unicodedata.category(name.text[0]).startswith("M")
    assert names.nick(name.text) == name
    assert names.fold(name.text) in name.keys


@settings(max_examples=300, deadline=None)
@given(st.text(CHARACTERS, min_size=1, max_size=32))
def test_the_keys_of_a_name(text):
    """Letter case leads to the same fold, and whatever looks like itself to one skeleton."""
    assert names.fold(names.fold(text)) == names.fold(text)
    once = names.skeleton(text)
    assert names.skeleton(once) == once
    folded = names.fold(text)
    found = names.keys(text)
    assert found[0] == folded
    assert sorted(found) == sorted({folded, names.skeleton(text), names.skeleton(folded)})


def test_every_character_can_be_typed():
    """No character of Unicode brings anything but a name or a refusal."""
    for code in range(0, sys.maxunicode, 13):
        try:
            names.nick(f"a{chr(code)}b")
        except ChatError:
            continue
