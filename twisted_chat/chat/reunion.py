"""How a node finds the others again: people who are here though the chat has lost sight of them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from twisted_chat.chat import names
from twisted_chat.chat.account import account_id
from twisted_chat.chat.answers import Notice, Replay, Shown
from twisted_chat.chat.events import ChatError, Joined, Left, Lost, Reaped, Returned, RoomEvent, Who
from twisted_chat.chat.limits import REPLAYED_AT_MOST
from twisted_chat.chat.names import Name
from twisted_chat.chat.person import Person
from twisted_chat.chat.session import Session

if TYPE_CHECKING:
    from twisted_chat.chat.room import Room
    from twisted_chat.chat.rooms import Rooms

REAPED_AT_ONCE = 500
"""People who are seen to in one event: the others are to notice nothing."""
AWAITED_SECONDS = 20.0
"""For so long those are awaited whom people here saw, and whom the chat does not know."""


def node_of(connection: str) -> str:
    """Tell which node a connection belongs to, by its id."""
    return connection.rpartition(".")[0]


class Reunion:
    """What becomes of people when nodes go, or have to begin anew; a part of `Rooms.apply`."""

    def __init__(self, rooms: "Rooms") -> None:
        self._rooms = rooms
        self._sighted: dict[str, tuple[Who, int]] = {}
        """Who was seen here in which room, by the id of the person, before all began anew."""
        self._awaited: dict[str, tuple[Who, int]] = {}
        """Who of these may have gone."""
        self._returning: dict[str, tuple[int, str]] = {}
        """In which room those were who are announced, and have not come back yet."""
        self._until = 0.0
        self._seen = 0
        """The id of the last event that people here were shown before."""

    # A node that goes

    def reaped(self, event: Reaped) -> None:
        """Carry out that a node is no more: guests leave, and the places of others are kept."""
        rooms = self._rooms
        rooms.operators.forget(event.node)
        all_ = [
            person
            for person in rooms.people.values()
            if person.gone is None and node_of(person.connection) == event.node
        ]
        for person in all_[:REAPED_AT_ONCE]:
            lost = Lost(person.who, person.settings, event.grace, person.connection, event.id)
            lost.id, lost.time = event.id, event.time
            rooms.places.lost(lost)
        if len(all_) > REAPED_AT_ONCE and event.by in ("", rooms.incarnation):
            rooms.backplane.publish(Reaped(event.who, event.node, event.grace, rooms.incarnation))

    # This node, which begins anew

    def begin_anew(self, load: Callable[[], None], seen: int) -> None:
        """Know the chat as ``load`` has it, with those who are connected here.

        :param seen: the id of the last event that they have been shown.
        """
        rooms = self._rooms
        for one in [one for one in rooms.sessions.values() if one.ended]:
            del rooms.sessions[one.id]  # they have gone, and are not to come back for a moment
        sessions = [one for one in rooms.sessions.values() if one.person.who.name]
        here = {session.id for session in sessions}
        self._returning = {id_: room for id_, room in self._returning.items() if id_ in here}
        lost = {room for room, _ in self._returning.values()}
        self._sighted = {id_: one for id_, one in self._sighted.items() if one[1] in lost}
        self._sighted |= self._in_sight(sessions)
        self._awaited = dict(self._sighted)
        self._until = rooms.clock() + AWAITED_SECONDS
        self._seen = seen
        for session in sessions:
            rooms.delivery.settle(session.person)
        rooms.forget_all()
        rooms.operators.share({})
        load()
        rooms.empower()
        for session in sessions:
            rooms.ignoring.begin(session.id, session.ignored)
            self._find_again(session)
        for id_ in self._awaited.keys() & rooms.people.keys():
            del self._awaited[id_]

    def _in_sight(self, sessions: list[Session]) -> dict[str, tuple[Who, int]]:
        seen = {session.person.room for session in sessions}
        return {
            person.who.person: (person.who, room.id)
            for room in seen
            if room
            for person in room.members.values()
        }

    def _find_again(self, session: Session) -> None:
        rooms, before = self._rooms, session.person
        person = rooms.people.get(session.id)
        if person and not person.gone and person.connection == before.connection:
            person.client, session.person = session.client, person
            if before.room and not person.room:
                session.show(Notice(f"you are in {before.room.name.text} no longer"))
            self._catch_up(session, rooms.backplane.last)
            return
        if before.room:
            self._returning[session.id] = before.room.id, before.room.name.text
        before.room, before.connection = None, rooms.new_id()
        room, room_name = self._returning.get(session.id, (0, ""))
        rooms.backplane.publish(
            Returned(
                before.who,
                before.since,
                before.origin,
                before.away,
                before.number,
                session.settings(),
                before.connection,
                room,
                room_name,
            )
        )

    def returned(self, event: Returned) -> None:
        """Carry out that someone is here still, or again."""
        rooms, account = self._rooms, event.who.account
        session = rooms.sessions.get(event.who.person)
        self._returning.pop(event.who.person, None)
        person = rooms.logins.find(account) if account else rooms.people.get(event.who.person)
        if person and not person.gone:  # they have logged in elsewhere meanwhile
            if session and session.person is not person:
                rooms.logins.move_on(session)
            return
        if person is None:
            person = self._person(event, session)
        elif session:
            rooms.sessions.pop(session.id, None)
            session.become(person, None)
            rooms.sessions[session.id] = session
        rooms.places.back(person)
        person.connection, person.client = event.connection, session.client if session else None
        person.settings = event.settings if account else {}
        if event.room and person.room is None:
            self._enter(person, event)
        rooms.places.note(person)
        self._awaited.pop(event.who.person, None)
        if session and session.ended:  # it said so as one whom nobody knew
            session.lost()
        elif session:
            self._catch_up(session, event.id)

    def _person(self, event: Returned, session: Session | None) -> Person:
        """Make someone known again, by their name if it is free."""
        rooms, account = self._rooms, event.who.account
        person = session.person if session else Person(event.who, event.since, None)
        person.origin, person.away = event.origin, event.away
        name = Name.of(event.who.name)
        person.who, person.name, person.number = event.who, Name(name.text, (), name.fold), 0
        rooms.people[event.who.person] = person
        rooms.places.keep_key(person)
        if account and account_id(name.text) == account:
            rooms.logins.make_way(name, event)
        if event.number or rooms.naming.holders(name):
            rooms.naming.give_stranger(person)
        else:
            rooms.naming.give(person, name)
        rooms.logins.return_(person)
        rooms.order.arrived(person, event.time)
        if person.who.name != event.who.name:
            words = f"{event.who.name} is somebody else by now. you are {person.who.name}"
            rooms.delivery.to_person(person, Notice(words))
        return person

    def _enter(self, person: Person, event: Returned) -> None:
        """Have someone in the room in which they were, or in what is in its place."""
        rooms = self._rooms
        try:
            name = names.room_name(event.room_name)
            behind = rooms.table.behind(name, event.time)
            if behind:
                rooms.rights.admit_return(person, name.text, behind, event)
        except ChatError as refused:
            rooms.delivery.to_person(person, Notice(f"you are in no room: {refused}"))
            return
        room = rooms.table.find(name.text) or rooms.table.open(name.text, event.room, event.time)
        if room.kept:
            rooms.kept.keep(room)
        joined = Joined(person.who, room.id, name.text)
        joined.id, joined.time = event.id, event.time
        if event.who.person not in self._awaited:
            rooms.delivery.to_room(room, joined)
        rooms.add_member(room, person)

    # Who was seen here

    def tick(self, now: float) -> None:
        """Have those leave, in the eyes of people here, who have not been found again."""
        if not self._awaited or now < self._until:
            return
        awaited, self._awaited = self._awaited, {}
        for who, id_ in awaited.values():
            if room := self._rooms.rooms.get(id_):
                left = Left(who, id_)
                left.time = now
                self._rooms.delivery.to_room(room, left)

    def _catch_up(self, session: Session, until: int) -> None:
        """Show someone what was said in their room while nothing came through."""
        room = session.person.room
        if room and not session.ended:
            self._rooms.delivery.enter(room, session.person)
            moves = self._moves(session, room)
            self._rooms.start(self._show_missed(session, room.id, moves, self._seen, until))

    def _moves(self, session: Session, room: "Room") -> Sequence[RoomEvent]:
        """Give who has come into a room and left it, for someone who was shown nothing of it."""
        moves: list[RoomEvent] = [
            Left(who, room.id)
            for id_, (who, seen_in) in self._sighted.items()
            if seen_in == room.id and id_ not in room.members and id_ not in self._awaited
        ]
        moves += [
            Joined(person.who, room.id, room.name.text)
            for id_, person in room.members.items()
            if person is not session.person and not self._was_seen(id_, room.id)
        ]
        for move in moves:
            move.time = self._rooms.clock()
        return moves

    def _was_seen(self, person: str, room: int) -> bool:
        return person in self._sighted and self._sighted[person][1] == room

    async def _show_missed(
        self, session: Session, room: int, moves: Sequence[RoomEvent], seen: int, until: int
    ) -> None:
        shown: list[Shown] = [*moves]
        try:
            lines = await self._rooms.store.history(room, REPLAYED_AT_MOST)
            missed = [line for line in lines if seen < line.id <= until]
            missed = [line for line in missed if line.who.identity != session.who.identity]
            if missed := session.heeded(missed):
                shown += [Notice("meanwhile:"), Replay(missed)]
        except ChatError as refused:
            shown.append(Notice(str(refused)))
        finally:  # or the room would never be shown again
            self._rooms.delivery.release(session.person, *shown)
