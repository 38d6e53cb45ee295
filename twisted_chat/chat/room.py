"""A room."""

from twisted_chat.chat.charter import NO_CHARTER, Charter
from twisted_chat.chat.names import Name
from twisted_chat.chat.person import Person
from twisted_chat.chat.roster import Roster


class Room:
    """A room and who is in it.  Only `Rooms.apply` changes it."""

    __slots__ = ("charter", "hushed", "id", "kept", "members", "name", "roster", "spoke", "topic")

    def __init__(self, id: int, name: Name) -> None:  # noqa: A002
        """
        :param id: its own: made anew under an old name it is another room.
        """
        self.id = id
        self.name = name
        self.topic = ""
        self.kept = False
        """Whether the store knows of it: only once there is something to keep."""
        self.charter: Charter = NO_CHARTER
        self.hushed = False
        """Whether there is anybody who may not say something at any time."""
        self.spoke: dict[str, float] = {}
        """When members said something, by identity, while that matters."""
        self.members: dict[str, Person] = {}
        """By the id of the person, in the order of joining."""
        self.roster: Roster[Person] = Roster()

    def obey(self, charter: Charter) -> None:
        """Have another charter from now on."""
        self.charter = charter
        self.hushed = charter.hushes()
