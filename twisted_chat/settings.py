"""What the chat is told, on the command line and in a file: names, values, and what each takes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from getopt import getopt
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.python import usage

from twisted_chat import config
from twisted_chat.chat import duration, names
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.limits import REPLAYED, REPLAYED_AT_MOST, Limits
from twisted_chat.chat.sanitize import sanitize
from twisted_chat.config import WrongValue
from twisted_chat.doors.weborigin import origin_of
from twisted_chat.link import Target

ENDPOINT = "an endpoint such as tcp:8888:interface=127.0.0.1"
CHECKER = "TYPE or TYPE:ARGUMENT such as file:/etc/passwords. --help-auth lists the types"
REDIS_MODULES = ("txredisapi", "hiredis")
EXTRAS = {
    "web": ("web", ["autobahn"]),
    "ssh": ("ssh", ["cryptography", "bcrypt", "wcwidth"]),
    "metrics": ("metrics", ["prometheus_client"]),
}
"""By the option of a door, what has to be installed for it, and how that is told."""
REDIS_EXTRA = "pip install 'twisted-chat[redis]'"
NOT_IN_A_FILE = frozenset({"config", "help-auth-type"})

T = TypeVar("T")


class Settings(usage.Options, AuthOptionMixin):
    """The options of ``twistd tcpchat`` that have a value."""

    supportedInterfaces = (IUsernamePassword,)
    optParameters = [
        [
            "state",
            None,
            None,
            "file that keeps the chat; :memory: keeps nothing "
            "[default: tcpchat.sqlite in the run directory]",
        ],
        ["motd", None, None, "file with the message of the day"],
        ["max-line", None, 1024, "bytes in a line"],
        ["flood", None, "5/20", "lines a second and burst of one connection, or off"],
        ["max-connections", None, 0, "connections at a time; 0: no limit"],
        [
            "max-per-address",
            None,
            64,
            "of one address, and new ones a minute; 0: no limit",
        ],
        ["sendq", None, 1048576, "bytes waiting for one slow reader"],
        ["idle-timeout", None, 0, "seconds of silence; 0: never"],
        ["grace", None, 120, "seconds that an account may come back to its place; 0: none"],
        ["drain", None, 5, "seconds that a stop in order may take"],
        ["keep", None, "30d", "how long history is kept: 90s, 10m, 2h, 30d"],
        ["keep-lines", None, 1000000, "how many lines of a room are kept"],
        ["replay", None, REPLAYED, "lines of the past that who enters a room is shown"],
        [
            "ssh-host-key",
            None,
            None,
            "file with the key of the server for SSH, made if there is none "
            "[default: tcpchat_host_key in the run directory]",
        ],
        ["redis", None, None, "redis://HOST:PORT/DB of the cluster that this is a node of"],
        ["redis-file", None, None, "file with that, if it has a password"],
        ["node", None, "node", "name of this node of the cluster"],
        ["config", None, None, "file of options; SIGHUP has it read again"],
    ]
    limits: Limits
    keep_seconds: int
    keep_lines: int
    checkers: Sequence[ICredentialsChecker]
    redis: Target | None
    """Where the cluster has its Redis; None for a single node."""
    motd: list[str]
    """The lines of the message of the day, safe for terminals."""

    def __init__(self) -> None:
        super().__init__()
        self["port"] = []
        self["json"] = []
        self["web"] = []
        self["web-origin"] = []
        self["ssh"] = []
        self["metrics"] = []
        self["proxy-from"] = []
        self["operator"] = []
        self["auth"] = {}
        self.arguments: Sequence[str] = ()
        self.directory = Path()

    def parse(self, arguments: Sequence[str], directory: Path) -> None:
        """Parse a command line.

        :param directory: in which files with relative names are.
        :raises UsageError: something is wrong with it; this tells what, in one line.
        """
        self.arguments, self.directory = arguments, directory
        super().parseOptions([*arguments])

    def again(self) -> "Settings":
        """Parse the same command line, with the files that it names as they are now.

        :raises UsageError: something is wrong with it.
        """
        settings = type(self)()
        settings.parse(self.arguments, self.directory)
        return settings

    def settable(self) -> dict[str, bool]:
        """Tell what can be set in a file, and whether to several values."""
        valued = {name[:-1] for name in self.longOpt if name.endswith("=")}
        return {name: isinstance(self.get(name), list | dict) for name in valued - NOT_IN_A_FILE}

    def opt_port(self, port: str) -> None:
        """A port number, or a server endpoint such as unix:/run/chat.sock; repeatable
        [default: 8888]
        """
        self["port"].append(_port(port))

    opt_p = opt_port

    def opt_json(self, port: str) -> None:
        """Where programs come in, which speak JSON: as --port; repeatable [default: none]"""
        self["json"].append(_port(port, "json"))

    def opt_web(self, port: str) -> None:
        """Where browsers find a page: as --port; repeatable [default: none]"""
        self["web"].append(_port(port, "web"))

    def opt_web_origin(self, origin: str) -> None:
        """Another site whose pages may come, such as https://example.org; repeatable"""
        self["web-origin"].append(_origin(origin))

    def opt_ssh(self, port: str) -> None:
        """Where people come in by SSH: as --port; repeatable [default: none]"""
        self["ssh"].append(_port(port, "ssh"))

    def opt_metrics(self, port: str) -> None:
        """Where monitors ask how the chat is: as --port, but a number is a port of 127.0.0.1;
        repeatable [default: none]
        """
        at = _port(port, "metrics")
        self["metrics"].append(at if ":" in port else f"{at}:interface=127.0.0.1")

    def opt_proxy_from(self, network: str) -> None:
        """Address or network of proxies, which tell who is behind them; repeatable"""
        self["proxy-from"].append(_network(network))

    def opt_operator(self, name: str) -> None:
        """Name of the account of someone who runs the server; repeatable"""
        self["operator"].append(_operator(name))

    def opt_auth(self, description: str) -> None:
        """Further accounts, such as file:PATH; repeatable [default: own accounts]"""
        try:
            super().opt_auth(_with_its_file(description, self.directory))
        except (usage.UsageError, OSError):
            kind, _, _ = description.partition(":")  # what follows may be a password
            _refuse("auth", description if kind == "file" else kind, f"takes {CHECKER}")
        self["auth"][description] = self["credCheckers"][-1]

    def opt_help_auth_type(self, authType: str) -> None:
        """Tell what --auth takes after that type"""
        try:
            super().opt_help_auth_type(authType)
        except usage.UsageError:
            _refuse("help-auth-type", authType, "takes a type that --help-auth lists")

    def parseArgs(self, *extra: str) -> None:
        if extra:
            raise usage.UsageError(f"{sanitize(extra[0])}: takes options only. --help lists them")

    def postOptions(self) -> None:
        if self["config"] is not None:
            self._take_file()
        self.checkers = [*self["auth"].values()]
        self["port"] = self["port"] or ["tcp:8888"]
        self._find_files()
        self._read_limits()
        self._read_cluster()
        for door, (extra, modules) in EXTRAS.items():
            if self[door] and not all(map(find_spec, modules)):
                takes = f"takes what pip install 'twisted-chat[{extra}]' installs"
                _refuse(door, self[door][0].removeprefix("tcp:"), takes)

    def _take_file(self) -> None:
        """Take from the file what the command line does not say."""
        file = self.directory / self["config"]
        self["config"] = str(file)
        other = type(self)()
        try:
            other.parse(config.arguments(file, self.settable()), file.parent)
        except WrongValue as error:
            raise usage.UsageError(f"{sanitize(str(file))}: {error.words}") from None
        self.update({name: other[name] for name in other._said() - self._said()})

    def _said(self) -> set[str]:
        """Give the names of the options that the command line has."""
        said, _ = getopt([*self.arguments], self.shortOpt, self.longOpt)
        return {self.synonyms[name.lstrip("-")] for name, _ in said}

    def _find_files(self) -> None:
        """Make the names of files absolute: twistd may change the directory."""
        state, motd = self["state"], self["motd"]
        if state is not None and (not state or "\0" in state):
            _refuse("state", state, "takes a file, or :memory:")
        if state not in (None, ":memory:"):
            self["state"] = str(self.directory / state)
        if self["ssh-host-key"] is not None:
            self["ssh-host-key"] = str(self.directory / self["ssh-host-key"])
        self.motd = []
        if motd is not None:
            self["motd"] = self.directory / motd
            self.motd = self._read("motd", _motd, "a file of UTF-8 text")

    def _read_limits(self) -> None:
        self.limits = Limits(
            max_line=self._read("max-line", _number(16, 65536), "16 to 65536 bytes"),
            flood=self._read("flood", _flood, "RATE/BURST such as 5/20, or off"),
            max_connections=self._read("max-connections", _number(0), "a number, 0 for no limit"),
            max_per_address=self._read("max-per-address", _number(0), "a number, 0 for no limit"),
            sendq=self._read("sendq", _number(4096, 1 << 30), "4096 to 1073741824 bytes"),
            idle_timeout=self._read("idle-timeout", _seconds, "seconds, 0 for never"),
            grace=self._read("grace", _seconds, "seconds, 0 for none"),
            drain=self._read("drain", _seconds, "seconds"),
            replay=self._read(
                "replay", _number(0, REPLAYED_AT_MOST), f"0 to {REPLAYED_AT_MOST} lines"
            ),
        )
        self.keep_seconds = self._read("keep", duration.parse, "a time such as 10m, 2h or 30d")
        self.keep_lines = self._read("keep-lines", _number(1, 1 << 40), "a number of lines")

    def _read_cluster(self) -> None:
        self.redis = None
        option, url = "redis", self["redis"]
        if self["redis-file"] is not None:
            option = "redis-file"
            self[option] = str(self.directory / self[option])
            url = self._read(option, _secret, "a file with the URL of a Redis server")
        if url is None:
            return
        try:
            self.redis = Target.parse(url)
        except ValueError as error:  # which tells no password, as the URL may
            raise usage.UsageError(f"--{option}: {error}") from None
        if self.redis.ca:
            self.redis = replace(self.redis, ca=str(self.directory / self.redis.ca))
            if not Path(self.redis.ca).is_file():
                name = sanitize(self.redis.ca)
                raise usage.UsageError(f"--{option}: {name}: there is no such file")
        if not all(map(find_spec, REDIS_MODULES)):
            raise usage.UsageError(f"--{option} {self.redis}: takes what {REDIS_EXTRA} installs")
        if self["state"] is not None:
            _refuse("state", self["state"], "is not for a node of a cluster: Redis keeps it all")
        self._read("node", _node, "1 to 32 letters, digits and dashes")

    def _read(self, option: str, convert: Callable[[Any], T], takes: str) -> T:
        try:
            return convert(self[option])
        except (ValueError, OSError):
            _refuse(option, self[option], f"takes {takes}")


def _port(text: str, option: str = "port") -> str:
    """Read what a door's option takes, as an endpoint string."""
    if ":" in text:
        return text
    try:
        return f"tcp:{_number(0, 65535)(text)}"
    except ValueError:
        _refuse(option, text, f"takes 0 to 65535, or {ENDPOINT}")


def _origin(text: str) -> str:
    """Read what ``--web-origin`` takes, as an origin."""
    try:
        return origin_of(text)
    except ValueError:
        _refuse("web-origin", text, "takes an origin such as https://example.org")


def _network(text: str) -> str:
    """Read what ``--proxy-from`` takes, as a network."""
    try:
        return str(ip_network(text))
    except ValueError:
        _refuse("proxy-from", text, "takes an address or a network such as 10.0.0.0/8")


def _operator(text: str) -> str:
    """Read what ``--operator`` takes, as a name."""
    try:
        return names.nick(text).text
    except ChatError:
        _refuse("operator", text, "takes a name that people may have")


def _with_its_file(description: str, directory: Path) -> str:
    """Have a checker find its file wherever the process is by then.

    :raises OSError: there is none that can be read.
    """
    kind, _, name = description.partition(":")
    if kind != "file" or not name.strip():
        return description
    file = directory / name
    if not file.is_file():  # to open a pipe may take for ever
        raise FileNotFoundError
    file.open("rb").close()
    return f"file:{file}"


def _number(least: int, most: float = float("inf")) -> Callable[[Any], int]:
    def convert(text: Any) -> int:
        number = int(text)
        if not least <= number <= most:
            raise ValueError
        return number

    return convert


def _seconds(text: Any) -> float:
    seconds = float(text)
    if not 0 <= seconds < 1e9:
        raise ValueError
    return seconds


def _flood(text: str) -> tuple[float, int] | None:
    if text == "off":
        return None
    rate, burst = text.split("/")
    if not 0.1 <= float(rate) <= 1e9 or not 3 <= int(burst) <= 1e9:
        raise ValueError
    return float(rate), int(burst)


def _secret(name: str) -> str:
    return Path(name).read_text("utf-8").strip()


def _node(name: str) -> str:
    if not re.fullmatch("[A-Za-z0-9-]{1,32}", name):
        raise ValueError
    return name


def _motd(path: Path) -> list[str]:
    return [sanitize(line.rstrip()) for line in path.read_text("utf-8").splitlines()]


def _refuse(option: str, value: object, takes: str) -> NoReturn:
    raise WrongValue(option, value, takes)
