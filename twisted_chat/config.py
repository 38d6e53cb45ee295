"""The file of options.

The file is another command line: each ``name = value`` in it is a ``--name=value``, which is read,
and what is wrong with it found, by the same means.
"""

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from twisted.python import usage

from twisted_chat.chat.sanitize import sanitize


class WrongValue(usage.UsageError):
    """A value that an option does not take."""

    def __init__(self, option: str, value: object, takes: str) -> None:
        self.words = f"{option} {sanitize(str(value))}: {takes}"
        super().__init__(f"--{self.words}")


def arguments(file: Path, names: Mapping[str, bool]) -> list[str]:
    """Read a file, as the command line that says the same.

    :param names: those that it may have, and whether there may be several values of each.
    :raises UsageError: it cannot be read, or has what it may not have.
    """
    found = []
    for name, value in _read(file).items():
        if name not in names:
            raise usage.UsageError(_unknown(file, name, names))
        several = names[name]
        for one in value if several and isinstance(value, list) else [value]:
            found.append(f"--{name}={_text(name, one, several)}")
    return found


def _read(file: Path) -> dict[str, Any]:
    try:
        if not file.is_file():  # to open a pipe may take for ever
            raise FileNotFoundError("there is no such file")
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = sanitize(getattr(error, "strerror", None) or str(error))
        raise usage.UsageError(
            f"--config {sanitize(str(file))}: {why}. takes a file of TOML"
        ) from None


def _unknown(file: Path, name: str, names: Iterable[str]) -> str:
    nearest = get_close_matches(name, names, 1)
    right = f"perhaps {nearest[0]}" if nearest else "--help lists them"
    return f"{sanitize(str(file))}: {sanitize(name)}: there is no such option for a file. {right}"


def _text(name: str, value: object, several: bool) -> str:
    """Give a value as it stands on a command line.

    :raises WrongValue: it could stand on none.
    """
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
