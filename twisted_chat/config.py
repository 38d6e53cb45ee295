"""The file of options.

The file is another command line: each ``name = value`` in it is a ``--name=value``, which is read,
and what is wrong with it found, by the same means.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

from twisted.python import usage

from twisted_chat.chat.sanitize import sanitize
from twisted_chat.values import WrongValue, nearest, refuse, regular

WIDTH = 100
"""Characters in a line of help."""


class File:
    """A file of options."""

    def __init__(self, path: Path) -> None:
        """
        :raises UsageError: it cannot be read.
        """
        self.path = path
        try:
            self._text = regular(path).read_text("utf-8")
            self.values: dict[str, Any] = tomllib.loads(self._text)
        except (OSError, ValueError, RecursionError) as error:
            why = sanitize(getattr(error, "strerror", None) or str(error))
            name = sanitize(str(path))
            raise usage.UsageError(f"--config {name}: {why}. takes a file of TOML") from None

    def place(self, name: str) -> str:
        """Tell where a name is, as editors and compilers do: ``chat.toml:3``."""
        return f"{sanitize(str(self.path))}:{self._lines[name]}"

    @cached_property
    def _lines(self) -> dict[str, int]:
        return lines(self._text)


def lines(text: str) -> dict[str, int]:
    """Tell in which line each name of the first level is, counted from 1.

    Whatever is right as a whole is a row of statements.  Each begins after the one before it, and
    ends with the first line by which it can be read: no grammar is needed but that of `tomllib`.

    :param text: is right as a whole.
    """
    found: dict[str, int] = {}
    begin, statement, is_in_table = 1, "", False
    for number, line in enumerate(text.split("\n"), 1):
        statement += f"{line}\n"
        try:
            names = tomllib.loads(statement)
        except ValueError:  # it goes on in the next line
            continue
        is_header = statement.lstrip().startswith("[")
        if is_header or not is_in_table:
            for name in names:
                found.setdefault(name, begin)
        is_in_table = is_in_table or is_header
        begin, statement = number + 1, ""
    return found


def texts(name: str, value: object, names: Mapping[str, bool]) -> Sequence[str]:
    """Give a value as it stands on a command line, once for each time.

    :param names: those that there may be, and whether there may be several values of each.
    :raises WrongValue: it could stand on none.
    """
    if name not in names:
        refuse(name, None, f"there is no such option for a file. {nearest(name, names)}")
    several = names[name]
    all_ = value if several and isinstance(value, list) else [value]
    return [_text(name, one, several) for one in all_]


def _text(name: str, value: object, several: bool) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return str(value)
        except ValueError:  # which has more digits than anybody needs
            value = "a number of many digits"
    or_list = ", or a list of these" if several else ""
    raise WrongValue(name, _kind(value), f"takes text in quotes or a number{or_list}")


def _kind(value: object) -> str:
    """Name a value of the wrong type; what is in a list or a table may be a password."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[...]"
    return "{...}" if isinstance(value, dict) else str(value)


class Setting(NamedTuple):
    """An option, as a file tells of it."""

    name: str
    help: str
    value: object
    """None for none."""
    is_said: bool
    """Whether somebody has set it, as against a default."""
    is_secret: bool
    """Whether there may be a password in it."""


def written(heading: str, settings: Iterable[Setting]) -> str:
    """Write a file with these settings, which `File` reads; what is a default is a comment.

    :param heading: is a comment at its beginning.
    """
    return "\n\n".join([_comment(heading), *map(_written, settings)]) + "\n"


def _written(setting: Setting) -> str:
    help_ = _comment(setting.help)
    if setting.is_secret:
        hidden = _comment(f"{setting.name} is set, and not shown: there may be a password in it")
        return f"{help_}\n{hidden}\n#{setting.name} ="
    mark = "" if setting.is_said else "#"
    return f"{help_}\n{mark}{setting.name} = {_toml(setting.value)}".rstrip()


def _comment(text: str) -> str:
    return "\n".join(f"# {line}" for line in wrap(text, WIDTH - 2, break_on_hyphens=False))


def _toml(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    text = str(value)
    if re.fullmatch("0|[1-9][0-9]{0,15}", text):
        return text
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character.isprintable() and character not in '"\\':
        return character
    return f"\\U{ord(character):08x}"
