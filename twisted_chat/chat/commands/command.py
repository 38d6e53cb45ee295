"""What a command is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted_chat.chat.events import ChatError

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session


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
    cost: int = 1
    """What it costs of the flood allowance."""

    def guard(self, session: "Session") -> None:
        """Check whether ``session`` may use this now.

        :raises ChatError: it may not.
        """
        if self.in_room and session.person.room is None:
            raise ChatError("you are in no room. usage: /join ROOM_NAME")
        if self.account is not None and not self.serves(session):
            account = session.who.account
            if account is None:
                raise ChatError("you are not logged in. usage: /login NAME [PASSWORD]")
            raise ChatError(f"you are logged in as {account[1:]}. usage: /logout")

    def serves(self, session: "Session") -> bool:
        """Tell whether this is for people such as ``session``."""
        return self.account is None or self.account == (session.who.account is not None)

    def arguments(self, rest: str) -> list[str]:
        """Split what follows the command's name.

        :raises ChatError: something is missing, or there is more than it takes.
        """
        if self.takes == 1 and (whole := rest.strip()):
            return [whole]
        given = rest.split(None, self.takes - 1) if self.takes else rest.split()
        if len(given) < len(self.needs):
            raise ChatError(f"{self.needs[len(given)]} is required. usage: {self.usage}")
        if len(given) > self.takes:
            raise ChatError(f"/{self.name} takes nothing more. usage: {self.usage}")
        if given:
            given[-1] = given[-1].rstrip()
        return given


def command(
    name: str,
    *aliases: str,
    usage: str,
    help: str,  # noqa: A002
    needs: tuple[str, ...] = (),
    takes: int | None = None,
    in_room: bool = False,
    account: bool | None = None,
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
            cost=cost,
        )

    return make
