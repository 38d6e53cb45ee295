"""Where people come from, as text; empty for those who come from nowhere, as over a socket file."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_network

PLACE_BITS = 64
"""Of an IPv6 address, what one customer is given: https://www.rfc-editor.org/rfc/rfc6177."""


def place(address: str) -> str:
    """Give what counts as one place to come from: an IPv4 address, or the /64 of an IPv6 one."""
    return place_network(address).partition("/")[0]


def place_network(address: str) -> str:
    """Give the same as a network; empty for someone from nowhere."""
    if not address:
        return ""
    bits = PLACE_BITS if ":" in address else 32
    return str(ip_network(f"{address}/{bits}", strict=False))


def network(text: str) -> str | None:
    """Read an address, or a network such as ``10.0.0.0/8``, in its usual form.

    :returns: None if it is neither.
    """
    if "%" in text:  # after it, anything goes
        return None
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        return None
    mapped = found.network_address
    if isinstance(mapped, IPv6Address) and mapped.ipv4_mapped and found.prefixlen >= 96:
        return str(ip_network(f"{mapped.ipv4_mapped}/{found.prefixlen - 96}", strict=False))
    return str(found)


def covers(network: str, address: str) -> bool:
    """Tell whether an address is in a network."""
    first, last = _span(network)
    return bool(address) and first <= _packed(address) <= last


# A sanction is compared with many, and somebody with many sanctions.
@lru_cache(maxsize=4096)
def _span(network: str) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    """Give the first and the last address of a network."""
    found = ip_network(network)
    return _packed(str(found[0])), _packed(str(found[-1]))


@lru_cache(maxsize=16384)  # all who are here are compared with a new one, in the same order
def _packed(address: str) -> tuple[int, bytes]:
    """Give an address as what can be compared with others."""
    if ":" in address:
        return 6, IPv6Address(address).packed
    return 4, bytes(map(int, address.split(".")))  # `ipaddress` takes several times as long
