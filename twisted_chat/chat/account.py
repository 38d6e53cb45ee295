"""What an account is."""

from typing import NamedTuple

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


def account_id(name: str) -> str:
    """Give the id of the account of that name, in whatever capitals."""
    return f"@{fold(name)}"
