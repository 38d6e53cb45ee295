"""What each option takes: words on a command line or in a file become values, or are refused."""

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NoReturn

from twisted.python import usage

from twisted_chat.chat import names
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.sanitize import sanitize
from twisted_chat.doors.weborigin import origin_of

ENDPOINT = "an endpoint such as tcp:8888:interface=127.0.0.1"


class WrongValue(usage.UsageError):
    """Something that an option does not take."""

    def __init__(self, option: str, value: object, takes: str) -> None:
        """
        :param value: None for one that is not shown: there may be a password in it.
        """
        self.option = option
        shown = "" if value is None else f" {value}"
        self.words = f"{sanitize(option + shown)}: {takes}"
        super().__init__(f"--{self.words}")


class Mistakes(usage.UsageError):
    """All that is wrong with what the chat was told."""

    def __init__(self, lines: Sequence[str]) -> None:
        """
        :param lines: one for each mistake.
        """
        self.lines = lines
        super().__init__("; ".join(lines))


def refuse(option: str, value: object, takes: str) -> NoReturn:
    """Refuse a value.

    :raises WrongValue: always.
    """
    raise WrongValue(option, value, takes)


def nearest(name: str, names: Iterable[str]) -> str:
    """Tell what somebody may have meant."""
    found = get_close_matches(name, names, 1)
    return f"perhaps {found[0]}" if found else "--help lists them"


def port(text: str, option: str = "port") -> str:
    """Read what a door's option takes, as an endpoint string."""
    if ":" in text:
        return text
    try:
        return f"tcp:{number(0, 65535)(text)}"
    except ValueError:
        refuse(option, text, f"takes 0 to 65535, or {ENDPOINT}")


def origin(text: str) -> str:
    """Read what ``--web-origin`` takes, as an origin."""
    try:
        return origin_of(text)
    except ValueError:
        refuse("web-origin", text, "takes an origin such as https://example.org")


def network(text: str) -> str:
    """Read what ``--proxy-from`` takes, as a network."""
    try:
        return str(ip_network(text))
    except ValueError:
        refuse("proxy-from", text, "takes an address or a network such as 10.0.0.0/8")


def operator(text: str) -> str:
    """Read what ``--operator`` takes, as a name."""
    try:
        return names.nick(text).text
    except ChatError:
        refuse("operator", text, "takes a name that people may have")


def regular(path: Path) -> Path:
    """Give a path that is one of a file: to open a pipe may take for ever.

    :raises FileNotFoundError: it is none.
    """
    if not path.is_file():
        raise FileNotFoundError("there is no such file")
    return path


def with_its_file(description: str, directory: Path) -> str:
    """Have a checker find its file wherever the process is by then.

    :raises OSError: there is none that can be read.
    """
    kind, _, name = description.partition(":")
    if kind != "file" or not name.strip():
        return description
    file = directory / name
    regular(file).open("rb").close()
    return f"file:{file}"


def number(least: int, most: float = float("inf")) -> Callable[[Any], int]:
    """Give what reads a number within bounds."""

    def convert(text: Any) -> int:
        number = int(text)
        if not least <= number <= most:
            raise ValueError
        return number

    return convert


def seconds(text: Any) -> float:
    """Read a time in seconds.

    :raises ValueError: it is none.
    """
    seconds = float(text)
    if not 0 <= seconds < 1e9:
        raise ValueError
    return seconds


def flood(text: str) -> tuple[float, int] | None:
    """Read a rate and a burst; None for no limit.

    :raises ValueError: it is none.
    """
    if text == "off":
        return None
    rate, burst = text.split("/")
    if not 0.1 <= float(rate) <= 1e9 or not 3 <= int(burst) <= 1e9:
        raise ValueError
    return float(rate), int(burst)


def secret(name: str) -> str:
    """Read what is in a file, and in nothing else."""
    return regular(Path(name)).read_text("utf-8").strip()


def node(name: str) -> str:
    """Read the name of a node.

    :raises ValueError: it is none.
    """
    if not re.fullmatch("[A-Za-z0-9-]{1,32}", name):
        raise ValueError
    return name


def motd(path: Path) -> list[str]:
    """Read the lines of the message of the day, safe for terminals."""
    return [sanitize(line.rstrip()) for line in regular(path).read_text("utf-8").splitlines()]
