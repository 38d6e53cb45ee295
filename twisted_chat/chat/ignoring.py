"""Who hears nothing of whom."""

from collections.abc import Iterable, Mapping

from twisted_chat.chat.events import Who
from twisted_chat.chat.person import Person


class Ignoring:
    """Whom people on this node ignore."""

    def __init__(self) -> None:
        self.ignorers: dict[str, set[str]] = {}
        """The ids of persons, by the identity of who is ignored."""

    def begin(self, person: str, identities: Iterable[str]) -> None:
        """Show nothing more of some identities to the person with the id ``person``."""
        for identity in identities:
            self.ignorers.setdefault(identity, set()).add(person)

    def end(self, person: str, identities: Iterable[str]) -> None:
        """Show what these say to the person with the id ``person`` again."""
        for identity in identities:
            ignorers = self.ignorers.get(identity, set())
            ignorers.discard(person)
            if not ignorers:
                self.ignorers.pop(identity, None)

    def forget(self, person: str) -> None:
        """Nobody ignores that person any more, who has gone."""
        self.ignorers.pop(person, None)

    def ignores(self, person: str, who: Who) -> bool:
        """Tell whether somebody ignores somebody."""
        return person in self.ignorers.get(who.identity, ())

    def among(self, members: Mapping[str, Person], who: Who) -> tuple[Person, ...]:
        """Give those of some people, by their ids, who ignore somebody."""
        return tuple(members[one] for one in self.ignorers.get(who.identity, ()) if one in members)
