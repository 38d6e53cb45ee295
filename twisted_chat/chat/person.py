"""Someone here, or on another node."""

from typing import TYPE_CHECKING

from twisted_chat.chat.events import Who
from twisted_chat.chat.names import Name

if TYPE_CHECKING:
    from twisted_chat.chat.room import Room
    from twisted_chat.interfaces import IClient


class Person:
    """What everybody may know of someone.  Only `Rooms.apply` changes it."""

    __slots__ = ("away", "client", "name", "number", "room", "since", "who")

    def __init__(self, who: Who, since: float, client: "IClient | None") -> None:
        """
        :param since: when they connected, UTC seconds.
        :param client: their way in, None if they are on another node.
        """
        self.who = who
        self.name = Name(who.name, (), who.name)
        self.since = since
        self.client = client
        self.room: Room | None = None
        self.away: str | None = None
        self.number = 0
        """The number in their name, while they have none of their own."""

    @property
    def marked_name(self) -> str:
        """The name as lists show it."""
        return self.name.text if self.away is None else f"{self.name.text} (away)"
