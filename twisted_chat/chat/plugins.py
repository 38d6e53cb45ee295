"""What plugins add: commands, and a say in what is said and in who comes and goes."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

from zope.interface import implementer
from zope.interface.verify import verifyObject

from twisted_chat.chat.commands import COMMANDS, Command, table
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.limits import REASON_LENGTH
from twisted_chat.chat.sanitize import sanitize, typed
from twisted_chat.interfaces import IChatPlugin

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session

HOOKS = ("on_join", "on_say", "on_leave")
_WORD = re.compile("[a-z0-9-]{1,32}")


@implementer(IChatPlugin)
class ChatPlugin:
    """A plugin that leaves everything as it is; those that do more begin with this one."""

    name = ""
    commands: Sequence[Command] = ()

    def on_join(self, session: "Session", room_name: str) -> str:
        """Give the name as it is."""
        return room_name

    def on_say(self, session: "Session", text: str) -> str:
        """Give the text as it is."""
        return text

    def on_leave(self, session: "Session", reason: str) -> str:
        """Give the reason as it is."""
        return reason


def commands_with(plugins: Iterable[IChatPlugin]) -> Mapping[str, Command]:
    """Give the commands of the chat and of its plugins, by name and alias.

    :raises ValueError: a plugin is not as `IChatPlugin` has it, or what it adds is there already.
    """
    commands: Mapping[str, Command] = COMMANDS
    names: set[str] = set()
    for plugin in plugins:
        try:
            _verify(plugin)
            if plugin.name in names:
                raise ValueError(f"two plugins called {plugin.name}")
            commands = table([*dict.fromkeys(commands.values()), *plugin.commands])
        except Exception as error:  # a plugin that is looked at may do anything
            kind = type(plugin)
            why = sanitize(" ".join(str(error).split()))
            raise ValueError(f"plugin {kind.__module__}.{kind.__qualname__}: {why}") from error
        names.add(plugin.name)
    return commands


def _verify(plugin: IChatPlugin) -> None:
    """Check what can be told of a plugin without using it.

    :raises zope.interface.Invalid: it lacks something.
    :raises ValueError: something of it is of the wrong kind.
    """
    verifyObject(IChatPlugin, plugin)
    _verify_word("its name", plugin.name)
    for command in plugin.commands:
        if not isinstance(command, Command):
            raise ValueError(f"{command!r} among its commands is no Command")
        for word in (command.name, *command.aliases):
            _verify_word("a command", word)
        hash(command)  # or /help could not list it
    for hook in HOOKS:
        if iscoroutinefunction(getattr(plugin, hook)):
            raise ValueError(f"{hook} is a coroutine; it has to answer at once")


def _verify_word(what: str, word: object) -> None:
    if not isinstance(word, str) or not _WORD.fullmatch(word):
        raise ValueError(f"{what} is {word!r}. takes 1 to 32 of a-z, 0-9 and -")


class Hooks:
    """Asks plugins, one after the other, about what somebody is going to do.

    They are asked on the node of that person, before there is an event: what becomes of an event
    must be the same on every node, whatever plugins are there.
    """

    __slots__ = ("_failed", "_plugins")

    def __init__(
        self, plugins: Sequence[IChatPlugin], failed: Callable[[str, str, Exception], None]
    ) -> None:
        """
        :param failed: told the name of a plugin, the name of the hook, and what it has raised.
        """
        self._plugins = plugins
        self._failed = failed

    def on_join(self, session: "Session", room_name: str) -> str:
        """Give which room is entered; what is given may be no name at all.

        :raises ChatError: none is.
        """
        return self._ask("on_join", session, room_name)

    def on_say(self, session: "Session", text: str) -> str:
        """Give what is said to the room, as safe and as short as what is typed.

        :raises ChatError: it is not said.
        """
        text = typed(self._ask("on_say", session, text), session.rooms.limits.max_line)
        if not text.strip():
            raise ChatError("not said: nothing is left of it")
        return text

    def on_leave(self, session: "Session", reason: str) -> str:
        """Give what is told to those who stay; whatever plugins say, people may leave."""
        try:
            return sanitize(self._ask("on_leave", session, reason))[:REASON_LENGTH]
        except ChatError:
            return ""

    def _ask(self, hook: str, session: "Session", text: str) -> str:
        for plugin in self._plugins:
            try:
                answer = getattr(plugin, hook)(session, text)
                if not isinstance(answer, str):
                    raise TypeError(f"a {type(answer).__name__} is no text")
            except ChatError:
                raise
            except Exception as error:  # the chat goes on as if it were not there
                self._failed(plugin.name, hook, error)
            else:
                text = answer
        return text
