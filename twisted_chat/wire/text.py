"""Events as lines of text, for people at terminals."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

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
from twisted_chat.chat.names import fold
from twisted_chat.interfaces import IFormat


@implementer(IFormat)
@dataclass(frozen=True, slots=True)
class Text:
    """Lines of UTF-8 that end in CR LF.

    After ``> `` (and a time in brackets) a say begins ``NAME: ``, an emote ``* NAME ``, a
    private line ``[``; nothing else begins so, and names hold none of these marks.
    """

    zone: tzinfo | None = None
    quiet: bool = False

    def render(self, event: Shown) -> bytes:
        if event.__class__ is Said and self.zone is None:  # most lines, to most people
            return f"> {event.who.name}: {event.text}\r\n".encode()
        text = _RENDERERS[type(event)](self, event)
        return text.encode()

    def adapted(self, zone: str | None, quiet: bool) -> "Text":
        return Text(None if zone is None else zone_of(zone), quiet)

    def _stamp(self, time: float) -> str:
        if self.zone is None:
            return ""
        return f"[{minute(time, self.zone)[11:]}] "


def zone_of(name: str) -> ZoneInfo:
    """Find a time zone.

    :raises ValueError: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:  # a folder of zones, a path, no zone
        raise ValueError(f"no time zone {name}") from error


def _said(text: Text, event: Said) -> str:
    return f"> {text._stamp(event.time)}{event.who.name}: {event.text}\r\n"


def _emoted(text: Text, event: Emoted) -> str:
    return f"> {text._stamp(event.time)}* {event.who.name} {event.text}\r\n"


def _reported(text: Text, event: Reported) -> str:
    return f"> {text._stamp(event.time)}{event.who.name} {event.text}\r\n"


def _told(text: Text, event: Told) -> str:
    return f"> {text._stamp(event.time)}[{event.who.name} -> you] {event.text}\r\n"


def _sent(text: Text, sent: Sent) -> str:
    event = sent.told
    return f"> {text._stamp(event.time)}[you -> {event.to.name}] {event.text}\r\n"


def _joined(text: Text, event: Joined) -> str:
    return "" if text.quiet else f"> {text._stamp(event.time)}{event.who.name} joined the room\r\n"


def _left(text: Text, event: Left) -> str:
    if text.quiet:
        return ""
    why = f" ({event.reason})" if event.reason else ""
    return f"> {text._stamp(event.time)}{event.who.name} has left the room{why}\r\n"


def _renamed(text: Text, event: Renamed) -> str:
    return f"> {text._stamp(event.time)}{event.who.name} is now known as {event.name}\r\n"


def _topic_set(text: Text, event: TopicSet) -> str:
    return f"> {text._stamp(event.time)}{event.who.name} set the topic: {event.text}\r\n"


def _act(text: Text, act: Act) -> str:
    return f"> {text._stamp(act.time)}{act.who.name} {act.words}\r\n"


def _announced(text: Text, event: Announced) -> str:
    return f"> {text._stamp(event.time)}announcement by {event.who.name}: {event.text}\r\n"


def _notice(_text: Text, notice: Notice) -> str:
    return f"> {notice.text}\r\n"


def _refusal(_text: Text, refusal: Refusal) -> str:
    return f"err: {refusal.text}\r\n"


def _nothing(_text: Text, _shown: Shown) -> str:
    return ""


def _listing(_text: Text, listing: Listing) -> str:
    lines = f"> {listing.title}: {', '.join(listing.names)}\r\n"
    if not listing.more:
        return lines
    hint = f": {listing.hint}" if listing.hint else ""
    return f"{lines}> … and {listing.more:,} more{hint}\r\n"


def _replay(text: Text, replay: Replay) -> str:
    gap = "> there was more, which /history shows\r\n" if replay.has_gap else ""
    return gap + "".join(_replayed(text.zone or UTC, line) for line in replay.lines)


def _replayed(zone: tzinfo, line: Line | Told) -> str:
    if isinstance(line, Told):
        who = f"[{line.who.name} -> you]"
    else:
        who = f"* {line.who.name}" if isinstance(line, Emoted) else f"{line.who.name}:"
    return f"> [{minute(line.time, zone)}] {who} {line.text}\r\n"


def _audit(text: Text, audit: Audit) -> str:
    return "".join(_deed(text.zone or UTC, deed) for deed in audit.deeds)


def _deed(zone: tzinfo, deed: Deed) -> str:
    where = "" if deed.room == "*" else f", in {deed.room}"
    return f"> [{minute(deed.time, zone)}] {_actor(deed.who)} {deed.words}{where}\r\n"


def _actor(who: Who) -> str:
    """Give a name, and that of the account, if someone was not called by it."""
    account = who.account or ""
    return who.name if fold(who.name) == account[1:] else f"{who.name} ({account})"


def minute(time: float, zone: tzinfo) -> str:
    """Give date, hour and minute: ``2026-11-22 17:05``."""
    # isoformat takes a third of the time of strftime
    return datetime.fromtimestamp(time, zone).isoformat(" ", "minutes")[:16]


_RENDERERS: dict[type, Callable[[Text, Any], str]] = {
    Said: _said,
    Emoted: _emoted,
    Reported: _reported,
    Told: _told,
    Sent: _sent,
    Joined: _joined,
    Left: _left,
    Renamed: _renamed,
    TopicSet: _topic_set,
    **dict.fromkeys(acts.KINDS, _act),
    Announced: _announced,
    Notice: _notice,
    Refusal: _refusal,
    You: _nothing,
    Done: _nothing,
    Listing: _listing,
    Replay: _replay,
    Audit: _audit,
}
PLAIN = Text()
