"""The places of those whose connection broke, and who may come back: kept for a while."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from twisted_chat.chat import names
from twisted_chat.chat.events import ChatError, Elapsed, Lost, Quit, SetUp, Who
from twisted_chat.chat.names import Name
from twisted_chat.chat.person import Person
from twisted_chat.chat.place import Gone, Place
from twisted_chat.chat.room import Room

if TYPE_CHECKING:
    from twisted_chat.chat.rooms import Rooms


class Places:
    """Who is gone, and may come back; a part of `Rooms.apply`.

    The others see nothing of it, but for a mark in `/who`.
    """

    def __init__(self, rooms: "Rooms") -> None:
        self._rooms = rooms
        self._gone: dict[str, Person] = {}
        """By the id of the person."""
        self._keys: dict[str, Person] = {}
        """Those who come back by themselves, by their key."""

    def of(self, key: str) -> Person | None:
        """Find whose place is known by a key, if it is one."""
        return self._keys.get(key)

    def keep_key(self, person: Person) -> None:
        """Have someone found by the key with which they have come, if they have one."""
        if person.origin.key:
            self._keys[person.origin.key] = person

    def forget_key(self, person: Person) -> None:
        """Have someone found no longer by their key."""
        if self._keys.get(person.origin.key) is person:
            del self._keys[person.origin.key]

    def lost(self, event: Lost) -> None:
        """Carry out that someone's connection broke."""
        rooms, person = self._rooms, self._rooms.people.get(event.who.person)
        if person is None or person.connection != event.connection:  # they have another by now
            return
        account = person.who.account
        is_known = account or person.origin.key
        if not is_known or (account and rooms.rights.ban_of(account, event.time)):
            rooms.changes.quit(Quit.of(event))
            return
        person.client = None
        person.settings = event.settings
        rooms.sessions.pop(person.who.person, None)
        rooms.delivery.forget(person)
        self._begin(person, Gone(event.seen, event.time, event.time + event.grace))

    def set_up(self, event: SetUp) -> None:
        """Take note of what someone with an account has set up."""
        person = self._rooms.people.get(event.who.person)
        if person and person.who.account == event.who.account:
            person.settings = event.settings
            self.note(person)

    def back(self, person: Person) -> Gone | None:
        """Have someone back; tell how they were gone, if they were."""
        self._gone.pop(person.who.person, None)
        gone, person.gone = person.gone, None
        return gone

    def note(self, person: Person) -> None:
        """Keep where someone with an account is by now."""
        account, room = person.who.account, person.room
        if account is None:
            return
        where = (room.id, room.name.text) if room else (0, "")
        place = Place(account, person.name.text, *where, person.since, person.away, person.settings)
        self._rooms.store.keep_place(place._replace(gone=person.gone))

    def forget(self, person: Person) -> None:
        """Give up the place of someone, if they have one."""
        self.back(person)
        self.forget_key(person)
        if person.who.account:
            person.settings = {}
            self._rooms.store.drop_place(person.who.account)

    def is_one_over(self, now: float) -> bool:
        """Tell whether somebody has been gone for too long."""
        return any(_is_over(person, now) for person in self._gone.values())

    def give_up(self, event: Elapsed) -> None:
        """Have those leave who have been gone for too long."""
        for person in [one for one in self._gone.values() if _is_over(one, event.time)]:
            self._rooms.remove(person, event)

    # After a restart

    def return_(self, person: Person) -> None:
        """Take note of someone who was here, or gone, in an earlier process, too."""
        self.keep_key(person)
        if person.gone:
            self._gone[person.who.person] = person

    def restore(self, places: Iterable[Place], seen: int, now: float) -> None:
        """Have those gone, and not away for good, whom an earlier process has not seen leave.

        :param seen: the last id of that process.
        """
        for place in places:
            grace = self._rooms.limits.grace
            if grace and self._rooms.naming.is_free(Name.of(place.name)):
                gone = place.gone or Gone(seen, now, 0)
                self._reseat(place, gone._replace(until=now + grace))
            else:
                self._rooms.store.drop_place(place.account)

    def _reseat(self, place: Place, gone: Gone) -> None:
        rooms = self._rooms
        id_ = rooms.new_id()
        person = Person(Who(id_, place.account, place.name), place.since, None)
        person.away, person.settings, person.gone = place.away, place.settings, gone
        rooms.return_(person)
        if place.room and (room := self._room(place, gone.time)):
            rooms.reopen(room, [person])
        else:
            self.note(person)

    def _room(self, place: Place, now: float) -> Room | None:
        """Give the room of a place, if nobody has made another one in its stead."""
        table = self._rooms.table
        try:
            behind = table.behind(names.room_name(place.room_name), now)
        except ChatError:  # such a name cannot be by now
            return None
        if behind and behind.id != place.room:
            return None
        room = table.find(place.room_name) or table.open(place.room_name, place.room, now)
        if room.kept:
            table.kept.keep(room)
        return room

    def _begin(self, person: Person, gone: Gone) -> None:
        person.gone = gone
        self._gone[person.who.person] = person
        self.note(person)


def _is_over(person: Person, now: float) -> bool:
    return person.gone is not None and person.gone.until <= now
