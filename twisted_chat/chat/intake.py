"""Lines of one connection: they come in, and commands are found, checked and run."""

from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import TYPE_CHECKING

from twisted_chat.chat.answers import Notice, Refusal, Shown
from twisted_chat.chat.commands import Command
from twisted_chat.chat.events import ChatError, Reason
from twisted_chat.chat.limits import BACKLOG, BACKLOG_PAUSE, PENDING_LINES, Bucket
from twisted_chat.chat.sanitize import typed

if TYPE_CHECKING:
    from twisted_chat.chat.rooms import Rooms
    from twisted_chat.interfaces import IClient

NOTHING = Command("", lambda _session: None, usage="", help="", cost=0, barred=True)
"""What an empty line is."""


class Intake:
    """The way of a connection's lines into the chat: one command at a time, and not too many.

    Commands are given the `Session` that this is a part of.
    """

    __slots__ = (
        "_bucket",
        "_busy",
        "_pending",
        "_resuming",
        "_wake",
        "asked",
        "client",
        "ended",
        "is_put_off",
        "rooms",
    )

    def __init__(self, client: "IClient", rooms: "Rooms", wake: Callable[[], None]) -> None:
        """
        :param wake: called when one that was busy takes lines again.
        """
        self.client = client
        self.rooms = rooms
        self.ended = False
        self.is_put_off = False
        """Whether they know that nothing is obeyed yet, and that they may leave all the same."""
        self.asked: tuple[str, ...] = ()
        """What the next line completes: the name of a command, and what it was given so far."""
        self._wake = wake
        self._busy = True  # until arrived
        self._pending: deque[tuple[str, bool]] | None = None
        self._resuming = False
        self.fill_bucket()

    def show(self, *shown: Shown) -> None:
        """Show something to this person alone."""
        raise NotImplementedError

    def receive(self, line: str, clean: bool = False) -> float:
        """Obey one line; what is wrong with it is told to the person, never raised.

        :param clean: `line` is known to be printable ASCII and no longer than allowed.
        :returns: for how many seconds the giver should hold back the next line; `math.inf`
            for until ``wake`` is called.
        """
        if self.ended:
            return 0.0
        if self._busy and not (self.is_put_off and self._leaves(line)):
            self._postpone(line, clean)
        else:
            self._obey(line, clean)
        return self.pause()

    def answer(self, shown: Shown) -> float:
        """Answer what was no line, but counts as one; give what `receive` does."""
        self.charge(1)
        self.show(shown)
        return self.pause()

    def refuse(self, words: str, reason: Reason) -> float:
        """Refuse what was no line, but counts as one; give what `receive` does."""
        self.charge(1)
        self._refuse(words, reason)
        return self.pause()

    def pause(self) -> float:
        """Tell for how many seconds the next line should be held back, as `receive` does."""
        if self._busy:
            return inf
        if self.rooms.store.backlog > BACKLOG:
            return BACKLOG_PAUSE
        bucket = self._bucket
        if bucket is None or bucket.tokens >= 1:
            return 0.0
        return bucket.wait(self.rooms.clock())

    def _obey(self, line: str, clean: bool) -> None:
        try:
            if not clean:
                line = self._cleaned(line)
            if self.asked:
                running = self._complete(line)
            else:
                command, rest = self._parse(line)
                if self._bucket is not None:
                    self._bucket.spend(command.cost, self.rooms.clock())
                command.guard(self)  # type: ignore[arg-type]
                running = command.run(self, *command.arguments(rest))
        except Exception as error:
            self._say_why(error)
            return
        if running is not None:
            self._busy = True
            self.rooms.start(self._settle(running))

    def _parse(self, line: str) -> tuple[Command, str]:
        """Tell which command a line means, and what it is given."""
        line = line.lstrip()
        if not line:
            return NOTHING, ""
        if line[0] != "/":
            return self.rooms.commands["msg"], line
        if line.startswith("//"):
            return self.rooms.commands["msg"], line[1:]
        word, _, rest = line.partition(" ")
        command = self._command(word)
        if command is None:
            self.charge(1)
            words = f"unknown command: {word}. /help lists them"
            raise ChatError(words, Reason.UNKNOWN_COMMAND)
        return command, rest

    def _leaves(self, line: str) -> bool:
        word = line.lstrip().partition(" ")[0]
        command = self._command(word) if word.startswith("/") else None
        return command is not None and command.name == "quit"

    def _command(self, word: str) -> Command | None:
        commands = self.rooms.commands
        return commands.get(word[1:]) or commands.get(word[1:].lower())

    def ask(self, what: str, *so_far: str) -> None:
        """Take the next line for what completes a command, and do not have it shown.

        :param what: in words; a password, or the like.
        :param so_far: the name of the command, and what it was given.
        """
        if self.client.exposed:
            self.show(Notice("this line is not encrypted: others may read what you type"))
        self.asked = so_far
        self.client.conceal(True)
        self.show(Notice(f"type {what}. telnet does not show it, other programs may"))

    def _complete(self, line: str) -> Awaitable[None] | None:
        """Run the command that this line was asked for."""
        (word, *given), self.asked = self.asked, ()
        self.client.conceal(False)
        command = self.rooms.commands[word]
        self.charge(command.cost)
        command.guard(self)  # type: ignore[arg-type]
        return command.run(self, *given, line.strip())

    def fill_bucket(self) -> None:
        """Have this person say as much as the limits allow by now, from a full burst on."""
        flood = self.rooms.limits.flood
        self._bucket = Bucket(*flood, self.rooms.clock()) if flood else None

    def charge(self, cost: int) -> None:
        """Take from the flood allowance."""
        if self._bucket is not None:
            self._bucket.spend(cost, self.rooms.clock())

    def _cleaned(self, line: str) -> str:
        try:
            return typed(line, self.rooms.limits.max_line)
        except ChatError:
            self.charge(1)
            raise

    async def _settle(self, running: Awaitable[None]) -> None:
        try:
            await running
        except Exception as error:
            self._say_why(error)
        self._busy = False
        self._resume()

    def _postpone(self, line: str, clean: bool) -> None:
        if self._pending is None:
            self._pending = deque()
        if len(self._pending) < PENDING_LINES:
            self._pending.append((line, clean))
        else:
            self._refuse("not obeyed: too many lines are waiting", Reason.TOO_MANY)

    def _resume(self) -> None:
        """Obey what waited, one after the other, then have more lines given."""
        if self._resuming:  # it was one of these that has just settled
            return
        self._resuming = True
        while self._pending and not self._busy and not self.ended:
            self._obey(*self._pending.popleft())
        self._resuming = False
        if not self._busy:
            self._pending = None
            self._wake()

    def _say_why(self, error: Exception) -> None:
        if isinstance(error, ChatError):
            self._refuse(str(error), error.reason)
            return
        self.rooms.trouble(error, self.client)
        words = "something went wrong here; it is not your fault, and is logged"
        self._refuse(words, Reason.FAILURE)

    def _refuse(self, words: str, reason: Reason) -> None:
        self.rooms.refusals[reason] += 1
        self.show(Refusal(words))

    @property
    def busy(self) -> bool:
        """Whether a command is under way."""
        return self._busy
