"""What happens.

An *event* happens to the chat: the backplane numbers it, `Rooms.apply` carries it out, and it
may be shown to many.

The classes are slotted but not frozen: the backplane stamps ``id`` and ``time`` in place,
which costs half of what making a frozen copy does.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, TypeAlias


class Reason(Enum):
    """Why a line was refused, for those who count."""

    UNKNOWN_COMMAND = "unknown_command"
    USAGE = "usage"
    NOT_ALLOWED = "not_allowed"
    TOO_LONG = "too_long"
    MALFORMED = "malformed"
    TOO_MANY = "too_many"
    LINK_LOST = "link_lost"
    FAILURE = "failure"
    RULES = "rules"


class ChatError(Exception):
    """A refusal, in words that tell a person what was wrong and what is right."""

    def __init__(self, words: str, reason: Reason = Reason.RULES) -> None:
        super().__init__(words)
        self.reason = reason


class Who(NamedTuple):
    """A person, as they were shown when the event was made."""

    person: str
    """The id of the person, never used again."""
    account: str | None
    """The id of the account; it begins with ``@``, as no id of a person does."""
    name: str

    @property
    def identity(self) -> str:
        """What outlives a change of name: the account, or else the person."""
        return self.account or self.person


NOBODY = Who("", None, "")


class Origin(NamedTuple):
    """How someone has come to the chat."""

    address: str = ""
    """Where from; empty if that is nowhere."""
    is_bot: bool = False
    """Whether it is a program, which everybody may know."""
    key: str = ""
    """A digest of what those know who come back by themselves; empty if they do not."""
    fingerprint: str = ""
    """Of the SSH key with which they have come, as OpenSSH shows it; empty without one."""


class Ending(Enum):
    """Why a connection ends; whoever comes back by themselves wants to know."""

    OVER = "it is over, and another one may begin"
    QUIT = "they wanted to go, or were silent for too long"
    ELSEWHERE = "they go on in another one"
    BANNED = "they are not wanted"


NOWHERE = Origin()


@dataclass(slots=True)
class Event:
    """Something that happened to the chat."""

    who: Who
    id: int = field(default=0, init=False)
    """Ordered and never used again, after a restart neither; its value means nothing."""
    time: float = field(default=0.0, init=False)
    """UTC, in seconds."""


@dataclass(slots=True)
class RoomEvent(Event):
    """Something that happened in a room."""

    room: int
    """The id of the room; 0 while it is not known."""


@dataclass(slots=True)
class Said(RoomEvent):
    text: str


@dataclass(slots=True)
class Emoted(RoomEvent):
    text: str


@dataclass(slots=True)
class Reported(RoomEvent):
    """What someone did, in words that nobody can type; it is not kept."""

    text: str


@dataclass(slots=True)
class Told(Event):
    """A private line.  To someone with an account who is not here it waits as a *letter*."""

    to: Who
    text: str


@dataclass(slots=True)
class Arrived(Event):
    """Someone connected; they are given the name of a stranger."""

    origin: Origin = NOWHERE


@dataclass(slots=True)
class Quit(Event):
    """Someone leaves the chat."""

    reason: str
    connection: str
    """The id of the connection that is over: by now they may have another."""

    @classmethod
    def of(cls, lost: "Lost") -> "Quit":
        """Make one of a connection that broke, for somebody whose place is not kept."""
        left = cls(lost.who, "", lost.connection)
        left.id, left.time = lost.id, lost.time
        return left


@dataclass(slots=True)
class Lost(Event):
    """The connection of someone with an account broke; their place is kept for a while."""

    settings: dict[str, Any]
    """Plain JSON data, as a session has it."""
    grace: float
    """For how many seconds the place is kept."""
    connection: str
    """As `Quit` has it."""
    seen: int
    """The id of the last event that they were shown."""


@dataclass(slots=True)
class Elapsed(Event):
    """Time has gone by: what was to last until now is over."""


@dataclass(slots=True)
class Joined(RoomEvent):
    """Someone entered a room, and left the one they were in.

    The `Left` that the old room sees has the same ``id``: it is the same step.
    """

    name: str
    """What the room is called; it is made if there is none."""
    key: str = ""
    """What `key_digest` makes of the key that was given."""


@dataclass(slots=True)
class Left(RoomEvent):
    reason: str = ""


@dataclass(slots=True)
class Renamed(RoomEvent):
    """Someone goes by another name; ``who`` has the old one, ``room`` where they are, or 0."""

    name: str


@dataclass(slots=True)
class TopicSet(RoomEvent):
    text: str


@dataclass(slots=True)
class WentAway(Event):
    """Someone is away, or with None for ``text`` back."""

    text: str | None


@dataclass(slots=True)
class LoggedIn(Event):
    """Someone has proved who they are; a guest who goes by their name makes way."""

    account: str
    """The id of the account."""
    name: str
    """What the account is called."""


@dataclass(slots=True)
class LoggedOut(Event):
    """Someone is a guest again, and has the name of a stranger."""

    for_good: bool = False
    """Whether the account is no more."""


@dataclass(slots=True)
class Resumed(Event):
    """Another connection goes on as someone, with the settings of the one before it."""

    settings: dict[str, Any]
    """Plain JSON data, as a session has it."""


@dataclass(slots=True)
class SetUp(Event):
    """Someone with an account has set something up for themselves."""

    settings: dict[str, Any]
    """Plain JSON data, as a session has it."""


@dataclass(slots=True)
class Empowered(Event):
    """A node was told who runs the server."""

    node: str
    accounts: list[str]
    """Their ids."""


@dataclass(slots=True)
class Reaped(Event):
    """A node is no more, nor anyone's connection to it; some people at a time are seen to."""

    node: str
    """What the ids of its connections begin with."""
    grace: float
    """As `Lost` has it."""
    by: str = ""
    """The node that goes on with the next of them; empty for whichever node was first."""


@dataclass(slots=True)
class Returned(Event):
    """Someone is here still, or again, whose node had to begin anew."""

    since: float
    origin: Origin
    away: str | None
    number: int
    """As `Person` has it, of who has no name of their own."""
    settings: dict[str, Any]
    connection: str
    room: int
    """The id of the room in which they were; 0 if in none."""
    room_name: str


@dataclass(slots=True)
class Forgot(Event):
    """Someone had everything erased that they have said."""


Line: TypeAlias = Said | Emoted
"""What is kept as history."""


class Deed(NamedTuple):
    """What is kept of an act, to see later who did what."""

    id: int
    time: float
    who: Who
    room: str
    """What the room was called; ``*`` for all of the server."""
    words: str
