"""The registry of rooms and people, and the one place where either changes."""

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from twisted_chat.chat import names
from twisted_chat.chat.acts import Act
from twisted_chat.chat.answers import Shown, You
from twisted_chat.chat.changes import Changes
from twisted_chat.chat.commands import COMMANDS, Command
from twisted_chat.chat.events import (
    NOBODY,
    NOWHERE,
    Arrived,
    ChatError,
    Elapsed,
    Empowered,
    Event,
    Joined,
    Left,
    LoggedIn,
    LoggedOut,
    Lost,
    Origin,
    Quit,
    Reaped,
    Reason,
    Renamed,
    Resumed,
    Returned,
    SetUp,
    Told,
    TopicSet,
    Who,
)
from twisted_chat.chat.ignoring import Ignoring
from twisted_chat.chat.introduction import Introduction
from twisted_chat.chat.kept import Kept
from twisted_chat.chat.limits import Limits
from twisted_chat.chat.logins import Logins
from twisted_chat.chat.names import Name
from twisted_chat.chat.naming import Naming
from twisted_chat.chat.operators import Operators
from twisted_chat.chat.order import Order
from twisted_chat.chat.person import Person
from twisted_chat.chat.places import Places
from twisted_chat.chat.plugins import Hooks
from twisted_chat.chat.private import PrivateLines
from twisted_chat.chat.reunion import Reunion, node_of
from twisted_chat.chat.rights import Rights
from twisted_chat.chat.room import Room
from twisted_chat.chat.roomtable import RoomTable
from twisted_chat.chat.session import Session
from twisted_chat.interfaces import IAccounts, IBackplane, IClient, IDelivery, IStore


class Rooms:
    """All rooms and people, as this node knows them.

    `apply` alone changes what is in here, and decides who is shown what; everything else asks.
    """

    def __init__(
        self,
        *,
        backplane: IBackplane,
        store: IStore,
        delivery: IDelivery,
        clock: Callable[[], float],
        start: Callable[[Coroutine[Any, Any, None]], object],
        trouble: Callable[[BaseException, IClient | None], None],
        incarnation: str,
        accounts: IAccounts,
        operators: Operators | None = None,
        limits: Limits | None = None,
        commands: Mapping[str, Command] = COMMANDS,
        hooks: Hooks | None = None,
        version: str = "",
    ) -> None:
        """
        :param clock: gives UTC seconds.
        :param start: runs a coroutine, at once as far as it goes without waiting.
        :param trouble: told of what should not have happened, and to whom, if to one alone.
        :param hooks: of the plugins; None without any.
        :param incarnation: unlike that of every other node and of every earlier start.
        """
        self.backplane = backplane
        self.store = store
        self.delivery = delivery
        self.clock = clock
        self.start = start
        self.trouble = trouble
        self.accounts = accounts
        self.operators = operators or Operators()
        self.limits = limits or Limits()
        self.commands = commands
        self.hooks = hooks
        self.version = version
        self.incarnation = incarnation
        self.motd: list[str] = []
        self.started = clock()
        self.sessions: dict[str, Session] = {}
        """The people who are on this node, by the id of the person."""
        self.reunion = Reunion(self)
        self.arrivals = 0
        """How many have come to this incarnation."""
        self._farewell = ""
        """What all are told who come when it is over; empty before."""
        self.refusals: Counter[Reason] = Counter()
        """How many lines were refused here, by why."""
        self.forget_all()
        backplane.subscribe(self.admit, self.apply)

    # Beginning, and going on

    def forget_all(self) -> None:
        """Know nothing of the chat, as in the beginning; who is connected here stays so."""
        self.people: dict[str, Person] = {}
        self.table = RoomTable(self.store)
        self.rooms, self.roster, self.kept = (
            self.table.by_id,
            self.table.roster,
            self.table.kept,
        )
        self.naming = Naming()
        self.ignoring = Ignoring()
        self.private = PrivateLines(self)
        self.places = Places(self)
        self.logins = Logins(self)
        self.rights = Rights(self)
        self.order = Order(self)
        self.changes = Changes(self)
        self._appliers: dict[type[Event], Callable[[Any], None]] = {
            **self.changes.appliers,
            Told: self.private.told,
            Lost: self.places.lost,
            SetUp: self.places.set_up,
            Reaped: self.reunion.reaped,
            Returned: self.reunion.returned,
            LoggedIn: self.logins.logged_in,
            LoggedOut: self.logins.logged_out,
            Resumed: self.logins.resumed,
            **self.order.appliers,
        }

    def restore(self, kept: Kept) -> None:
        """Go on from what is left of an earlier process."""
        now = self.clock()
        self.backplane.resume(kept.last_id)
        rooms = {room.id: room for room in kept.rooms}
        if everywhere := rooms.pop(self.rights.everywhere.id, None):
            self.rights.everywhere.obey(everywhere.charter.lasting(now, self.people))
        self.kept.restore(rooms.values(), now, self.people)
        self.places.restore(kept.places, kept.last_id, now)

    def return_(self, person: Person) -> None:
        """Have someone here who was here in an earlier process, and is in no room yet."""
        self.people[person.who.person] = person
        self.naming.return_(person)
        self.logins.return_(person)
        self.places.return_(person)

    def reopen(self, room: Room, members: Iterable[Person]) -> None:
        """Have a room in use that was in use in an earlier process, by those who were in it."""
        self.table.reopen(room)
        for person in members:
            self.add_member(room, person)

    def dismiss_absent(self) -> None:
        """Have those gone who were here in an earlier process, and have no connection now."""
        for person in list(self.people.values()):
            is_ours = node_of(person.connection) == self.incarnation
            if is_ours and person.who.person not in self.sessions and person.gone is None:
                self.lose(person, person.settings, self.backplane.last)

    def lose(self, person: Person, settings: dict[str, Any], seen: int) -> None:
        """Take note that the connection of someone is over, who has not left.

        :param settings: what they have set up.
        :param seen: the id of the last event that they were shown.
        """
        lost = Lost(person.who, settings, self.limits.grace, person.connection, seen)
        self.backplane.publish(lost if lost.grace else Quit.of(lost))

    def tick(self) -> None:
        """Have that be over which was to last until now; called every second or so."""
        now = self.clock()
        self.reunion.tick(now)
        if self.places.is_one_over(now) or self.kept.is_one_over(now):
            self.backplane.publish(Elapsed(NOBODY))

    # Asking

    def person(self, name: str) -> Person:
        """Find someone by name.

        :raises ChatError: nobody is called so.
        """
        person = self.naming.find(name)
        if person is None:
            raise ChatError(f"there is nobody called {name}")
        return person

    def room(self, name: str) -> Room:
        """Find a room by name.

        :raises ChatError: there is none.
        """
        room = self.table.find(name)
        if room is None:
            raise ChatError(f"there is no room called {name}. /rooms lists them")
        return room

    def admit(self, event: Event) -> None:
        """Check an event that is claimed, and has its time, against the state as it is now.

        :raises ChatError: it may not be.
        """
        if event.who.person not in self.people:
            raise ChatError("you are not here any more")
        if isinstance(event, Renamed):
            self.naming.refuse_taken(names.nick(event.name), self.people[event.who.person])
        elif isinstance(event, LoggedIn):
            self.logins.admit(event)
        elif isinstance(event, Joined):
            self._admit_joined(event)
        elif isinstance(event, TopicSet):
            self.rights.admit_topic(event)
        elif isinstance(event, Act):
            self.rights.admit_act(event)

    def _admit_joined(self, event: Joined) -> None:
        name = names.room_name(event.name)
        if here := self.table.behind(name, event.time):
            self.rights.admit_joined(event, name.text, here.charter)

    # Coming and going

    def connect(
        self,
        client: IClient,
        wake: Callable[[], None] = lambda: None,
        origin: Origin = NOWHERE,
        after: int | None = None,
        introduction: Introduction | None = None,
    ) -> Session:
        """Let someone in.

        :param wake: called when a session that was busy takes lines again.
        :param after: the id of the last event that they know of, if they come back.
        :param introduction: who they are, if the door knows it already.
        """
        session = Session(self.new_id(), client, self, wake, origin)
        if self._farewell:
            session.turn_away(self._farewell)
            return session
        session.after, session.introduction = after, introduction
        self.sessions[session.id] = session
        self.backplane.publish(Arrived(Who(session.id, None, ""), origin))
        return session

    def new_id(self) -> str:
        """Give an id for someone new."""
        self.arrivals += 1
        return f"{self.incarnation}.{self.arrivals}"

    def close(self, farewell: str) -> None:
        """Send everybody on this node away, without a word to them about each other.

        Whoever comes from now on is sent away, too.
        """
        self._farewell = farewell
        sessions = list(self.sessions.values())
        for session in sessions:
            session.dismiss(farewell)
        for session in sessions:
            session.lose()

    def empower(self) -> None:
        """Have all nodes know who runs the server, as far as this one was told."""
        if self.operators.differ_at(self.incarnation):
            self.backplane.publish(Empowered(NOBODY, self.incarnation, self.operators.own))

    def obey(self, limits: Limits) -> None:
        """Keep to other limits from now on, with those who are here as well."""
        same_flood = limits.flood == self.limits.flood
        self.limits = limits
        if not same_flood:
            for session in self.sessions.values():
                session.fill_bucket()

    # Changing

    def apply(self, event: Event) -> None:
        """Carry out an event that the backplane has numbered."""
        self._appliers[type(event)](event)

    # Parts of a change

    def remove(self, person: Person, event: Event, reason: str = "") -> None:
        """Take someone out of the chat, as part of ``event``."""
        del self.people[person.who.person]
        self.out(person, event, reason)
        self.places.forget(person)
        self.naming.release(person)
        self.logins.forget(person)
        self.delivery.forget(person)
        self.ignoring.forget(person.who.person)

    def rename(self, person: Person, name: Name | None, event: Event) -> None:
        """Give someone a name, or that of a stranger, as part of ``event``."""
        before, room = person.who, person.room
        if room:
            room.roster.remove(person)
        if name:
            self.naming.give(person, name)
        else:
            self.naming.give_stranger(person)
        if room:
            room.roster.add(person)
        self.delivery.to_person(person, person.you())
        self.places.note(person)
        if room and person.who.name != before.name:
            renamed = Renamed(before, room.id, person.name.text)
            renamed.id, renamed.time = event.id, event.time
            self.delivery.to_room(room, renamed, (person,))

    def out(self, person: Person, event: Event, reason: str = "") -> None:
        """Take someone out of the room they are in, if any, as part of ``event``."""
        room = person.room
        if room is None:
            return
        self.delivery.leave(room, person)
        del room.members[person.who.person]
        room.roster.remove(person)
        person.room = None
        if person.who.person in self.people:
            self.places.note(person)
            self.delivery.to_person(person, person.you())
        if not room.members:
            self.table.close(room, event.time)
            return
        left = Left(person.who, room.id, reason)
        left.id, left.time = event.id, event.time
        self.delivery.to_room(room, left)

    def add_member(self, room: Room, person: Person) -> None:
        """Have someone in a room, as part of an event."""
        self.delivery.to_person(person, You(person.who, room.id, room.name.text, room.topic))
        room.members[person.who.person] = person
        room.roster.add(person)
        person.room = room
        self.places.note(person)

    def show(self, person: str, shown: Shown) -> None:
        """Show something to the person of that id, if they are here."""
        if person in self.people:
            self.delivery.to_person(self.people[person], shown)
