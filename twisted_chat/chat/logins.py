"""What it means that someone has proved who they are."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from twisted_chat.chat.account import account_id
from twisted_chat.chat.answers import Notice
from twisted_chat.chat.events import ChatError, Event, LoggedIn, LoggedOut, Resumed
from twisted_chat.chat.names import Name
from twisted_chat.chat.person import Person

if TYPE_CHECKING:
    from twisted_chat.chat.rooms import Rooms
    from twisted_chat.chat.session import Session

ELSEWHERE = "you have logged in elsewhere, and go on there. goodbye"


class Logins:
    """Who is here with an account; a part of `Rooms.apply`."""

    def __init__(self, rooms: "Rooms") -> None:
        self._rooms = rooms
        self._people: dict[str, Person] = {}
        """By the id of the account."""

    def find(self, account: str) -> Person | None:
        """Find who is here with an account."""
        return self._people.get(account)

    def return_(self, person: Person) -> None:
        """Take note of someone who was here in an earlier process."""
        if person.who.account:
            self._people[person.who.account] = person

    def people(self) -> Iterable[Person]:
        """Give all who are here with an account."""
        return self._people.values()

    def admit(self, event: LoggedIn) -> None:
        """Check whether someone may log in.

        :raises ChatError: they are logged in already or banned, or somebody is logged in whose
            name looks the same.
        """
        self._rooms.rights.admit_login(event.account, event.time)
        person = self._rooms.people[event.who.person]
        if person.who.account:
            raise ChatError(f"you are logged in as {person.who.account[1:]}. usage: /logout")
        for holder in self._rooms.naming.holders(Name.of(event.name)):
            its_own = holder.who.account == account_id(holder.name.text)
            if its_own and holder.who.account != event.account:
                raise ChatError(f'"{event.name}" looks like "{holder.name.text}", who is logged in')

    def logged_in(self, event: LoggedIn) -> None:
        """Carry out a login: as someone new here, or as someone who is here already."""
        person = self._rooms.people.get(event.who.person)
        if person is None:
            return
        if earlier := self._people.get(event.account):
            self.take_over(person, earlier, event)
            return
        name = Name.of(event.name)
        self.make_way(name, event, person)
        self._people[event.account] = person
        person.who = person.who._replace(account=event.account)
        self._rooms.rename(person, name, event)
        self._rooms.order.became(person, event)
        if session := self._rooms.sessions.get(person.who.person):
            session.keep_settings()

    def logged_out(self, event: LoggedOut) -> None:
        """Carry out a logout."""
        account = event.who.account or ""
        if event.for_good:
            self._rooms.order.abandon(account, event.time)
            self._rooms.private.abandon(account)
        person = self._people.get(account)
        if person is None:
            return
        self._rooms.places.forget(person)
        self.forget(person)
        person.who = person.who._replace(account=None)
        self._rooms.rename(person, None, event)
        self._rooms.order.became(person, event)

    def forget(self, person: Person) -> None:
        """Take note that someone is here with their account no longer."""
        if person.who.account:
            self._people.pop(person.who.account, None)

    def make_way(self, name: Name, event: Event, own: Person | None = None) -> None:
        """Have a name free, as part of ``event``, for who has an account of that name.

        :param own: who that is, if they may have it already.
        """
        for guest in self._rooms.naming.holders(name):
            if guest is own:
                continue
            self._rooms.rename(guest, None, event)
            words = f"that name belongs to an account. you are {guest.name.text} now"
            self._rooms.delivery.to_person(guest, Notice(words))

    def move_on(self, session: "Session") -> None:
        """End a connection in whose place another one has gone on."""
        self._rooms.sessions.pop(session.id, None)
        session.give_way(ELSEWHERE)

    def take_over(self, newcomer: Person, earlier: Person, event: Event) -> None:
        """Have the newcomer's connection go on as the person who is here already."""
        rooms = self._rooms
        session = rooms.sessions.pop(newcomer.who.person, None)
        left = rooms.sessions.pop(earlier.who.person, None)
        client = newcomer.client
        rooms.delivery.to_person(newcomer, earlier.you())
        rooms.delivery.settle(newcomer)
        rooms.remove(newcomer, event)
        rooms.places.forget_key(earlier)
        earlier.client, earlier.origin = client, newcomer.origin
        earlier.connection = newcomer.connection
        gone = rooms.places.back(earlier)
        rooms.places.note(earlier)
        rooms.order.moved(earlier, event)
        if session:
            session.become(earlier, gone)
            rooms.sessions[earlier.who.person] = session
        rooms.places.keep_key(earlier)
        if earlier.room and session and (gone or session.after is not None):
            rooms.delivery.enter(earlier.room, earlier)
        if left:
            settings = left.give_way(ELSEWHERE)
            rooms.backplane.publish(Resumed(earlier.who, settings))
        if session and session.ended:  # it said so as the newcomer, whom nobody knows any more
            session.lost()

    def resumed(self, event: Resumed) -> None:
        """Have the settings of an older connection in the one that goes on in its place."""
        if session := self._rooms.sessions.get(event.who.person):
            session.set_up(event.settings)
