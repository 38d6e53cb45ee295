"""What a command is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from twisted_chat.chat.charter import Rank
from twisted_chat.chat.events import ChatError, Reason

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session

LOGIN_USAGE = "/login NAME [PASSWORD]"


@dataclass(frozen=True, slots=True)
class Command:
    """A command: how it is called, what it needs, and what it does.

    What it needs is data, checked in one place before ``run``.
    """

    name: str
    run: Callable[..., Awaitable[None] | None]
    """Called with the session and the arguments; those not given are left out."""
    usage: str
    help: str
    """One sentence, shown by `/help`."""
    aliases: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    """What must be given, in the words in which its absence is refused."""
    takes: int = 0
    """How many arguments there can be; the last is the rest of the line."""
    in_room: bool = False
    """Whether one must be in a room."""
    account: bool | None = None
    """Whether one must be logged in, or must not; None if it does not matter."""
    rank: Rank = Rank.MEMBER
    """What one must be at least, where one is."""
    barred: bool = False
    """Whether also those may use it who have to log in before anything else."""
    cost: int = 1
    """What it costs of the flood allowance."""

    def guard(self, session: "Session") -> None:
        """Check whether ``session`` may use this now.

        :raises ChatError: it may not.
        """
        person = session.person
        if person.barred and not self.barred:
            self._refuse_barred(session)
        if self.in_room and person.room is None:
            raise _not_allowed("you are in no room. usage: /join ROOM_NAME")
        if self.account is not None and not self._suits(person.who.account):
            if person.who.account is None:
                raise _not_allowed(f"you are not logged in. usage: {LOGIN_USAGE}")
            raise _not_allowed(f"you are logged in as {person.who.account[1:]}. usage: /logout")
        if self.rank and session.rank < self.rank:
            where = "the server" if self.rank is Rank.SERVER or not person.room else "this room"
            raise _not_allowed(f"only operators of {where} may do that")

    def serves(self, session: "Session") -> bool:
        """Tell whether this is for people such as ``session``, where they are."""
        is_open = self.barred or not session.rooms.rights.bar(session.person, session.rooms.clock())
        return is_open and self._suits(session.who.account) and session.rank >= self.rank

    def _suits(self, account: str | None) -> bool:
        return self.account is None or self.account == (account is not None)

    def _refuse_barred(self, session: "Session") -> None:
        if why := session.rooms.rights.bar(session.person, session.rooms.clock()):
            raise _not_allowed(f"{why}. usage: {LOGIN_USAGE}")

    def arguments(self, rest: str) -> list[str]:
        """Split what follows the command's name.

        :raises ChatError: something is missing, or there is more than it takes.
        """
        if self.takes == 1 and (whole := rest.strip()):
            return [whole]
        given = rest.split(None, self.takes - 1) if self.takes else rest.split()
        if len(given) < len(self.needs):
            self._misused(f"{self.needs[len(given)]} is required")
        if len(given) > self.takes:
            self._misused(f"/{self.name} takes nothing more")
        if given:
            given[-1] = given[-1].rstrip()
        return given

    def _misused(self, why: str) -> NoReturn:
        raise ChatError(f"{why}. usage: {self.usage}", Reason.USAGE)


def _not_allowed(words: str) -> ChatError:
    return ChatError(words, Reason.NOT_ALLOWED)


def command(
    name: str,
    *aliases: str,
    usage: str,
    help: str,  # noqa: A002
    needs: tuple[str, ...] = (),
    takes: int | None = None,
    in_room: bool = False,
    account: bool | None = None,
    rank: Rank = Rank.MEMBER,
    barred: bool = False,
    cost: int = 1,
) -> Callable[[Callable[..., Awaitable[None] | None]], Command]:
    """Make a `Command` of the function below, which is called with the session and arguments.

    :param takes: as many as it ``needs``, if left out.
    """

    def make(run: Callable[..., Awaitable[None] | None]) -> Command:
        return Command(
            name=name,
            run=run,
            usage=usage,
            help=help,
            aliases=aliases,
            needs=needs,
            takes=len(needs) if takes is None else takes,
            in_room=in_room,
            account=account,
            rank=rank,
            barred=barred,
            cost=cost,
        )

    return make
