"""What comes of what people do, in the main: they come, speak, move about and go."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted_chat.chat import names
from twisted_chat.chat.answers import Notice, Refusal
from twisted_chat.chat.events import (
    Arrived,
    Elapsed,
    Emoted,
    Empowered,
    Event,
    Forgot,
    Joined,
    Left,
    Quit,
    Renamed,
    Reported,
    Said,
    TopicSet,
    WentAway,
)
from twisted_chat.chat.person import Person
from twisted_chat.chat.room import Room

if TYPE_CHECKING:
    from twisted_chat.chat.rooms import Rooms


class Changes:
    """Carries out the simple events; a part of `Rooms.apply`."""

    def __init__(self, rooms: "Rooms") -> None:
        self._rooms = rooms
        self.appliers: dict[type[Event], Callable[[Any], None]] = {
            Said: self._said,
            Emoted: self._said,
            Reported: self._reported,
            Arrived: self._arrived,
            Quit: self.quit,
            Joined: self._joined,
            Left: self._left,
            Renamed: self._renamed,
            TopicSet: self._topic_set,
            WentAway: self._went_away,
            Elapsed: self._elapsed,
            Empowered: self._empowered,
            Forgot: self._forgot,
        }

    def _said(self, event: Said | Emoted) -> None:
        room = self._rooms.rooms.get(event.room)
        speaker = room and room.members.get(event.who.person)
        if not room or not speaker:
            self._rooms.show(event.who.person, Refusal("not said: you are no longer in that room"))
            return
        if room.hushed and (why := self._rooms.rights.hush(event, speaker, room)):
            self._rooms.show(event.who.person, Refusal(f"not said: {why}"))
            return
        if not room.kept:
            self._rooms.kept.keep(room)
        self._rooms.store.record(event)
        client = speaker.client
        deaf: tuple[Person, ...] = () if client is None or client.echo else (speaker,)
        if self._rooms.ignoring.ignorers:
            deaf += self._rooms.ignoring.among(room.members, event.who)
        self._rooms.delivery.to_room(room, event, deaf)

    def _reported(self, event: Reported) -> None:
        room = self._rooms.rooms.get(event.room)
        speaker = room and room.members.get(event.who.person)
        if not room or not speaker:
            return
        if why := self._rooms.rights.hush(event, speaker, room):
            self._rooms.show(event.who.person, Refusal(f"not said: {why}"))
            return
        ignorers = self._rooms.ignoring.among(room.members, event.who)
        self._rooms.delivery.to_room(room, event, ignorers)

    def _arrived(self, event: Arrived) -> None:
        session = self._rooms.sessions.get(event.who.person)
        person = session.person if session else Person(event.who, event.time, None)
        person.origin, person.since = event.origin, event.time
        self._rooms.naming.give_stranger(person)
        self._rooms.people[person.who.person] = person
        self._rooms.order.arrived(person, event.time)
        earlier = self._rooms.places.of(event.origin.key)
        if earlier:
            self._rooms.logins.take_over(person, earlier, event)
            if session:
                session.returned(event.id)
            return
        self._rooms.places.keep_key(person)
        if session:
            session.arrived()

    def quit(self, event: Quit) -> None:
        """Carry out that someone leaves."""
        person = self._rooms.people.get(event.who.person)
        if person and person.connection == event.connection:
            self._rooms.remove(person, event, self._last_words(person, event))
            self._rooms.sessions.pop(person.who.person, None)

    def _last_words(self, person: Person, event: Quit) -> str:
        """Give what someone says in going, if they may say anything."""
        room = person.room
        return "" if room and self._rooms.rights.mute_of(person, room, event.time) else event.reason

    def _joined(self, event: Joined) -> None:
        person = self._rooms.people.get(event.who.person)
        if person is None:
            return
        self._rooms.out(person, event)
        room = self._rooms.table.find(event.name) or self._make_room(event)
        event.room = room.id
        self._rooms.delivery.to_room(room, event)
        self._rooms.add_member(room, person)
        self._rooms.delivery.enter(room, person)

    def _left(self, event: Left) -> None:
        person = self._rooms.people.get(event.who.person)
        if person and person.room and person.room.id == event.room:
            self._rooms.out(person, event, event.reason)

    def _renamed(self, event: Renamed) -> None:
        person = self._rooms.people.get(event.who.person)
        if person is None:
            return
        self._rooms.delivery.to_person(person, Notice(f"all right, I will call you {event.name}"))
        self._rooms.rename(person, names.nick(event.name), event)

    def _topic_set(self, event: TopicSet) -> None:
        room = self._rooms.rooms.get(event.room)
        speaker = room and room.members.get(event.who.person)
        if not room or not speaker or self._rooms.rights.hush(event, speaker, room):
            return
        room.topic = event.text
        self._rooms.kept.keep(room)
        self._rooms.delivery.to_room(room, event)

    def _went_away(self, event: WentAway) -> None:
        person = self._rooms.people.get(event.who.person)
        if person is None:
            return
        person.away = event.text
        self._rooms.places.note(person)
        words = "you are back" if event.text is None else "you are marked as away"
        self._rooms.delivery.to_person(person, Notice(words))

    def _elapsed(self, event: Elapsed) -> None:
        self._rooms.places.give_up(event)
        self._rooms.kept.erase_expired(event.time)

    def _empowered(self, event: Empowered) -> None:
        self._rooms.operators.obey(event.node, event.accounts)

    def _forgot(self, event: Forgot) -> None:
        self._rooms.store.forget(event.who.identity, event.id)

    def _make_room(self, event: Joined) -> Room:
        room = self._rooms.table.open(event.name, event.id, event.time)
        self._rooms.order.own(room, event.who.account)
        if room.kept or room.charter.owner:
            self._rooms.kept.keep(room)
        return room
