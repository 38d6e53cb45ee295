"""Who is called what."""

from twisted_chat.chat import names
from twisted_chat.chat.names import Name
from twisted_chat.chat.nametable import NameTable
from twisted_chat.chat.numbers import Numbers
from twisted_chat.chat.person import Person


class Naming:
    """Gives people names, and takes them back; whoever has none is given that of a stranger."""

    def __init__(self) -> None:
        self._owners: NameTable[Person] = NameTable()
        self._numbers = Numbers()

    def find(self, text: str) -> Person | None:
        """Find who is called so, in any letter case."""
        return self._owners.find(text)

    def refuse_taken(self, name: Name, own: Person) -> None:
        """Check that a name can be given to ``own``.

        :raises ChatError: it is taken, or looks like one that is.
        """
        self._owners.refuse_taken(name, own)

    def is_free(self, name: Name) -> bool:
        """Tell whether someone may have the name again that they had in an earlier process."""
        return names.is_strangers(name) or not self.holders(name)

    def holders(self, name: Name) -> list[Person]:
        """Give those whose names are this one, or look like it."""
        return self._owners.holders(name)

    def give(self, person: Person, name: Name) -> None:
        """Have ``person`` called by a name that nobody has."""
        self.release(person)
        self._take(person, name)

    def return_(self, person: Person) -> None:
        """Take note of the name of someone who had it in an earlier process."""
        name = Name.of(person.who.name)
        if person.number:
            self._numbers.claim(person.number)
            self._take(person, names.stranger_name(person.number))
        elif names.is_strangers(name):  # a place is kept without its number
            self.give_stranger(person)
        else:
            self._take(person, name)

    def give_stranger(self, person: Person) -> None:
        """Have ``person`` called as one is who has no name."""
        self.release(person)
        person.number = self._numbers.take()
        self._take(person, names.stranger_name(person.number))

    def release(self, person: Person) -> None:
        """Have the name of ``person`` free again, if there is one."""
        if not person.name.keys:
            return
        self._owners.remove(person)
        person.name = Name(person.name.text, (), person.name.fold)
        if person.number:
            self._numbers.give_back(person.number)
            person.number = 0

    def _take(self, person: Person, name: Name) -> None:
        person.name = name
        person.who = person.who._replace(name=name.text)
        self._owners.add(person)
