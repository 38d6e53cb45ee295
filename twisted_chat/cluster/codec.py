"""Events as they stand in the stream that all nodes read: JSON, one list for each."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import MappingProxyType, ModuleType
from typing import Any, get_type_hints

from twisted_chat.chat import acts, events
from twisted_chat.chat.charter import Rank, Sanction
from twisted_chat.chat.events import Event, Origin, Who

LONGEST = 512 * 1024
"""Bytes of an event; the longest line, and the most that somebody may have set up, are less."""
STAMPS = ("id", "time")
"""What the stream gives an event."""


def encode(event: Event) -> bytes:
    """Give an event as it is sent to the other nodes.

    :raises ValueError: it is longer than any that there is.
    """
    kind = type(event)
    record = [kind.__name__, *(getattr(event, name) for name in _KINDS[kind.__name__][1])]
    data = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
    if len(data) > LONGEST:
        raise ValueError(f"{kind.__name__} of {len(data)} bytes")
    return data


def decode(data: bytes) -> Event:
    """Give the event that was encoded so.

    :raises ValueError: it is none.
    """
    if len(data) > LONGEST:
        raise ValueError(f"an entry of {len(data)} bytes")
    try:
        name, *values = json.loads(data)
        kind, converters = _KINDS[name]
        pairs = zip(converters.values(), values, strict=True)
        return kind(*(convert(value) for convert, value in pairs))
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(f"no event: {error}") from error


def _kinds(*modules: ModuleType) -> dict[str, tuple[type[Event], dict[str, Callable[..., Any]]]]:
    found = [kind for module in modules for kind in vars(module).values()]
    kinds = [kind for kind in found if isinstance(kind, type) and issubclass(kind, Event)]
    return {kind.__name__: (kind, _converters(kind)) for kind in kinds}


def _converters(kind: type[Event]) -> dict[str, Callable[..., Any]]:
    """Tell how each of what is in an event is made of JSON, in the order of its making."""
    hints = get_type_hints(kind)
    return {
        field.name: _CONVERTERS.get(hints[field.name], _same)
        for field in fields(kind)
        if field.name not in STAMPS
    }


def _same(value: Any) -> Any:
    return value


def _who(value: Any) -> Who:
    person, account, name = value
    if not (isinstance(person, str) and isinstance(name, str)):
        raise TypeError("nobody")
    return Who(person, account, name)


def _origin(value: Any) -> Origin:
    address, is_bot, key, *fingerprint = value  # a node of an earlier version sends none
    return Origin(str(address), bool(is_bot), str(key), *map(str, fingerprint))


_CONVERTERS: Mapping[Any, Callable[..., Any]] = MappingProxyType(
    {
        Who: _who,
        Origin: _origin,
        Sanction: Sanction._make,
        Rank: Rank,
        str: str,
        int: int,
        float: float,
        bool: bool,
    }
)
_KINDS = MappingProxyType(_kinds(events, acts))
