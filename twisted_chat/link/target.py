"""Where a Redis server is."""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

PORT = 6379

_FORMS = "redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss://… or unix://[[USER]:PASSWORD@]/PATH"


@dataclass(frozen=True, repr=False)
class Target:
    """Where a Redis server is, and as whom to come there; as text it has no password."""

    host: str = ""
    port: int = PORT
    path: str = ""
    """Of a unix socket; empty if it is reached by a host."""
    user: str = ""
    password: str | None = None
    db: int = 0
    tls: bool = False
    ca: str = ""
    """A file with the certificates that are trusted; empty for those of the platform."""

    @classmethod
    def parse(cls, url: str) -> "Target":
        """Read a URL.

        :raises ValueError: it is none of a Redis server; the words do not have it in them.
        """
        parts, port = _split(url)
        asked = parse_qs(parts.query)
        user, password = _login(parts)
        if parts.scheme == "unix":
            if parts.hostname or not parts.path.startswith("/") or asked.keys() - {"db"}:
                raise ValueError("a Redis server at a unix socket is unix:///PATH[?db=N]")
            db = _database(asked.get("db", [""])[-1])
            return cls(path=unquote(parts.path), user=user, password=password, db=db)
        tls = parts.scheme == "rediss"
        if not parts.hostname:
            raise ValueError(f"the host of the Redis server is missing: {_FORMS}")
        if asked.keys() - ({"ca"} if tls else set()):
            raise ValueError("all that can be asked of a Redis server is ?ca=FILE, of rediss://")
        db, ca = _database(parts.path.removeprefix("/")), asked.get("ca", [""])[-1]
        return cls(parts.hostname, port or PORT, "", user, password, db, tls, ca)

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}?db={self.db}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis{'s' * self.tls}://{host}:{self.port}/{self.db}"

    __repr__ = __str__


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # what it says would show the password
        parts, port = SplitResult("", "", "", "", ""), None
    if parts.scheme not in ("redis", "rediss", "unix") or parts.fragment:
        raise ValueError(f"a Redis server is {_FORMS}; in a password / is %2F, # %23 and ? %3F")
    return parts, port


def _login(parts: SplitResult) -> tuple[str, str | None]:
    if parts.password is None and parts.username:
        raise ValueError("a user of a Redis server needs a password: USER:PASSWORD@")
    password = None if parts.password is None else unquote(parts.password)
    return unquote(parts.username or ""), password


def _database(number: str) -> int:
    if not re.fullmatch("[0-9]{0,6}", number):
        raise ValueError("the database of a Redis server is a number")
    return int(number or 0)
