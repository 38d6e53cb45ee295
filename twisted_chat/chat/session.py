"""One person's connection: who they are in the chat, and what they have set up."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from twisted_chat.chat.answers import Notice, Refusal, Shown
from twisted_chat.chat.charter import Rank
from twisted_chat.chat.comeback import show_letters, welcome_back
from twisted_chat.chat.commands import LOGIN_USAGE
from twisted_chat.chat.events import (
    NOWHERE,
    ChatError,
    Ending,
    Line,
    Origin,
    Quit,
    Reported,
    SetUp,
    Who,
)
from twisted_chat.chat.intake import Intake
from twisted_chat.chat.introduction import Introduction, introduce
from twisted_chat.chat.person import Person
from twisted_chat.chat.place import Gone
from twisted_chat.chat.sanitize import typed

if TYPE_CHECKING:
    from twisted_chat.chat.room import Room
    from twisted_chat.chat.rooms import Rooms
    from twisted_chat.interfaces import IClient

RECORD_VERSION = 1


class Session(Intake):
    """What belongs to one connection alone."""

    __slots__ = (
        "absence",
        "after",
        "id",
        "ignored",
        "introduction",
        "person",
        "quiet",
        "reply_to",
        "zone",
    )

    def __init__(
        self,
        id: str,  # noqa: A002
        client: "IClient",
        rooms: "Rooms",
        wake: Callable[[], None],
        origin: Origin = NOWHERE,
    ) -> None:
        """
        :param id: of the person.
        :param wake: called when a session that was busy takes lines again.
        """
        super().__init__(client, rooms, wake)
        self.id = id
        self.person = Person(Who(id, None, ""), rooms.clock(), client, origin)
        self.absence: Gone | None = None
        """How they were gone, until they have been shown what they missed."""
        self.after: int | None = None
        """The id of the last event that they know of, if they say so: the next room shows more."""
        self.introduction: Introduction | None = None
        """Who they have said they are, until they are."""
        self.zone: str | None = None
        self.quiet = False
        self.reply_to: Who | None = None
        self.ignored: dict[str, str] = {}
        """The names of those ignored, as they were then, by identity."""

    # Being here

    @property
    def who(self) -> Who:
        return self.person.who

    @property
    def room(self) -> "Room":
        """The room they are in; a command that needs one is guarded by ``in_room``."""
        assert self.person.room is not None
        return self.person.room

    @property
    def account(self) -> str:
        """The id of their account; a command that needs one is guarded by ``account``."""
        assert self.who.account is not None
        return self.who.account

    @property
    def rank(self) -> Rank:
        """What they are where they are."""
        return self.rooms.rights.rank(self.who.account, self.person.room)

    def show(self, *shown: Shown) -> None:
        """Show something to this person alone."""
        for one in shown:
            self.rooms.delivery.to_person(self.person, one)

    def report(self, text: str) -> None:
        """Tell the room, them included, what this person did: ``> ann rolled a die: 6``.

        Nobody can type such a line.  A command that does this is guarded by ``in_room``.

        :raises ChatError: it is longer than a line may be.
        """
        text = typed(text, self.rooms.limits.max_line)
        self.rooms.backplane.publish(Reported(self.who, self.room.id, text))

    @property
    def is_known(self) -> bool:
        """Whether the chat knows the person by now."""
        return bool(self.who.name)

    def put_off(self, why: str) -> None:
        """Tell someone whom the chat does not know yet that this takes a while."""
        self.show(Notice(f"{why}. /quit leaves"))
        self.is_put_off = True

    def arrived(self) -> None:
        """Begin: the chat knows the person now."""
        self.is_put_off = False
        self.show(self.person.you())
        if self.introduction:
            self.rooms.start(self._introduced(self.introduction))
        else:
            self._welcome()
            self._ready()

    async def _introduced(self, introduction: Introduction) -> None:
        self.introduction = None
        if not await introduce(self, introduction):
            self._welcome()
        self._ready()

    def _welcome(self) -> None:
        self.show(
            Notice(
                f"welcome. you are {self.who.name}. /nick NAME takes a name, "
                "/join ROOM enters a room, /help tells the rest"
            ),
            *self.motd(),
            *self._bar(),
        )

    def returned(self, begin: int) -> None:
        """Begin again: the chat knows the person still, by their key.

        :param begin: the id of the event by which they came back.
        """
        self.is_put_off = False
        self.rooms.start(self._welcome_back(begin))

    async def _welcome_back(self, begin: int) -> None:
        room = self.person.room
        where = f". you are in {room.name.text}" if room else ""
        try:
            await welcome_back(self, begin, f"welcome back, {self.who.name}{where}")
            if self.who.account:
                await show_letters(self)
        except ChatError as refused:
            self.show(Refusal(str(refused)))
        finally:
            self._ready()

    def _ready(self) -> None:
        self._busy = False
        self._resume()

    def motd(self) -> list[Shown]:
        """Give the message of the day; the dash tells it from what people say."""
        return [Notice(f"- {line}") for line in self.rooms.motd]

    def _bar(self) -> list[Shown]:
        why = self.rooms.rights.bar(self.person, self.rooms.clock())
        return [Refusal(f"{why}. usage: {LOGIN_USAGE}")] if why else []

    def take_after(self) -> int | None:
        """Give after which event the room that is entered now begins, if that was asked for."""
        after, self.after = self.after, None
        return after

    def told_by(self, who: Who) -> None:
        """Remember whom `/reply` answers."""
        self.reply_to = who

    def adapt(self, *, zone: str | None, quiet: bool) -> None:
        """Change how things are shown to this person.

        :raises ValueError: there is no such time zone.
        """
        self._adapt(zone, quiet)
        self.keep_settings()

    def _adapt(self, zone: str | None, quiet: bool) -> None:
        self.client.format = self.client.format.adapted(zone, quiet)
        self.zone, self.quiet = zone, quiet

    def heeded(self, lines: Iterable[Line]) -> list[Line]:
        """Leave out the lines of those who are ignored."""
        return [line for line in lines if line.who.identity not in self.ignored]

    def ignore(self, who: Who) -> None:
        self.ignored[who.identity] = who.name
        self.rooms.ignoring.begin(self.id, [who.identity])
        self.keep_settings()

    def unignore(self, identity: str) -> None:
        del self.ignored[identity]
        self.rooms.ignoring.end(self.id, [identity])
        self.keep_settings()

    # Going

    def leave(self, farewell: Notice | Refusal, reason: str, ending: Ending) -> None:
        """Go: the person sees ``farewell``, the others ``reason``."""
        self.show(farewell)
        self.end(reason)
        self.client.close(farewell.text, ending)

    def dismiss(self, farewell: str) -> None:
        """Send the person away; they hear nothing more, not even who leaves after them."""
        self.show(Notice(farewell))
        self.rooms.delivery.settle(self.person)
        self.person.client = None
        self.client.close(farewell, Ending.OVER)

    def turn_away(self, farewell: str) -> None:
        """Send away someone whom the chat does not know, and will not."""
        self.ended = True
        self.client.send(self.client.format.render(Notice(farewell)))
        self.client.close(farewell, Ending.OVER)

    def give_way(self, farewell: str) -> dict[str, Any]:
        """End, but leave the person here: another connection goes on as them.

        :returns: the settings, for the other.
        """
        self.client.send(self.client.format.render(Refusal(farewell)))
        self.ended = True
        self.rooms.ignoring.end(self.id, self.ignored)
        self.client.close(farewell, Ending.ELSEWHERE)
        return self.settings()

    def become(self, person: Person, gone: Gone | None) -> None:
        """Go on as someone who is here already, or was ``gone``."""
        self.rooms.ignoring.end(self.id, self.ignored)
        self.ignored = {}
        self.person = person
        self.id = person.who.person
        self.absence = gone
        if gone and person.settings:
            self.set_up(person.settings)

    def caught_up(self) -> None:
        """Take note that the person has been shown what they missed."""
        self.absence = None

    def end(self, reason: str = "") -> None:
        """Leave the chat; a second time does nothing."""
        if not self.ended:
            self._end()
            connection = self.person.connection
            self.rooms.backplane.publish(Quit(self.who, reason, connection))

    def lose(self) -> None:
        """Take note that the connection is over; a second time does nothing."""
        if not self.ended:
            self._end()
            self.lost()

    def lost(self) -> None:
        """Tell the chat that the connection is over."""
        first = self.rooms.delivery.unsent()
        seen = first - 1 if first else self.rooms.backplane.last
        self.rooms.lose(self.person, self.settings(), self.absence.seen if self.absence else seen)

    def _end(self) -> None:
        self.ended = True
        self.rooms.delivery.settle(self.person)
        self.rooms.ignoring.end(self.id, self.ignored)

    # Moving to another connection, or another process

    def settings(self) -> dict[str, Any]:
        """Give what the person has set up, as plain JSON data."""
        return {
            "zone": self.zone,
            "quiet": self.quiet,
            "reply_to": self.reply_to and list(self.reply_to),
            "ignored": dict(self.ignored),
        }

    def keep_settings(self) -> None:
        """Have the chat know what someone with an account has set up: it may have to go on."""
        settings = self.settings()
        if self.who.account and (any(settings.values()) or self.person.settings):
            self.rooms.backplane.publish(SetUp(self.who, settings))

    def set_up(self, settings: dict[str, Any]) -> None:
        """Have things as `settings` gave them."""
        self._adapt(settings["zone"], settings["quiet"])
        self.reply_to = Who(*settings["reply_to"]) if settings["reply_to"] else None
        self.ignored = dict(settings["ignored"])
        self.rooms.ignoring.begin(self.id, self.ignored)

    def to_record(self) -> dict[str, Any]:
        """Give all of this that is not the chat's, as plain JSON data.

        A session can be recorded only while no command of it is under way.
        """
        return {
            "version": RECORD_VERSION,
            "person": self.id,
            "settings": self.settings(),
            "asked": list(self.asked),
            "allowance": self._bucket and self._bucket.tokens,
            "after": self.after,
        }

    @classmethod
    def from_record(
        cls,
        record: dict[str, Any],
        client: "IClient",
        rooms: "Rooms",
        wake: Callable[[], None] = lambda: None,
    ) -> "Session":
        """Carry on where `to_record` left off; the person is among ``rooms.people``.

        :raises ValueError: the record is of another version.
        """
        if record["version"] != RECORD_VERSION:
            raise ValueError(f"a session of version {record['version']}, not {RECORD_VERSION}")
        session = cls(record["person"], client, rooms, wake)
        session.person = rooms.people[session.id]
        session.person.client = client
        session.set_up(record["settings"])
        session.asked = tuple(record["asked"])
        session.after = record.get("after")  # earlier ones have none
        if session._bucket and record["allowance"] is not None:
            session._bucket.tokens = record["allowance"]
        rooms.sessions[session.id] = session
        session._busy = False
        return session
