"""The numbers that bound everything, and the token bucket."""

from dataclasses import dataclass

NICK_LENGTH = 32
ROOM_NAME_LENGTH = 64
TOPIC_LENGTH = 390
AWAY_LENGTH = 200
REASON_LENGTH = 200
IGNORED_PEOPLE = 100
LISTED = 200
ACCOUNTS_A_DAY = 5
DAY_SECONDS = 24 * 3600.0
ROOMS_OWNED = 10
ROLES = 200
"""Operators of a room, and people invited to it."""
SANCTIONS = 500
"""Bans and mutes in a room, and on the server."""
SLOW_SECONDS = 3600
KEY_LENGTH = 64
AUDITED = 20
AUDITED_AT_MOST = 200
DEEDS = 100_000
"""What operators did that is kept, to be looked at later."""
LETTERS = 100
"""Private lines that wait for someone who is not here."""
PASSWORD_BYTES_LEAST = 8
PASSWORD_BYTES = 128
SSH_KEYS = 10
"""That log in to one account."""
HASHES_AT_ONCE = 2
"""Passwords that are checked at a time: each takes a processor, and much memory."""
HASHES_WAITING = 32
REPLAYED = 10
REPLAYED_AT_MOST = 200
FOUND_AT_MOST = 50
SEARCHED_WORDS = 10
PENDING_LINES = 100
DORMANT_SECONDS = 24 * 3600
"""For so long people may come back to a room that is empty and belongs to nobody."""
OWNED_SECONDS = 90 * 24 * 3600
"""For so long the owner of a room and others may come back to it."""
DORMANT_ROOMS = 100_000
ERASED_AT_ONCE = 1000
BACKLOG = 4 * 1024 * 1024
"""Bytes that may wait for the store; above it those who talk are slowed."""
BACKLOG_PAUSE = 0.05
"""Seconds for which someone who talks waits while the store has more than `BACKLOG` to do."""
WAITING_OUTPUT = 256 * 1024 * 1024
FIRST_LINE_SECONDS = 300
CLOSING_SECONDS = 10
HANDSHAKE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator can set."""

    max_line: int = 1024
    """Bytes in a line."""
    flood: tuple[float, int] | None = (5.0, 20)
    """Lines a second and burst of one connection; None for no limit."""
    max_connections: int = 0
    """At a time; 0 for no limit."""
    max_per_address: int = 64
    """At a time, and new ones a minute, from one address; 0 for no limit."""
    sendq: int = 1024 * 1024
    """Bytes waiting for one slow reader."""
    idle_timeout: float = 0
    """Seconds of silence after which a connection is closed; 0 for never."""
    grace: float = 120
    """Seconds for which the place of an account is kept whose connection broke; 0 for none."""
    drain: float = 5
    """Seconds that a stop in order may take."""
    replay: int = REPLAYED
    """Lines of the past that are shown to who enters a room."""


class Bucket:
    """A token bucket: a line takes a token, and more may come only once there is one."""

    __slots__ = ("_burst", "_filled", "_rate", "tokens")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        """
        :param rate: tokens a second.
        :param burst: how many tokens it holds; it begins full.
        :param now: seconds, as in all calls.
        """
        self._rate = rate
        self._burst = burst
        self._filled = now
        self.tokens = float(burst)

    def spend(self, cost: int, now: float) -> None:
        """Take tokens for something that was done, into debt if need be."""
        elapsed = now - self._filled
        self._filled = now
        tokens = self.tokens
        if elapsed > 0:  # a clock may be set back
            tokens = min(self._burst, tokens + elapsed * self._rate)
        self.tokens = tokens - cost

    def wait(self, now: float) -> float:
        """Tell how many seconds remain until the next token is there."""
        if self.tokens >= 1:
            return 0.0
        self.spend(0, now)
        return max(0.0, (1 - self.tokens) / self._rate)
