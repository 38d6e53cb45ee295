"""What an account is."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from twisted_chat.chat.names import fold


class Account(NamedTuple):
    """Someone who can come back, and be known again."""

    id: str
    """Begins with ``@``, as no id of a person does."""
    name: str


class AccountRecord(NamedTuple):
    """An account as it is kept."""

    id: str
    name: str
    secret: str
    """What a password is checked against; it tells nobody what that is."""
    since: float
    """UTC seconds."""
    ssh_keys: tuple[str, ...] = ()
    """The fingerprints of those that log in as well, in the order in which they were added."""

    @classmethod
    def from_record(cls, record: Iterable[Any]) -> "AccountRecord":
        """Read what has been plain JSON data meanwhile; from before there were keys it has none."""
        id_, name, secret, since, *keys = record
        return cls(id_, name, secret, since, *map(tuple, keys))


def account_id(name: str) -> str:
    """Give the id of the account of that name, in whatever capitals."""
    return f"@{fold(name)}"
