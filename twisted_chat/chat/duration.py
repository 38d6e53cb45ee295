"""Spans of time, as people write and read them."""

import re

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_SECONDS = {name[0]: size for size, name in _UNITS}


def parse(text: str) -> int:
    """Read a span of time such as ``90s``, ``10m``, ``2h`` or ``30d``, in seconds.

    :raises ValueError: it is none, or longer than anybody lives.
    """
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", text.lower())
    if not found or not int(found[1]):
        raise ValueError(f"{text} is no span of time")
    return int(found[1]) * _SECONDS[found[2]]


def in_words(seconds: float) -> str:
    """Say a span of time as people do, in its largest unit: ``3 hours``.

    :param seconds: less than none counts as none, for a clock may be set back.
    """
    whole = max(0, int(seconds))
    for size, name in _UNITS[:-1]:
        if whole >= size:
            return _counted(whole // size, name)
    return _counted(whole, "second")


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
