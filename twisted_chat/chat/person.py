"""Someone here, or on another node."""

from typing import TYPE_CHECKING, Any

from twisted_chat.chat.answers import You
from twisted_chat.chat.charter import Sanction
from twisted_chat.chat.events import NOWHERE, Origin, Who
from twisted_chat.chat.names import Name
from twisted_chat.chat.place import Gone

if TYPE_CHECKING:
    from twisted_chat.chat.room import Room
    from twisted_chat.interfaces import IClient


class Person:
    """What everybody may know of someone.  Only `Rooms.apply` changes it."""

    __slots__ = (
        "away",
        "barred",
        "client",
        "connection",
        "gone",
        "name",
        "number",
        "origin",
        "room",
        "settings",
        "since",
        "who",
    )

    def __init__(
        self, who: Who, since: float, client: "IClient | None", origin: Origin = NOWHERE
    ) -> None:
        """
        :param since: when they connected, UTC seconds.
        :param client: their way in, None if they are on another node, or gone.
        """
        self.who = who
        self.name = Name(who.name, (), who.name)
        self.since = since
        self.client = client
        self.connection = who.person
        """The id of the connection; the first one's is that of the person."""
        self.origin = origin
        self.barred: Sanction | None = None
        """Why they have to log in before anything else."""
        self.room: Room | None = None
        self.gone: Gone | None = None
        """How they are gone, while their place is kept; it is for who has an account."""
        self.settings: dict[str, Any] = {}
        """What who has an account has set up, as a session has it; empty if that is nothing."""
        self.away: str | None = None
        self.number = 0
        """The number in their name, while they have none of their own."""

    def you(self) -> You:
        """Give who and where they are, for themselves."""
        room = self.room
        return You(self.who, room.id, room.name.text, room.topic) if room else You(self.who)
