"""The options: their names, and what each is for, on the command line and in a file."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.python import usage

from twisted_chat import commandline, config, values
from twisted_chat.chat import duration
from twisted_chat.chat.limits import REPLAYED, REPLAYED_AT_MOST, Limits
from twisted_chat.chat.sanitize import sanitize
from twisted_chat.link import Target
from twisted_chat.values import Mistakes, WrongValue, refuse

CHECKER = "TYPE or TYPE:ARGUMENT such as file:/etc/passwords. --help-auth lists the types"
REDIS_MODULES = ("txredisapi", "hiredis")
EXTRAS = {
    "web": ["autobahn"],
    "ssh": ["cryptography", "bcrypt", "wcwidth"],
    "metrics": ["prometheus_client"],
}
"""What has to be installed for a door: the extra is called like the option."""
LOOPBACK = ":interface=127.0.0.1"
REDIS_EXTRA = "pip install 'twisted-chat[redis]'"
NOT_IN_A_FILE = frozenset({"config", "help-auth-type"})

PRECEDENCE = "What the command line says wins over the file, and the file over the defaults."

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
        ["max-per-address", None, 64, "connections of one address, new ones a minute; 0: no limit"],
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
        self._said: set[str] = set()
        """The names of the options that are not left to their defaults."""
        self._places: dict[str, config.File] = {}
        """Where options stand that are not on the command line, by their names."""
        self._mistakes: list[str] = []

    def parse(self, arguments: Sequence[str], directory: Path) -> None:
        """Parse a command line.

        :param directory: in which files with relative names are.
        :raises Mistakes: something is wrong with it.
        """
        self.arguments, self.directory = arguments, directory
        options, self._mistakes = commandline.cut(arguments, self.shortOpt, self.longOpt)
        for name, value in options:
            with self.noting_mistakes():
                self._take(self.synonyms[name.lstrip("-")], value)
        self._conclude()

    def _parse_file(self, file: config.File) -> None:
        """Parse what a file says.

        :raises Mistakes: something is wrong with it.
        """
        self.directory, names = file.path.parent, self.settable()
        for name, value in file.values.items():
            self._places[name] = file
            with self.noting_mistakes():
                for text in config.texts(name, value, names):
                    with self.noting_mistakes():
                        self._take(name, text)
        self._conclude()

    def _take(self, name: str, value: str) -> None:
        """Take one option.

        :raises UsageError: it does not take the value.
        """
        self._said.add(name)
        super().parseOptions([f"--{name}={value}" if f"{name}=" in self.longOpt else f"--{name}"])

    @contextmanager
    def noting_mistakes(self) -> Iterator[None]:
        """Note what is wrong with an option, and go on: all of it is told in the end."""
        try:
            yield
        except Mistakes as mistakes:
            self._mistakes += mistakes.lines
        except WrongValue as error:
            file = self._places.get(error.option)
            told = f"{file.place(error.option)}: {error.words}" if file else str(error)
            self._mistakes.append(told)
        except usage.UsageError as error:
            self._mistakes.append(str(error))

    def _conclude(self) -> None:
        self.finish()
        if self._mistakes:
            raise Mistakes(self._mistakes)

    def again(self) -> "Settings":
        """Parse the same command line, with the files that it names as they are now.

        :raises Mistakes: something is wrong with it.
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
        self["port"].append(values.port(port))

    opt_p = opt_port

    def opt_json(self, port: str) -> None:
        """Where programs come in, which speak JSON: as --port; repeatable [default: none]"""
        self["json"].append(values.port(port, "json"))

    def opt_web(self, port: str) -> None:
        """Where browsers find a page: as --port; repeatable [default: none]"""
        self["web"].append(values.port(port, "web"))

    def opt_web_origin(self, origin: str) -> None:
        """Another site whose pages may come, such as https://example.org; repeatable"""
        self["web-origin"].append(values.origin(origin))

    def opt_ssh(self, port: str) -> None:
        """Where people come in by SSH: as --port; repeatable [default: none]"""
        self["ssh"].append(values.port(port, "ssh"))

    def opt_metrics(self, port: str) -> None:
        """Where monitors ask how the chat is: as --port, but a number is a port of 127.0.0.1;
        repeatable [default: none]
        """
        at = values.port(port, "metrics")
        self["metrics"].append(at if ":" in port else f"{at}{LOOPBACK}")

    def opt_proxy_from(self, network: str) -> None:
        """Address or network of proxies, which tell who is behind them; repeatable"""
        self["proxy-from"].append(values.network(network))

    def opt_operator(self, name: str) -> None:
        """Name of the account of someone who runs the server; repeatable"""
        self["operator"].append(values.operator(name))

    def opt_auth(self, description: str) -> None:
        """Further accounts, such as file:PATH; repeatable [default: own accounts]"""
        try:
            description = values.with_its_file(description, self.directory)
            super().opt_auth(description)
        except (usage.UsageError, OSError):
            kind, _, _ = description.partition(":")  # what follows may be a password
            refuse("auth", description if kind == "file" else kind, f"takes {CHECKER}")
        self["auth"][description] = self["credCheckers"][-1]

    def opt_help_auth_type(self, authType: str) -> None:
        """Tell what --auth takes after that type"""
        try:
            super().opt_help_auth_type(authType)
        except usage.UsageError:
            refuse("help-auth-type", authType, "takes a type that --help-auth lists")

    def finish(self) -> None:
        """Make of all options what they mean, once they are there; note what is wrong."""
        if self["config"] is not None:
            with self.noting_mistakes():
                self._take_file()
        self.checkers = [*self["auth"].values()]
        self["port"] = self["port"] or ["tcp:8888"]
        self._find_files()
        self._read_limits()
        self.redis = None
        with self.noting_mistakes():
            self._read_cluster()
        for door, modules in EXTRAS.items():
            if self[door] and not all(map(find_spec, modules)):
                with self.noting_mistakes():
                    port = self[door][0].removeprefix("tcp:").removesuffix(LOOPBACK)
                    refuse(door, port, f"takes what pip install 'twisted-chat[{door}]' installs")

    def _take_file(self) -> None:
        """Take from the file what the command line does not say.

        :raises UsageError: something is wrong with it.
        """
        path = self.directory / self["config"]
        self["config"] = str(path)
        other, file = type(self)(), config.File(path)
        other._parse_file(file)
        new = other._said - self._said
        self.update({name: other[name] for name in new})
        self._said |= new
        self._places = dict.fromkeys(new, file)

    def _find_files(self) -> None:
        """Make the names of files absolute: twistd may change the directory."""
        state, motd = self["state"], self["motd"]
        if state is not None and (not state or "\0" in state):
            with self.noting_mistakes():
                refuse("state", state, "takes a file, or :memory:")
        elif state not in (None, ":memory:"):
            self["state"] = str(self.directory / state)
        if self["ssh-host-key"] is not None:
            self["ssh-host-key"] = str(self.directory / self["ssh-host-key"])
        self.motd = []
        if motd is not None:
            self["motd"] = self.directory / motd
            with self.noting_mistakes():
                self.motd = self._converted("motd", values.motd, "a file of UTF-8 text")

    def _read_limits(self) -> None:
        self.limits = Limits(
            max_line=self._read("max-line", values.number(16, 65536), "16 to 65536 bytes"),
            flood=self._read("flood", values.flood, "RATE/BURST such as 5/20, or off"),
            max_connections=self._read(
                "max-connections", values.number(0), "a number, 0 for no limit"
            ),
            max_per_address=self._read(
                "max-per-address", values.number(0), "a number, 0 for no limit"
            ),
            sendq=self._read("sendq", values.number(4096, 1 << 30), "4096 to 1073741824 bytes"),
            idle_timeout=self._read("idle-timeout", values.seconds, "seconds, 0 for never"),
            grace=self._read("grace", values.seconds, "seconds, 0 for none"),
            drain=self._read("drain", values.seconds, "seconds"),
            replay=self._read(
                "replay", values.number(0, REPLAYED_AT_MOST), f"0 to {REPLAYED_AT_MOST} lines"
            ),
        )
        self.keep_seconds = self._read("keep", duration.parse, "a time such as 10m, 2h or 30d")
        self.keep_lines = self._read("keep-lines", values.number(1, 1 << 40), "a number of lines")

    def _read_cluster(self) -> None:
        """Read of which cluster this is a node.

        :raises UsageError: it cannot be one.
        """
        option, url = "redis", self["redis"]
        if self["redis-file"] is not None:
            option = "redis-file"
            self[option] = str(self.directory / self[option])
            url = self._converted(option, values.secret, "a file with the URL of a Redis server")
        if url is None:
            return
        self._converted("node", values.node, "1 to 32 letters, digits and dashes")
        try:
            target = Target.parse(url)
        except ValueError as error:  # which tells no password, as the URL may
            refuse(option, None, str(error))
        if target.ca:
            target = replace(target, ca=str(self.directory / target.ca))
            if not Path(target.ca).is_file():
                refuse(option, None, f"{sanitize(target.ca)}: there is no such file")
        if not all(map(find_spec, REDIS_MODULES)):
            refuse(option, target, f"takes what {REDIS_EXTRA} installs")
        if self["state"] is not None:
            refuse("state", self["state"], "is not for a node of a cluster: Redis keeps it all")
        self.redis = target

    def _read(self, option: str, convert: Callable[[Any], T], takes: str) -> T:
        with self.noting_mistakes():
            return self._converted(option, convert, takes)
        return convert(self.defaults[option])

    def _converted(self, option: str, convert: Callable[[Any], T], takes: str) -> T:
        try:
            return convert(self[option])
        except (ValueError, OSError):
            refuse(option, self[option], f"takes {takes}")

    # Showing

    def written(self, heading: str) -> str:
        """Write a file that says what is in force; but for what may hold a password."""
        return config.written(
            f"{heading} {PRECEDENCE}", map(self._setting, sorted(self.settable()))
        )

    def _setting(self, name: str) -> config.Setting:
        value = self[name]
        return config.Setting(
            name,
            " ".join((self.docs[name] or "").split()),
            [*value] if isinstance(value, dict) else value,
            name in self._said,
            self._is_secret(name),
        )

    def _is_secret(self, name: str) -> bool:
        if name == "redis":
            return "@" in (self[name] or "")
        return name == "auth" and not all(one.startswith("file:") for one in self[name])
