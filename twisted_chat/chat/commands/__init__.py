"""The table of commands.

A new command is one function in the file of its theme: the table finds it there.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType, ModuleType

from twisted_chat.chat.commands import (
    accounts,
    around,
    charter,
    operators,
    order,
    past,
    people,
    server,
    sshkeys,
    talking,
)
from twisted_chat.chat.commands.command import LOGIN_USAGE, Command, command

__all__ = ["COMMANDS", "LOGIN_USAGE", "Command", "command", "table"]


def table(commands: Iterable[Command]) -> Mapping[str, Command]:
    """Give commands by name and alias.

    :raises ValueError: two commands go by one name.
    """
    by_word: dict[str, Command] = {}
    for one in commands:
        for word in (one.name, *one.aliases):
            if word in by_word:
                raise ValueError(f"two commands called /{word}")
            by_word[word] = one
    return MappingProxyType(by_word)


def _of(*themes: ModuleType) -> Iterator[Command]:
    for theme in themes:
        yield from (found for found in vars(theme).values() if isinstance(found, Command))


COMMANDS = table(
    _of(talking, around, past, people, accounts, sshkeys, charter, order, operators, server)
)
