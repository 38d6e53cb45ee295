"""Spans of time, in words."""

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))


def in_words(seconds: float) -> str:
    """Say a span of time as people do, in its largest unit: ``3 hours``.

    :param seconds: less than none counts as none, for a clock may be set back.
    """
    whole = max(0, int(seconds))
    for size, name in _UNITS:
        if whole >= size:
            return _counted(whole // size, name)
    return _counted(whole, "second")


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
