"""The edges of the core: what the rules ask of the world, and the world of the rules.

Everything here is small on purpose: a door, a store or a backplane is one class that
provides one of these.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted_chat.chat.account import Account, AccountRecord
    from twisted_chat.chat.answers import Shown
    from twisted_chat.chat.commands import Command
    from twisted_chat.chat.events import Deed, Ending, Event, Line, Told
    from twisted_chat.chat.kept import Kept, KeptRoom
    from twisted_chat.chat.person import Person
    from twisted_chat.chat.place import Place
    from twisted_chat.chat.room import Room
    from twisted_chat.chat.session import Session
    from twisted_chat.histogram import Histogram


class IChatPlugin(Interface):
    """What an installed distribution adds to a chat.

    The hooks are called in the reactor's thread and answer at once: all of the chat waits.  They
    are asked on the node of the person, before anything has happened.  One that raises anything
    but `ChatError` is logged, and counts as if it were not there.
    """

    name: str = Attribute("what logs call it, of ``a-z``, ``0-9`` and ``-``")
    commands: "Sequence[Command]" = Attribute("what people can type because of it")

    def on_join(session: "Session", room_name: str) -> str:
        """Tell which room ``session`` enters that wants to enter ``room_name``.

        :raises ChatError: none; the person is told why.
        """

    def on_say(session: "Session", text: str) -> str:
        """Tell what ``session`` says to the room, as a line or by `/me`.

        :returns: ``text``, or another; it is held to what holds for typed text.
        :raises ChatError: nothing; the person is told why.
        """

    def on_leave(session: "Session", reason: str) -> str:
        """Tell what those who stay read of why ``session`` leaves, by `/leave` or `/quit`.

        :param reason: what was typed, perhaps nothing.
        :returns: at most 200 characters; more are cut off.
        :raises ChatError: nothing; the person leaves all the same.
        """


class IFormat(Interface):
    """How events look on one kind of wire.

    Formats are compared by identity or hash: members that share one share the bytes.
    """

    def render(event: "Shown") -> bytes:
        """Give the bytes of ``event``, its line ends included; ``b""`` hides it."""

    def adapted(zone: str | None, quiet: bool) -> "IFormat":
        """Give this format with the wishes of one person.

        :param zone: the time zone in which lines are stamped, None for no stamps.
        :param quiet: whether joins and leaves are hidden.
        :raises ValueError: there is no such time zone.
        """


class IClient(Interface):
    """One person's way in and out: a telnet connection, a web socket, a bot in the process."""

    format: IFormat = Attribute("how what this client is sent looks; the session may replace it")
    echo: bool = Attribute("whether the client hears the lines of its own person")
    exposed: bool = Attribute("whether others can read along: not encrypted, and from afar")

    def send(data: bytes) -> None:
        """Take ``data`` for the person; never blocks, never raises, bounded by the provider."""

    def conceal(hidden: bool) -> None:
        """Have what is typed not shown, or shown again, as far as that can be."""

    def close(reason: str, ending: "Ending") -> None:
        """Let out what waits, then end the connection.

        :param reason: in a few words.
        """


class IDelivery(Interface):
    """Who is shown what, and in which order: a turn's events leave together."""

    lines_shown: int = Attribute("how many lines people were shown, for each of them")
    bytes_shown: int = Attribute("how many bytes those had, line ends included")

    def to_room(room: "Room", event: "Event", without: "Sequence[Person]" = ()) -> None:
        """Show ``event`` to the members of ``room``, except those in ``without``."""

    def to_person(person: "Person", shown: "Shown") -> None:
        """Show something to one person, after all that person was owed before."""

    def enter(room: "Room", person: "Person") -> None:
        """Begin with ``person`` in ``room``; hold their room lines back until `release`."""

    def release(person: "Person", *first: "Shown") -> None:
        """Show ``first``, then what was held back since `enter`."""

    def leave(room: "Room", person: "Person") -> None:
        """Stop with ``person`` in ``room``: they are owed what was said until now, no more."""

    def settle(person: "Person") -> None:
        """Send at once what ``person`` is owed."""

    def unsent() -> int:
        """Give the id of the first event of the turn; it is not sent yet.  0 for none."""

    def forget(person: "Person") -> None:
        """Drop whatever waits for ``person``, who has gone."""


class IHistory(Interface):
    """What was said in each room."""

    def record(event: "Line") -> None:
        """Keep a line; one whose ``id`` is kept already is ignored."""

    def history(room: int, limit: int, since: float = 0.0) -> Awaitable[Sequence["Line"]]:
        """Give the newest lines of a room, oldest first.

        :param room: the id of the room.
        :param limit: how many at most.
        :param since: UTC seconds; older lines are left out.
        """

    def search(room: int, words: Sequence[str], limit: int) -> Awaitable[Sequence["Line"]]:
        """Give the newest lines of a room that hold all ``words``, newest first.

        :param words: in any letter case, each anywhere in a line.
        :param limit: how many at most.
        """

    def forget(identity: str, until: int) -> None:
        """Erase what someone has said, in any room.

        :param identity: of a person, as events have it.
        :param until: the id of the last event that is meant.
        """

    def erase(room: int) -> None:
        """Erase a room, and all lines of it."""


class IBook(Interface):
    """Accounts, and the letters that wait for them."""

    def account(keys: Sequence[str]) -> "Awaitable[AccountRecord | None]":
        """Find the account that is called so, or looks like it.

        :param keys: those of a name; one is enough.
        :raises ChatError: it cannot be read now.
        """

    def keep_account(record: "AccountRecord") -> Awaitable[None]:
        """Keep an account as it is now; done once it is safe.

        :raises ChatError: it cannot be kept now.
        """

    def drop_account(id_: str) -> Awaitable[None]:
        """Keep an account no longer; done once that is safe."""

    def keep_letter(event: "Told") -> None:
        """Keep a private line for an account, unless there are too many already."""

    def letters(account: str) -> "Awaitable[Sequence[Told]]":
        """Give the letters that wait for an account, oldest first.

        :raises ChatError: they cannot be read now.
        """

    def drop_letters(account: str, until: int) -> None:
        """Keep the letters of an account no longer, up to an id."""


class IAudit(Interface):
    """Who did what to keep order."""

    def note(deed: "Deed") -> None:
        """Keep a deed; one whose ``id`` is kept already is ignored."""

    def deeds(limit: int) -> "Awaitable[Sequence[Deed]]":
        """Give the newest deeds, oldest first.

        :raises ChatError: they cannot be read now.
        """


class IStore(IHistory, IBook, IAudit):
    """What outlives the moment."""

    backlog: int = Attribute("about how many bytes wait to be kept")
    trouble: str = Attribute("why nothing can be kept now, in a few words; empty if it can")
    commits: "Histogram" = Attribute("how many seconds it took to keep things, each time")

    form: str = Attribute("what it is kept in; only what has the same can go on with it")

    def open(left: object = None) -> "Kept":
        """Begin, before anything else is asked; may take its time.

        :param left: what `release` gave in the process before this one.
        :returns: what is left of earlier times.
        :raises StateError: it cannot be.
        """

    def keep(room: "KeptRoom") -> None:
        """Keep a room as it is now."""

    def keep_place(place: "Place") -> None:
        """Keep where someone with an account is by now, in place of where they were."""

    def drop_place(account: str) -> None:
        """Keep no longer where that account is."""

    def condition() -> Sequence[str]:
        """Tell in words how safe it is what people say; each is a line."""

    def close() -> Awaitable[None]:
        """End, once all that waits is kept or cannot be."""

    def release() -> Awaitable[object]:
        """Let go, for another process to go on; all that waits is kept by then.

        :returns: what the other has to be given, as plain JSON data.
        :raises OSError: not all can be kept now; nothing has changed.
        """

    def regain() -> None:
        """Go on after all, if the other did not.

        :raises StateError: it cannot be.
        """


class IAccounts(Interface):
    """Who people are, and how they prove it.  What is refused raises `ChatError`."""

    elsewhere: bool = Attribute("whether people may have accounts that are not kept here")

    def register(name: str, password: str, address: str) -> "Awaitable[Account]":
        """Make an account.

        :param address: what counts as one place to come from; empty if that does not matter.
        """

    def find(name: str) -> "Awaitable[Account | None]":
        """Find the account of that name, in whatever capitals."""

    def login(name: str, password: str, address: str) -> "Awaitable[Account]":
        """Tell whose password that is."""

    def change(account: str, password: str) -> Awaitable[None]:
        """Have another password from now on.

        :param account: the id of the account.
        """

    def ssh_keys(account: str) -> Awaitable[Sequence[str]]:
        """Give the fingerprints of the SSH keys that log in to an account, as they were added.

        :param account: the id of the account.
        :raises ChatError: it is not kept here.
        """

    def keep_ssh_keys(account: str, keys: Sequence[str]) -> Awaitable[None]:
        """Have these log in from now on, and no others.

        :raises ChatError: the account is not kept here.
        """

    def remove(account: str) -> Awaitable[None]:
        """Have the account no more."""


class IQuota(Interface):
    """How often something may be done in a span of time."""

    def take(key: str) -> Awaitable[bool]:
        """Tell whether ``key`` may do it once more, which then counts.

        :raises ChatError: that is not known now.
        """

    def take_back(key: str) -> Awaitable[None]:
        """Count it once less: it was not done."""


class IBackplane(Interface):
    """The one order of events; with several nodes, for all of them."""

    def subscribe(admit: "Callable[[Event], None]", apply: "Callable[[Event], None]") -> None:
        """Have every event shown to ``apply``, in order.

        What is claimed has its ``id`` and ``time`` before ``admit`` is asked, so that all nodes
        judge alike.

        :param admit: raises `ChatError` for an event that may not be.
        :param apply: changes the state; called once for each event on each node.
        """

    last: int = Attribute("the last id that was given")
    trouble: str = Attribute("why events do not go out now, in a few words; empty if they do")
    lag: "Histogram" = Attribute("how many seconds it took until an event was applied that waited")

    def resume(after: int) -> None:
        """Give no id that is not above ``after``, the last of an earlier time."""

    def publish(event: "Event") -> None:
        """Number ``event`` and have it applied: what cannot be refused."""

    def claim(event: "Event") -> "Awaitable[Event]":
        """Number ``event`` and have it applied, unless it may not be.

        :returns: the event as applied.
        :raises ChatError: it was refused.
        """
