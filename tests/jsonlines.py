"""What a program hears as the lines that a person would read: the least of all clients."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def as_lines(message: Mapping[str, Any], me: str, *, shows_own: bool = False) -> list[str]:
    """Give the lines of text that say what a message says.

    :param me: the id of the person that the program is.
    :param shows_own: whether that includes their own lines, which a terminal shows by itself.
    """
    kind = message["type"]
    if kind == "replay":
        gap = ["> there was more, which /history shows"] if message["gap"] else []
        return gap + [_dated(line) for line in message["lines"]]
    if kind == "audit":
        return [_deed(deed) for deed in message["deeds"]]
    if kind == "listing":
        return _listing(message)
    if kind in ("you", "done", "conceal"):
        return []
    if kind in ("said", "emoted") and message["who"]["person"] == me and not shows_own:
        return []
    line = _line(message, me)
    return [line.replace("> ", f"> [{message['stamp']}] ", 1) if "stamp" in message else line]


def _line(message: Mapping[str, Any], me: str) -> str:
    kind, name, text = message["type"], _name(message), message.get("text")
    if kind == "told":
        is_own = message["who"]["person"] == me != message["to"]["person"]
        way = f"you -> {message['to']['name']}" if is_own else f"{name} -> you"
        return f"> [{way}] {text}"
    reason = f" ({message['reason']})" if message.get("reason") else ""
    return {
        "said": f"> {name}: {text}",
        "emoted": f"> * {name} {text}",
        "joined": f"> {name} joined the room",
        "left": f"> {name} has left the room{reason}",
        "renamed": f"> {name} is now known as {message.get('name')}",
        "topic": f"> {name} set the topic: {text}",
        "reported": f"> {name} {text}",
        "act": f"> {name} {text}",
        "announced": f"> announcement by {name}: {text}",
        "notice": f"> {text}",
        "refusal": f"err: {text}",
    }[kind]


def _name(message: Mapping[str, Any]) -> str:
    return message["who"]["name"] if "who" in message else ""


def _minute(message: Mapping[str, Any]) -> str:
    if "stamp" in message:
        return message["stamp"]
    return datetime.fromtimestamp(message["time"], UTC).isoformat(" ", "minutes")[:16]


def _dated(line: Mapping[str, Any]) -> str:
    shown = _line(line, "")
    return f"> [{_minute(line)}] {shown[2:]}"


def _deed(deed: Mapping[str, Any]) -> str:
    who = deed["who"]
    is_own_name = who["account"] and who["account"] == who["name"].casefold()
    account = "" if not who["account"] or is_own_name else f" (@{who['account']})"
    where = "" if deed["room"] == "*" else f", in {deed['room']}"
    return f"> [{_minute(deed)}] {who['name']}{account} {deed['text']}{where}"


def _listing(listing: Mapping[str, Any]) -> list[str]:
    lines = [f"> {listing['title']}: {', '.join(listing['names'])}"]
    if listing["more"]:
        hint = f": {listing['hint']}" if listing["hint"] else ""
        lines.append(f"> … and {listing['more']:,} more{hint}")
    return lines
