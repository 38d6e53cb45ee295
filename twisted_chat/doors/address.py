"""Who may come in: connections are counted, in all and from each address."""

from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from twisted_chat.chat.addresses import place
from twisted_chat.chat.limits import Limits

MINUTE = 60.0
REASONS = ("full", "address", "address_rate", "logins")
"""Why people may not come in, for those who count."""


def host(address: Any) -> str:
    """Give where a peer is, as the rules have it.

    :param address: of the peer, an ``IAddress``.
    :returns: an empty text for a peer that has no such address, as on a unix socket.
    """
    known = ip(address)
    return "" if known is None else str(known)


def origin(address: Any) -> str | None:
    """Give what connections are counted by: an IPv4 address, or the /64 of an IPv6 one.

    :returns: None for a peer that has no such address.
    """
    return place(host(address)) or None


def is_afar(address: Any) -> bool:
    """Tell whether a peer is on another machine."""
    known = ip(address)
    return known is not None and not known.is_loopback


def ip(address: Any) -> IPv4Address | IPv6Address | None:
    """Give the IP address of a peer, if it has one.

    :param address: of the peer, an ``IAddress``.
    """
    host = getattr(address, "host", None)
    if not isinstance(host, str):
        return None
    try:
        known = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = known.ipv4_mapped if isinstance(known, IPv6Address) else None
    return mapped or known  # an IPv4 peer on a listener for both


class Admission:
    """Counts who is in, and says who may come."""

    def __init__(self, limits: Callable[[], Limits], clock: Callable[[], float]) -> None:
        """
        :param limits: gives the limits in force.
        :param clock: gives seconds.
        """
        self._limits = limits
        self._clock = clock
        self._minute = clock()
        self._came: Counter[str] = Counter()
        self._here: Counter[str] = Counter()
        self.connections = 0
        self.refused: Counter[str] = Counter()
        """How many were not let in, by why."""

    def refusal(self, address: Any) -> str:
        """Say why someone may not come in, which counts; an empty text means that they may."""
        limits = self._limits()
        if limits.max_connections and self.connections >= limits.max_connections:
            return self.refuse("full", "the chat is full. try again later")
        key, most = origin(address), limits.max_per_address
        if key is None or not most:
            return ""
        if self._here[key] >= most:
            why = f"there are {most} connections from your address already"
            return self.refuse("address", why)
        self._begin_minute()
        if self._came[key] >= most:
            why = f"more than {most} connections from your address in a minute. try again later"
            return self.refuse("address_rate", why)
        return ""

    def refuse(self, reason: str, why: str) -> str:
        """Count someone who may not come in; give why, in words.

        :param reason: one of `REASONS`.
        """
        self.refused[reason] += 1
        return why

    def enter(self, address: Any) -> None:
        """Count someone in."""
        self.connections += 1
        if key := origin(address):
            self._here[key] += 1
            self._begin_minute()
            self._came[key] += 1

    def leave(self, address: Any) -> None:
        """Count someone out."""
        self.connections -= 1
        if key := origin(address):
            self._here[key] -= 1
            if not self._here[key]:
                del self._here[key]

    def _begin_minute(self) -> None:
        """Forget who came, if that was a minute ago, or the clock was set back."""
        now = self._clock()
        if not 0 <= now - self._minute < MINUTE:
            self._minute = now
            self._came.clear()
