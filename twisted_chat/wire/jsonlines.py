"""Events as JSON, one to a line, for programs; and what programs say.

``docs/protocol.rst`` specifies both.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, NamedTuple

from zope.interface import implementer

from twisted_chat.chat import acts
from twisted_chat.chat.acts import Act, Announced
from twisted_chat.chat.answers import (
    Audit,
    Done,
    Listing,
    Notice,
    Refusal,
    Replay,
    Sent,
    Shown,
    You,
)
from twisted_chat.chat.events import (
    Deed,
    Emoted,
    Event,
    Joined,
    Left,
    Line,
    Renamed,
    Reported,
    Said,
    Told,
    TopicSet,
    Who,
)
from twisted_chat.interfaces import IFormat
from twisted_chat.wire.text import minute, zone_of

MESSAGE_BYTES = 16384
"""Bytes that a message may hold, whatever a line in it may."""
TAG_LENGTH = 64
LARGEST = 2**53 - 1
"""The largest number that all programs read alike (RFC 8259, section 6)."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""What JSON can escape, and UTF-8 cannot say."""

Record = dict[str, Any]


class Hello(NamedTuple):
    """What a page says first."""

    key: str = ""
    """A random text that nobody else knows, by which it finds its place again; empty for none."""
    after: int | None = None
    """The id of the last event that it knows of."""

    @classmethod
    def of(cls, data: bytes) -> "Hello":
        """Read one.

        :raises ValueError: it is none, in words for whoever wrote the page.
        """
        return cls(**_object(data, _HELLO_FIELDS))


class Message(NamedTuple):
    """What a program says."""

    line: str = ""
    tag: str | int | None = None
    """What `Done` is to have; None for none."""
    after: int | None = None
    """After which event the next room is to begin; None for anywhere."""

    @classmethod
    def of(cls, data: bytes) -> "Message":
        """Read one.

        :raises ValueError: it is none, in words for whoever wrote the program.
        """
        return cls(**_object(data, _FIELDS))


def _object(data: bytes, fields: "Mapping[str, Field]") -> Record:
    """Read an object that has some fields, or none of them.

    :raises ValueError: it is none, in words for whoever wrote the program.
    """
    try:
        given = json.loads(data.decode())  # or it would guess at other encodings
    except (ValueError, RecursionError):
        raise ValueError('that is no JSON. usage: {"line": "/join tea"}') from None
    if not isinstance(given, dict):
        raise ValueError('that is no object. usage: {"line": "/join tea"}')
    for name, value in given.items():
        check, takes = fields.get(name, (_never, "unknown"))
        if not check(value):
            shown = name if name in fields else json.dumps(name[:TAG_LENGTH])
            *most, last = fields
            known = f"{', '.join(most)} and {last}"
            raise ValueError(f"{shown}: {takes}. a message has {known}")
    return given


def _never(_value: object) -> bool:
    return False


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _is_tag(value: object) -> bool:
    if not isinstance(value, str):
        return _is_number(value)
    return len(value) <= TAG_LENGTH and _LONE_SURROGATE.search(value) is None


def _is_key(value: object) -> bool:
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


_KEY = re.compile("[A-Za-z0-9_-]{32,64}")
Field = tuple[Callable[[object], bool], str]
"""What tells whether a value will do, and what is told if it does not."""
_FIELDS: Mapping[str, Field] = {
    "line": (lambda value: isinstance(value, str), "takes a text"),
    "tag": (_is_tag, f"takes a number, or a text of at most {TAG_LENGTH} characters"),
    "after": (_is_number, "takes the id of an event"),
}
_HELLO_FIELDS: Mapping[str, Field] = {
    "key": (_is_key, "takes 32 to 64 letters, digits, - and _"),
    "after": (_is_number, "takes the id of an event"),
}


@implementer(IFormat)
@dataclass(frozen=True, slots=True)
class JsonLines:
    """Objects of JSON in UTF-8 (RFC 8259), each on a line that ends in LF."""

    zone: tzinfo | None = None
    quiet: bool = False

    def render(self, event: Shown) -> bytes:
        if self.quiet and isinstance(event, Joined | Left):
            return b""
        record = _RECORDS[type(event)](event)
        if self.zone:
            _stamp(record, self.zone)
        return encode(record)

    def adapted(self, zone: str | None, quiet: bool) -> "JsonLines":
        return JsonLines(None if zone is None else zone_of(zone), quiet)


def _stamp(record: Record, zone: tzinfo) -> None:
    """Have in a record what a person is to read of its times."""
    if "time" in record:
        record["stamp"] = minute(record["time"], zone)[11:]
    for past in record.get("lines", ()):
        past["stamp"] = minute(past["time"], zone)


def encode(record: Record) -> bytes:
    """Give a record as a line."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _who(who: Who) -> Record:
    return {"person": who.person, "account": who.account and who.account[1:], "name": who.name}


def _event(kind: str, event: Event, **more: Any) -> Record:
    what = {"type": kind, "id": event.id, "time": round(event.time, 3), "who": _who(event.who)}
    return {**what, **more}


def _said(event: Line) -> Record:
    kind = "said" if isinstance(event, Said) else "emoted"
    return _event(kind, event, room=event.room, text=event.text)


def _reported(event: Reported) -> Record:
    return _event("reported", event, room=event.room, text=event.text)


def _told(event: Told) -> Record:
    return _event("told", event, to=_who(event.to), text=event.text)


def _joined(event: Joined) -> Record:
    return _event("joined", event, room=event.room)


def _left(event: Left) -> Record:
    return _event("left", event, room=event.room, reason=event.reason)


def _renamed(event: Renamed) -> Record:
    return _event("renamed", event, room=event.room, name=event.name)


def _topic_set(event: TopicSet) -> Record:
    return _event("topic", event, room=event.room, text=event.text)


def _act(act: Act) -> Record:
    return _event("act", act, text=act.words)


def _announced(event: Announced) -> Record:
    return _event("announced", event, text=event.text)


def _you(you: You) -> Record:
    room = {"id": you.room, "name": you.room_name, "topic": you.topic} if you.room else None
    return {"type": "you", "who": _who(you.who), "room": room}


def _listing(listing: Listing) -> Record:
    return {
        "type": "listing",
        "title": listing.title,
        "names": listing.names,
        "more": listing.more,
        "hint": listing.hint,
        "counts": listing.counts,
    }


def _replay(replay: Replay) -> Record:
    lines = [_told(line) if isinstance(line, Told) else _said(line) for line in replay.lines]
    return {"type": "replay", "lines": lines, "gap": replay.has_gap}


def _deed(deed: Deed) -> Record:
    return {
        "id": deed.id,
        "time": round(deed.time, 3),
        "who": _who(deed.who),
        "room": deed.room,
        "text": deed.words,
    }


_RECORDS: dict[type, Callable[[Any], Record]] = {
    Said: _said,
    Emoted: _said,
    Reported: _reported,
    Told: _told,
    Sent: lambda sent: _told(sent.told),
    Joined: _joined,
    Left: _left,
    Renamed: _renamed,
    TopicSet: _topic_set,
    **dict.fromkeys(acts.KINDS, _act),
    Announced: _announced,
    Notice: lambda notice: {"type": "notice", "text": notice.text},
    Refusal: lambda refusal: {"type": "refusal", "text": refusal.text},
    You: _you,
    Done: lambda done: {"type": "done", "tag": done.tag},
    Listing: _listing,
    Replay: _replay,
    Audit: lambda audit: {"type": "audit", "deeds": list(map(_deed, audit.deeds))},
}
JSON = JsonLines()
