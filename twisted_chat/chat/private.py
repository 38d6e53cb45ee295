"""What is told to one person alone."""

from typing import TYPE_CHECKING

from twisted_chat.chat.answers import Notice, Refusal, Sent
from twisted_chat.chat.events import Told, Who
from twisted_chat.chat.person import Person

if TYPE_CHECKING:
    from twisted_chat.chat.rooms import Rooms


class PrivateLines:
    """Private lines, and the letters that wait; a part of `Rooms.apply`."""

    def __init__(self, rooms: "Rooms") -> None:
        self._rooms = rooms

    def addressee(self, who: Who) -> Person | None:
        """Find someone whom a private line is for: by the account, if they have one."""
        found = self._rooms.logins.find(who.account) if who.account else None
        return found or self._rooms.people.get(who.person)

    def told(self, event: Told) -> None:
        """Carry out that someone tells somebody something."""
        rooms, to = self._rooms, self.addressee(event.to)
        if to is None or to.gone:
            self._keep_letter(event)
            return
        if not rooms.ignoring.ignores(to.who.person, event.who):
            rooms.delivery.to_person(to, event)
            if session := rooms.sessions.get(to.who.person):
                session.told_by(event.who)
        if event.who.person == to.who.person:
            return
        rooms.show(event.who.person, Sent(event))
        if to.away is not None:
            rooms.show(event.who.person, Notice(_away_words(to)))

    def abandon(self, account: str) -> None:
        """Have nobody answer an account that is gone: another one may have its name."""
        for session in self._rooms.sessions.values():
            if session.reply_to and session.reply_to.account == account:
                session.reply_to = session.reply_to._replace(account=None)

    def _keep_letter(self, event: Told) -> None:
        rooms, sender, to = self._rooms, event.who.person, event.to
        if to.account is None:
            rooms.show(sender, Refusal(f"there is nobody called {to.name} now"))
            return
        rooms.store.keep_letter(event)
        rooms.show(sender, Sent(event))
        rooms.show(sender, Notice(f"{to.name} is not here; it waits"))


def _away_words(person: Person) -> str:
    return f"{person.name.text} is away" + (f": {person.away}" if person.away else "")
