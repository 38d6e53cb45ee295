"""What a nick and a room's name may be, and when two of them are one.

Names are RFC 8266 nicknames without blanks.  Two names are one when they share any of three
keys: the case fold, the skeleton (UTS 39, section 4) as typed, and the skeleton of the fold;
folding first alone would miss that ``Iain`` looks like ``lain``.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from confusable_homoglyphs import confusables
from precis_i18n import get_profile

from twisted_chat.chat.addresses import network
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.limits import NICK_LENGTH, ROOM_NAME_LENGTH
from twisted_chat.chat.sanitize import REPLACEMENT, sanitize

STRANGER = "anonymous"
# What notices begin with, or what would be taken for the server or for everyone.
RESERVED = ("server", "all", "here", "topic", "you")

_PROFILE = get_profile("NicknameCasePreserved")
_FORBIDDEN = frozenset(":[]*>,/@#")
# Joiners, and what is blank although Unicode does not call it so.
_INVISIBLE = re.compile("[\u200c\u200d\u2800\U00016fe4\U0001d159]")


class Name(NamedTuple):
    """A name that may be used."""

    text: str
    keys: tuple[str, ...]
    """What it is recognised by; two names that share one are taken for each other."""
    fold: str
    """What is the same for names that differ in letter case alone; it is one of the keys."""

    @classmethod
    def of(cls, text: str) -> "Name":
        """Make a name of a text that may be one."""
        all_keys = keys(text)
        return cls(text, all_keys, all_keys[0])


@lru_cache(maxsize=256)  # a nick is looked at when it is typed, claimed and given
def nick(text: str) -> Name:
    """Make a nick of what was typed.

    :raises ChatError: it cannot be one.
    """
    name = _name(text, "nick", NICK_LENGTH)
    if network(name.text):  # a ban would not tell whom it means
        raise ChatError(f'"{name.text}" is an address')
    if is_strangers(name):
        raise ChatError(f'"{name.text}" is kept for people without a name')
    for word, its_keys in _RESERVED_KEYS.items():
        if name.fold == word:
            raise ChatError(f'"{name.text}" is reserved')
        if not its_keys.isdisjoint(name.keys):
            raise ChatError(f'"{name.text}" looks like "{word}", which is reserved')
    return name


def room_name(text: str) -> Name:
    """Make a room's name of what was typed.

    :raises ChatError: it cannot be one.
    """
    return _name(text, "room name", ROOM_NAME_LENGTH)


def stranger_name(number: int) -> Name:
    """Give the name of the nth person without one; the first is 1."""
    text = STRANGER if number == 1 else f"{STRANGER}-{number}"
    return Name(text, (text,), text)


def is_strangers(name: Name) -> bool:
    """Tell whether a name is, or looks like, that of someone without one."""
    return any(key.startswith(_STRANGER_KEYS) for key in name.keys)


def fold(text: str) -> str:
    """Give what is the same for names that differ in letter case alone."""
    # Normal first: a compatibility capital has no letter case to fold.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return text if folded == text else folded  # kept for everyone here: one string is enough


def keys(text: str) -> tuple[str, ...]:
    """Give what a name is recognised by, each once; its `fold` is the first."""
    folded = fold(text)
    return tuple(dict.fromkeys((folded, skeleton(text), skeleton(folded))))


def skeleton(text: str) -> str:
    """Give what is the same for texts that look alike (UTS 39, section 4)."""
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFD", decomposed.translate(_PROTOTYPES))


def _name(text: str, kind: str, longest: int) -> Name:
    if len(text) > longest:  # before any work on it
        raise ChatError(f"a {kind} holds at most {longest} characters")
    if len(text.split()) != 1:
        raise ChatError(f"a {kind} holds no blank")
    if not _FORBIDDEN.isdisjoint(text):
        raise ChatError(f"a {kind} holds none of : [ ] * > , / @ #")
    try:
        name = str(_PROFILE.enforce(text))
    except UnicodeEncodeError as refused:
        raise ChatError(f"a {kind} cannot hold {_describe(refused)}") from None
    if REPLACEMENT in name or _INVISIBLE.search(name) or sanitize(name) != name:
        raise ChatError(f"a {kind} holds no characters that cannot be shown")
    if unicodedata.category(name[0]).startswith("M"):
        raise ChatError(f"a {kind} cannot begin with a mark that sits on a letter")
    # Compatibility characters turn into others: they are looked at again as what they became.
    if name != text:
        return _name(name, kind, longest)
    return Name.of(name)


def _describe(refused: UnicodeEncodeError) -> str:
    culprit = refused.object[refused.start : refused.end]
    return f"U+{ord(culprit):04X}" if len(culprit) == 1 else "such characters"


def _lookalikes() -> dict[str, set[str]]:
    """Map each character or sequence to all that look like it."""
    classes: dict[str, set[str]] = {}
    for sequence, others in confusables.confusables_data.items():
        alike = {one.strip("\u200e") for one in (sequence, *(other["c"] for other in others))}
        for one in tuple(alike):
            alike |= classes.get(one, set())
        classes.update(dict.fromkeys(alike, alike))
    return classes


def _prototypes() -> dict[int, str]:
    """Map each character to what stands for all that look like it.

    A sequence stands for the character that looks like it, as ``rn`` for ``m``: the other way
    round, a sequence with a look-alike inside would go unnoticed.
    """
    table = {
        ord(one): unicodedata.normalize("NFD", min(alike, key=lambda other: (-len(other), other)))
        for one, alike in _lookalikes().items()
        if len(one) == 1
    }
    # What stands for a character is made of characters, for which others may stand.
    return {one: to.translate(table) for one, to in table.items()}


_PROTOTYPES = _prototypes()
_RESERVED_KEYS = {word: frozenset(keys(word)) for word in RESERVED}
_STRANGER_KEYS = keys(STRANGER)
