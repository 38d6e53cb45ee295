"""Someone here, or on another node."""

from typing import TYPE_CHECKING

from twisted_chat.chat.charter import Sanction
from twisted_chat.chat.events import Who
from twisted_chat.chat.names import Name

if TYPE_CHECKING:
    from twisted_chat.chat.room import Room
    from twisted_chat.interfaces import IClient


class Person:
    """What everybody may know of someone.  Only `Rooms.apply` changes it."""

    __slots__ = ("address", "away", "barred", "client", "name", "number", "room", "since", "who")

    def __init__(self, who: Who, since: float, client: "IClient | None", address: str = "") -> None:
        """
        :param since: when they connected, UTC seconds.
        :param client: their way in, None if they are on another node.
        :param address: where they come from; empty if that is nowhere.
        """
        self.who = who
        self.name = Name(who.name, (), who.name)
        self.since = since
        self.client = client
        self.address = address
        self.barred: Sanction | None = None
        """Why they have to log in before anything else."""
        self.room: Room | None = None
        self.away: str | None = None
        self.number = 0
        """The number in their name, while they have none of their own."""
