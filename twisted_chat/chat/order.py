"""What comes of what operators do."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted_chat.chat.acts import (
    Act,
    Announced,
    Appointed,
    Invited,
    KeySet,
    Kicked,
    Locked,
    Pardoned,
    PasswordGiven,
    Sanctioned,
    Slowed,
)
from twisted_chat.chat.answers import Notice, Refusal, Shown
from twisted_chat.chat.charter import EVERYONE, Charter, Rank, Sanction
from twisted_chat.chat.events import Deed, Ending, Event
from twisted_chat.chat.limits import ROOMS_OWNED
from twisted_chat.chat.person import Person
from twisted_chat.chat.rights import details
from twisted_chat.chat.room import Room

if TYPE_CHECKING:
    from twisted_chat.chat.rooms import Rooms

ABANDONED_SECONDS = 60
"""For so long somebody may still mean an account that is gone."""


class Order:
    """Carries out what keeps order; a part of `Rooms.apply`."""

    def __init__(self, rooms: "Rooms") -> None:
        self._rooms = rooms
        self._rights = rooms.rights
        self.everywhere = rooms.rights.everywhere
        self.appliers: dict[type[Event], Callable[[Any], None]] = {
            Kicked: self._kicked,
            Sanctioned: self._sanctioned,
            Pardoned: self._pardoned,
            Appointed: self._appointed,
            Invited: self._invited,
            Locked: self._locked,
            KeySet: self._key_set,
            Slowed: self._slowed,
            Announced: self._announced,
            PasswordGiven: self._password_given,
        }

    # Coming and going

    def arrived(self, person: Person, now: float) -> None:
        """See whether someone new has to log in first."""
        person.barred = self.everywhere.charter.against(person, "ban", now)

    def own(self, room: Room, account: str | None) -> None:
        """Have a room that was made belong to who made it, if it can."""
        if account is None or room.charter.owner:
            return
        if self._rooms.kept.owned_by(account) < ROOMS_OWNED:
            room.obey(room.charter._replace(owner=account))

    def became(self, person: Person, event: Event) -> None:
        """See what holds for someone who has logged in or out."""
        self.arrived(person, event.time)
        self._heed_bans(person, event)

    def moved(self, person: Person, event: Event) -> None:
        """See what holds for someone who goes on from another address.

        A lockdown is against newcomers: it holds for whom it held before.
        """
        bans = self.everywhere.charter.pardoned("ban", EVERYONE)
        person.barred = person.barred or bans.against(person, "ban", event.time)
        self._heed_bans(person, event)

    def _heed_bans(self, person: Person, event: Event) -> None:
        room = person.room
        if room is None or self._rights.rank(person.who.account, room) is not Rank.MEMBER:
            return
        if why := self._rights.bar(person, event.time):
            self._put_out(person, event, why)
        elif ban := room.charter.against(person, "ban", event.time):
            words = f"you are banned from {room.name.text}{details(ban, event.time)}"
            self._put_out(person, event, words)

    def abandon(self, account: str, now: float) -> None:
        """Have an account be nobody any more, in all rooms: it is gone."""
        of_late = self._rights.abandoned.items()
        lately = {one: then for one, then in of_late if now - then < ABANDONED_SECONDS}
        self._rights.abandoned = {**lately, account: now}
        for room in self._rooms.rooms.values():
            if room.charter.names(account):
                self._lay_down(room, self._without(room.charter, account))
        for kept in self._rooms.kept.named_in(account):
            self._rooms.kept.lay_down(kept, self._without(kept.charter, account))

    def _without(self, charter: Charter, account: str) -> Charter:
        """Take all roles from an account; another operator follows as owner."""
        left = charter.without(account)
        if charter.owner != account:
            return left
        heir = self._rights.heir(charter)
        return left.without(heir)._replace(owner=heir)

    # Acting

    def _kicked(self, act: Kicked) -> None:
        room, person = self._rooms.rooms.get(act.room), self._rooms.people.get(act.whom.person)
        if room is None or person is None or person.room is not room:
            return
        self._announce(room, act)
        charter = room.charter.uninvited(person.who.person).uninvited(person.who.account or "")
        if charter != room.charter:
            self._lay_down(room, charter)
        self._put_out(person, act, f"you were kicked out of {room.name.text}{_why(act)}")

    def _sanctioned(self, act: Sanctioned) -> None:
        room, sanction = self._rights.scope(act.room), act.sanction
        if room is None:
            return
        self._announce(room, act)
        charter = self._without(self._lasting(room, act), sanction.subject)
        if sanction.kind == "ban":
            charter = self._without_invited(charter, sanction)
        self._lay_down(room, charter.sanctioned(sanction))
        more = details(sanction, act.time)
        for person in self._meant(sanction, room):
            if room is self.everywhere:
                self._send_away(person, act, f"you are banned{more}")
            elif sanction.kind == "mute":
                self._tell(person, f"you are muted in {room.name.text}{more}")
            else:
                self._put_out(person, act, f"you are banned from {room.name.text}{more}")

    def _without_invited(self, charter: Charter, sanction: Sanction) -> Charter:
        """Take back the invitations of guests, or who were guests then, whom a sanction hits."""
        people = self._rooms.people
        for one in charter.invited:
            if one in people and sanction.is_meant(people[one]):
                charter = charter.uninvited(one)
        return charter

    def _meant(self, sanction: Sanction, room: Room) -> list[Person]:
        """Find whom a sanction hits of those who are here, and no operators."""
        if sanction.subject == EVERYONE:
            return []
        here = self._rooms.people if room is self.everywhere else room.members
        return [
            person
            for person in here.values()
            if sanction.is_meant(person)
            and self._rights.rank(person.who.account, room) is Rank.MEMBER
        ]

    def _pardoned(self, act: Pardoned) -> None:
        room, sanction = self._rights.scope(act.room), act.sanction
        if room is None:
            return
        self._lay_down(room, room.charter.pardoned(sanction.kind, sanction.subject))
        self._announce(room, act)

    def _appointed(self, act: Appointed) -> None:
        room, account = self._rooms.rooms.get(act.room), act.whom.account
        if room is None or account is None:
            return
        charter = self._without(room.charter, account)
        if act.rank is Rank.OWNER:
            charter = charter._replace(owner=account)
        elif act.rank is Rank.OPERATOR:
            charter = charter._replace(operators=(*charter.operators, account))
        self._lay_down(room, charter)
        self._announce(room, act)
        if person := self._rooms.logins.find(account):
            self.became(person, act)

    def _invited(self, act: Invited) -> None:
        room = self._rooms.rooms.get(act.room)
        if room is None:
            return
        charter = self._lasting(room, act).uninvited(act.whom.identity)
        invited = (*charter.invited, act.whom.identity)
        self._lay_down(room, charter._replace(invited=invited))
        self._announce(room, act)
        if person := self._rooms.private.addressee(act.whom):
            name = room.name.text
            self._tell(person, f"{act.who.name} invites you. /join {name} takes you to {name}")

    def _locked(self, act: Locked) -> None:
        self._change(act, locked=act.locked)

    def _key_set(self, act: KeySet) -> None:
        self._change(act, key=act.key)

    def _slowed(self, act: Slowed) -> None:
        self._change(act, slow=act.seconds)

    def _change(self, act: Act, **changes: object) -> None:
        if room := self._rooms.rooms.get(act.room):
            self._lay_down(room, room.charter._replace(**changes))  # type: ignore[arg-type]
            self._announce(room, act)

    def _announced(self, act: Announced) -> None:
        self._note(self.everywhere, act)
        for room in self._rooms.rooms.values():
            self._rooms.delivery.to_room(room, act)
        for person in self._rooms.people.values():
            if person.room is None:
                self._rooms.delivery.to_person(person, act)

    def _password_given(self, act: PasswordGiven) -> None:
        self._announce(self.everywhere, act)

    # Parts of an act

    def _lasting(self, room: Room, act: Act) -> Charter:
        """Give what is laid down for a room, without what is over by now."""
        return room.charter.lasting(act.time, self._rooms.people)

    def _lay_down(self, room: Room, charter: Charter) -> None:
        room.obey(charter)
        self._rooms.kept.keep(room)

    def tell_operators(self, shown: Shown) -> None:
        """Show something to the operators of the server who are here."""
        for person in self._rooms.logins.people():
            if person.who.account in self._rooms.operators:
                self._rooms.delivery.to_person(person, shown)

    def _announce(self, room: Room, act: Act) -> None:
        """Show an act to those whom it concerns, and keep it."""
        self._note(room, act)
        if room is not self.everywhere:
            self._rooms.delivery.to_room(room, act)
            return
        self.tell_operators(act)

    def _note(self, room: Room, act: Act) -> None:
        self._rooms.store.note(Deed(act.id, act.time, act.who, room.name.text, act.words))

    def _put_out(self, person: Person, event: Event, words: str) -> None:
        self._tell(person, words)
        self._rooms.out(person, event)

    def _send_away(self, person: Person, act: Act, words: str) -> None:
        self._rooms.out(person, act)
        if person.gone:
            self._rooms.remove(person, act)
        elif session := self._rooms.sessions.get(person.who.person):
            session.leave(Refusal(words), "", Ending.BANNED)

    def _tell(self, person: Person, words: str) -> None:
        self._rooms.delivery.to_person(person, Notice(words))


def _why(act: Kicked) -> str:
    return f" by {act.who.name}" + (f": {act.reason}" if act.reason else "")
