"""Whose a room is, who runs it, and what holds in it."""

from collections.abc import Container, Iterable, Sequence
from enum import IntEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted_chat.chat import sshkeys
from twisted_chat.chat.addresses import covers

if TYPE_CHECKING:
    from twisted_chat.chat.person import Person


class Rank(IntEnum):
    """What someone is in a room: nobody can do anything to who is no less than they are."""

    MEMBER = 0
    OPERATOR = 1
    OWNER = 2
    SERVER = 3
    """An operator of the server, in any room."""


EVERYONE = "*"
"""The subject of a lockdown: guests who come while it holds."""


class Sanction(NamedTuple):
    """A ban or a mute."""

    kind: str
    """``ban`` or ``mute``."""
    subject: str
    """The id of an account or, of guests, a network, the fingerprint of an SSH key, the id of a
    person, or `EVERYONE`."""
    name: str
    """What they were called."""
    by: str
    """What who did it was called."""
    reason: str
    since: float
    """UTC seconds."""
    until: float | None
    """UTC seconds; None for ever."""

    def holds(self, now: float) -> bool:
        """Tell whether it is not over."""
        return self.until is None or now < self.until

    def is_meant(self, person: "Person") -> bool:
        """Tell whether it is against someone.

        Of an account only what is against that account; of a guest, what is against the place.
        """
        if person.who.account:
            return self.subject == person.who.account
        if self.subject == EVERYONE:
            return True  # asked of those alone who come, or log out
        if self.is_of_a_key:
            return self.subject == person.origin.fingerprint
        if "/" in self.subject:
            return covers(self.subject, person.origin.address)
        return self.subject == person.who.person

    @property
    def is_of_a_key(self) -> bool:
        """Whether it is against guests who come with an SSH key; that may have a ``/`` in it."""
        return self.subject.startswith(sshkeys.PREFIX)

    @property
    def outlives_guests(self) -> bool:
        """Whether it means something still when whom it was against have gone."""
        return self.subject[0] in "@*" or self.is_of_a_key or "/" in self.subject


class Charter(NamedTuple):
    """What is laid down for a room; accounts are given by their ids."""

    owner: str = ""
    """Empty if it belongs to nobody."""
    operators: tuple[str, ...] = ()
    """Besides the owner, whoever has been one for longest first."""
    invited: tuple[str, ...] = ()
    """Accounts, and guests by the id of the person."""
    locked: bool = False
    """Whether only who is invited may enter."""
    key: str = ""
    """What `key_digest` makes of what one must know to enter; empty if nothing."""
    slow: int = 0
    """Seconds that a member has to wait from one line to the next."""
    sanctions: tuple[Sanction, ...] = ()

    def rank(self, account: str | None) -> Rank:
        """Tell what someone is, by their account."""
        if account is None:
            return Rank.MEMBER
        if account == self.owner:
            return Rank.OWNER
        return Rank.OPERATOR if account in self.operators else Rank.MEMBER

    def against(self, person: "Person", kind: str, now: float) -> Sanction | None:
        """Find what is against someone."""
        for sanction in self.sanctions:
            if sanction.kind == kind and sanction.is_meant(person) and sanction.holds(now):
                return sanction
        return None

    def against_account(self, account: str, kind: str, now: float) -> Sanction | None:
        """Find what is against an account."""
        for sanction in self.sanctions:
            if (sanction.kind, sanction.subject) == (kind, account) and sanction.holds(now):
                return sanction
        return None

    def hushes(self) -> bool:
        """Tell whether there is anybody who may not say something at any time."""
        return bool(self.slow) or any(one.kind == "mute" for one in self.sanctions)

    def sanctioned(self, sanction: Sanction) -> "Charter":
        """Add a sanction; one of the same kind against the same subject it replaces."""
        others = self.pardoned(sanction.kind, sanction.subject)
        return others._replace(sanctions=(*others.sanctions, sanction))

    def pardoned(self, kind: str, subject: str) -> "Charter":
        """Take a sanction away."""
        return self._replace(
            sanctions=tuple(
                one for one in self.sanctions if (one.kind, one.subject) != (kind, subject)
            )
        )

    def without(self, identity: str) -> "Charter":
        """Have someone be nobody in particular, unless they are the owner."""
        return self.uninvited(identity)._replace(operators=_without(self.operators, identity))

    def uninvited(self, identity: str) -> "Charter":
        """Have someone invited no more."""
        return self._replace(invited=_without(self.invited, identity))

    def identities(self) -> set[str]:
        """Give who is somebody here."""
        return {self.owner, *self.operators, *self.invited} - {""}

    def names(self, account: str) -> bool:
        """Tell whether an account is somebody here."""
        return account == self.owner or account in self.operators or account in self.invited

    def lasting(self, now: float, here: Container[str] = ()) -> "Charter":
        """Leave out what is over, and what is about guests who have gone.

        :param here: the ids of persons; none, in a new process.
        """
        return self._replace(
            invited=tuple(one for one in self.invited if one[0] == "@" or one in here),
            sanctions=tuple(
                one
                for one in self.sanctions
                if one.holds(now) and (one.outlives_guests or one.subject in here)
            ),
        )

    def to_record(self) -> Sequence[Any]:
        """Give it as plain JSON data; empty if there is nothing in it."""
        return () if self == NO_CHARTER else tuple(self)

    @classmethod
    def from_record(cls, record: Sequence[Any]) -> "Charter":
        """Read what `to_record` gives."""
        if not record:
            return NO_CHARTER
        owner, operators, invited, locked, key, slow, sanctions = record
        return cls(
            owner,
            tuple(operators),
            tuple(invited),
            locked,
            key,
            slow,
            tuple(Sanction(*sanction) for sanction in sanctions),
        )


NO_CHARTER = Charter()


def key_digest(room: str, key: str) -> str:
    """Give what the key of a room is recognised by, so that nobody can read it in a file.

    :param room: the fold of its name.
    """
    return blake2b(f"{room} {key}".encode(), digest_size=16).hexdigest() if key else ""


def _without(identities: Iterable[str], identity: str) -> tuple[str, ...]:
    return tuple(one for one in identities if one != identity)
