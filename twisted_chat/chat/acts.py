"""What is done to keep order."""

from dataclasses import dataclass

from twisted_chat.chat.charter import EVERYONE, Rank, Sanction
from twisted_chat.chat.duration import in_words
from twisted_chat.chat.events import RoomEvent, Who


@dataclass(slots=True)
class Act(RoomEvent):
    """Something that was done to keep order; ``room`` is 0 for all of the server."""

    @property
    def target(self) -> str | None:
        """The account that it is done to, if any."""
        return None

    @property
    def words(self) -> str:
        """What was done, as it follows the name of who did it."""
        raise NotImplementedError


@dataclass(slots=True)
class Kicked(Act):
    """Someone is put out of a room, and may come back."""

    whom: Who
    reason: str

    @property
    def target(self) -> str | None:
        return self.whom.account

    @property
    def words(self) -> str:
        return f"kicked {self.whom.name}{_because(self.reason)}"


@dataclass(slots=True)
class Sanctioned(Act):
    """Someone, or all who come from somewhere, may do something no more."""

    sanction: Sanction

    @property
    def target(self) -> str | None:
        return self.sanction.subject if self.sanction.subject.startswith("@") else None

    @property
    def words(self) -> str:
        one = self.sanction
        if one.subject == EVERYONE:
            return "locked down the server"
        done = "banned" if one.kind == "ban" else "muted"
        span = "" if one.until is None else f" for {in_words(one.until - one.since)}"
        return f"{done} {one.name}{span}{_because(one.reason)}"


@dataclass(slots=True)
class Pardoned(Act):
    """A sanction is lifted."""

    sanction: Sanction

    @property
    def words(self) -> str:
        if self.sanction.subject == EVERYONE:
            return "ended the lockdown"
        done = "unbanned" if self.sanction.kind == "ban" else "unmuted"
        return f"{done} {self.sanction.name}"


@dataclass(slots=True)
class Appointed(Act):
    """Someone is something else in a room from now on."""

    whom: Who
    rank: Rank

    @property
    def target(self) -> str | None:
        if self.rank is not Rank.MEMBER or self.whom.account == self.who.account:
            return None
        return self.whom.account

    @property
    def words(self) -> str:
        if self.rank is Rank.OWNER:
            return f"made {self.whom.name} the owner of the room"
        if self.rank is Rank.OPERATOR:
            return f"made {self.whom.name} an operator of the room"
        if self.whom.account == self.who.account:
            return "gave up running the room"
        return f"took the room out of the hands of {self.whom.name}"


@dataclass(slots=True)
class Invited(Act):
    """Someone may enter a room, be it locked or not."""

    whom: Who

    @property
    def words(self) -> str:
        return f"invited {self.whom.name}"


@dataclass(slots=True)
class Locked(Act):
    """Only who is invited may enter a room, or all may again."""

    locked: bool

    @property
    def words(self) -> str:
        return "locked the room" if self.locked else "unlocked the room"


@dataclass(slots=True)
class KeySet(Act):
    """One has to know a key to enter a room, or none."""

    key: str
    """What `key_digest` makes of it."""

    @property
    def words(self) -> str:
        return "put a key on the room" if self.key else "took the key off the room"


@dataclass(slots=True)
class Slowed(Act):
    """Members of a room have to wait from one line to the next."""

    seconds: int

    @property
    def words(self) -> str:
        if not self.seconds:
            return "ended slow mode"
        return f"set slow mode: one line in {in_words(self.seconds)}"


@dataclass(slots=True)
class Announced(Act):
    """Something is said to everyone on the server."""

    text: str

    @property
    def words(self) -> str:
        return f"told everyone: {self.text}"


@dataclass(slots=True)
class PasswordGiven(Act):
    """An account has another password, by the hand of an operator of the server."""

    name: str

    @property
    def words(self) -> str:
        return f"gave {self.name} another password"


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


KINDS: tuple[type[Act], ...] = (
    Kicked,
    Sanctioned,
    Pardoned,
    Appointed,
    Invited,
    Locked,
    KeySet,
    Slowed,
    Announced,
    PasswordGiven,
)
"""All acts there are."""
