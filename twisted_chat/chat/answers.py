"""What is shown.

An *answer* is shown to one person, and happens to nobody; of the events some are shown to many.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from twisted_chat.chat.events import Deed, Event, Line, Told, Who


@dataclass(slots=True)
class Notice:
    """Words of the server to one person."""

    text: str


@dataclass(slots=True)
class Refusal:
    """Why a line was not obeyed."""

    text: str


@dataclass(slots=True)
class You:
    """Who a person is by now, and where: for programs, as people are told in words."""

    who: Who
    room: int = 0
    """The id of the room; 0 if they are in none."""
    room_name: str = ""
    topic: str = ""


@dataclass(slots=True)
class Done:
    """A line has been obeyed, and answered: for programs, which have given it a tag."""

    tag: str | int


@dataclass(slots=True)
class Listing:
    """A list of names, cut to what a screen holds."""

    title: str
    names: list[str]
    more: int = 0
    """How many were left out."""
    hint: str = ""
    """How to see those."""
    counts: list[int] = field(default_factory=list)
    """How many there are of each, if that is of interest: for programs."""


@dataclass(slots=True)
class Sent:
    """A private line of one's own, on its way."""

    told: Told


@dataclass(slots=True)
class Replay:
    """Lines of the past, shown with their times."""

    lines: Sequence[Line | Told]
    has_gap: bool = False
    """Whether there were more of them than are shown."""


@dataclass(slots=True)
class Audit:
    """Acts of the past, shown with their times."""

    deeds: Sequence[Deed]


Answer: TypeAlias = Notice | Refusal | You | Done | Listing | Sent | Replay | Audit
Shown: TypeAlias = Event | Answer
