"""The command line, cut into options: what is none is told, and the rest is read all the same."""

from collections.abc import Iterator, Sequence
from getopt import GetoptError, getopt

from twisted_chat.chat.sanitize import sanitize
from twisted_chat.values import nearest


def cut(
    arguments: Sequence[str], short: str, long: Sequence[str]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Give the options with their values, and a line for all that is none.

    :param short: the options that there are, as `getopt` takes them.
    :param long: likewise.
    """
    options: list[tuple[str, str]] = []
    mistakes: list[str] = []
    left = [*arguments]
    while left:
        try:
            found, left = getopt(left, short, long)
        except GetoptError as error:
            names = [f"--{name.rstrip('=')}" for name in long]
            likely = nearest(f"--{error.opt}", names)
            mistakes.append(f"{sanitize(error.msg)}. {likely}")
            left = _without(left, error.opt)
            continue
        options += found
        if left:
            mistakes.append(f"{sanitize(left.pop(0))}: takes options only. --help lists them")
    return options, mistakes


def _without(arguments: Sequence[str], option: str) -> list[str]:
    """Leave out an option that is wrong, and what may be its value."""
    place = next(_places(arguments, option), len(arguments) - 1)
    before, one, after = arguments[:place], arguments[place], arguments[place + 1 :]
    has_value = "=" not in one and after and not after[0].startswith("-")
    return [*before, *(after[1:] if has_value else after)]


def _places(arguments: Sequence[str], option: str) -> Iterator[int]:
    """Tell where an option may stand: its name may be cut short, letters may be in a row."""
    for place, one in enumerate(arguments):
        name = one.partition("=")[0]
        is_long = len(name) > 2 and f"--{option}".startswith(name)
        if is_long or (len(option) == 1 and one[:1] == "-" and option in one[1:2] + one[2:]):
            yield place
