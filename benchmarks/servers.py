"""The servers that are compared."""

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Server:
    """How to start a server.  ``{port}`` and ``{directory}`` are filled in everywhere."""

    protocol: str
    """As ``load.c`` calls it."""
    command: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)
    """What has to be in its directory, by name."""

    @property
    def program(self) -> str | None:
        """Where the program is, if it is installed."""
        return shutil.which(self.command[0])

    def version(self) -> str:
        """Give the line in which the program tells its version."""
        told = subprocess.run(
            [self.command[0], "--version"], capture_output=True, text=True, check=False
        )
        return (told.stdout or told.stderr).partition("\n")[0].strip()


def twistd() -> str:
    """Give the ``twistd`` of the Python that runs this."""
    beside = Path(sys.executable).with_name("twistd")
    return str(beside) if beside.exists() else "twistd"


def _tcpchat(*, reactor: str = "", flood: str = "off", state: str = ":memory:") -> Server:
    return Server(
        "chat",
        (
            *(twistd(), "-n", "--pidfile=", "--logfile", "{directory}/log"),
            *(("--reactor", reactor) if reactor else ()),
            *("tcpchat", "--port", "tcp:{port}:interface=127.0.0.1:backlog=4096"),
            *("--state", state, "--flood", flood, "--max-per-address", "0"),
        ),
    )


# It would hold back whoever is fast, and whoever comes with many from one address.
_NGIRCD = """\
[Global]
Name = irc.localhost
Info = benchmark
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = hello
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxPenaltyTime = 0
PingTimeout = 3600
[Options]
DNS = no
Ident = no
PAM = no
"""

SERVERS: dict[str, Server] = {
    "tcpchat": _tcpchat(),
    "nats-server": Server("nats", ("nats-server", "-a", "127.0.0.1", "-p", "{port}")),
    "ngircd": Server(
        "irc", ("ngircd", "-n", "-f", "{directory}/ngircd.conf"), {"ngircd.conf": _NGIRCD}
    ),
    "tcpchat --flood 1000000/1000000": _tcpchat(flood="1000000/1000000"),
    "tcpchat --state chat.sqlite": _tcpchat(state="{directory}/chat.sqlite"),
    "tcpchat --reactor epoll": _tcpchat(reactor="epoll"),
    "tcpchat --reactor poll": _tcpchat(reactor="poll"),
    "tcpchat --reactor select": _tcpchat(reactor="select"),
    "tcpchat --reactor asyncio": _tcpchat(reactor="asyncio"),
}

COMPARED = ("tcpchat", "nats-server", "ngircd")
"""Those with neither options nor anything else that is peculiar."""
