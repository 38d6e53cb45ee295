"""What it is to be gone for a while: the place of someone whose connection broke."""

from typing import Any, NamedTuple


class Gone(NamedTuple):
    """That someone's connection broke, and their place is kept."""

    seen: int
    """The id of the last event that they may have been shown."""
    time: float
    """Since when, UTC seconds."""
    until: float
    """How long the place is kept, UTC seconds."""


class Place(NamedTuple):
    """Where someone with an account is, as it is kept: for who is gone when the process ends."""

    account: str
    name: str
    room: int
    """The id of the room; 0 if they are in none."""
    room_name: str
    since: float
    """When they connected, UTC seconds."""
    away: str | None
    settings: dict[str, Any]
    """Plain JSON data, as a session has it; empty if they have not set up anything."""
    gone: Gone | None = None

    @classmethod
    def from_record(cls, record: list[Any]) -> "Place":
        """Make one of what it is as plain JSON data: the list of all that is in it."""
        place = cls._make(record)
        return place._replace(gone=place.gone and Gone._make(place.gone))
