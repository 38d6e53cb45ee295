"""How connections end, for those who count."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from twisted_chat.chat.events import Ending


class Outcome(Enum):
    """How a connection has ended."""

    QUIT = "quit"
    ELSEWHERE = "elsewhere"
    BANNED = "banned"
    STOPPED = "stopped"
    """So is the server."""
    LOST = "lost"
    """It broke, or the peer ended it."""
    SLOW = "slow"
    SILENT = "silent"
    """Nothing was ever said."""
    IDLE = "idle"
    HTTP = "http"
    """It was a web browser, or a page that was told to come here."""


OUTCOMES: Mapping[Ending, Outcome] = MappingProxyType(
    {
        Ending.OVER: Outcome.STOPPED,
        Ending.QUIT: Outcome.QUIT,
        Ending.ELSEWHERE: Outcome.ELSEWHERE,
        Ending.BANNED: Outcome.BANNED,
    }
)
"""By what the rules call it."""
