"""The table of commands.

A new command is one function in the file of its theme: the table finds it there.
"""

from collections.abc import Mapping
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


def table(*themes: ModuleType) -> Mapping[str, Command]:
    """Collect the commands of some modules, by name and alias.

    :raises ValueError: two commands go by one name.
    """
    commands: dict[str, Command] = {}
    for theme in themes:
        for found in vars(theme).values():
            if not isinstance(found, Command):
                continue
            for word in (found.name, *found.aliases):
                if word in commands:
                    raise ValueError(f"two commands called /{word}")
                commands[word] = found
    return MappingProxyType(commands)


COMMANDS = table(
    talking, around, past, people, accounts, sshkeys, charter, order, operators, server
)
