"""The PROXY header, in which a proxy tells who is behind it.

Versions 1 and 2, as in https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, for streams.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LONGEST_TEXT = 107
FIXED = 16
"""Bytes of version 2 that are always there."""
LONGEST_REST = 4096
"""Bytes after those: what proxies add about a connection is less."""
LOCAL, PROXIED = 0x20, 0x21
TLS, IS_TLS = 0x20, 0x01
"""The kind of addition that tells of TLS, and the flag in it that says that there was."""


class Header(NamedTuple):
    """What a proxy tells."""

    length: int
    """Bytes of the header."""
    host: str = ""
    """Who is behind the proxy; empty if it speaks for itself, or does not know."""
    port: int = 0
    is_encrypted: bool = False
    """Whether they have come to the proxy over TLS, as far as it tells."""


def parse(data: bytes) -> Header | None:
    """Read the header with which a connection begins.

    :returns: None if there is more to come.
    :raises ValueError: it is none, in words for a log.
    """
    if SIGNATURE.startswith(data[: len(SIGNATURE)]):
        return _binary(data)
    if b"PROXY ".startswith(data[:6]):
        return _text(data)
    raise ValueError("it does not begin with a PROXY header")


def _text(data: bytes) -> Header | None:
    line, end, _ = data[:LONGEST_TEXT].partition(b"\r\n")
    if not end:
        if len(data) < LONGEST_TEXT:
            return None
        raise ValueError("its PROXY header does not end")
    length = len(line) + 2
    words = line.decode("ascii", "replace").split(" ")
    if words[1] == "UNKNOWN":
        return Header(length)
    kinds: dict[str, type] = {"TCP4": IPv4Address, "TCP6": IPv6Address}
    try:
        _, kind, source, target, *ports = words
        if {type(ip_address(one)) for one in (source, target)} != {kinds[kind]}:
            raise ValueError
        port, _ = map(_port, ports)
    except (ValueError, LookupError):
        raise ValueError("its PROXY header makes no sense") from None
    return Header(length, source, port)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) < 65536):
        raise ValueError
    return int(text)


def _binary(data: bytes) -> Header | None:
    if len(data) < FIXED:
        return None
    command, family = data[12:14]
    rest = int.from_bytes(data[14:FIXED])
    if command not in (LOCAL, PROXIED):
        raise ValueError("its PROXY header is of a version that is unknown")
    if rest > LONGEST_REST:
        raise ValueError(f"its PROXY header has {rest} bytes, more than {LONGEST_REST}")
    length = FIXED + rest
    if len(data) < length:
        return None
    if command == LOCAL or family not in _SIZES:
        return Header(length)
    return _addresses(data[FIXED:length], length, _SIZES[family])


_SIZES = {0x11: 4, 0x21: 16}
"""Bytes of an address, by family and kind: TCP over IPv4 and IPv6."""


def _addresses(rest: bytes, length: int, size: int) -> Header:
    begin = 2 * size
    if len(rest) < begin + 4:
        raise ValueError("its PROXY header is too short for its addresses")
    host = str(ip_address(rest[:size]))
    port = int.from_bytes(rest[begin : begin + 2])
    is_encrypted = any(
        kind == TLS and bool(value) and bool(value[0] & IS_TLS)
        for kind, value in _additions(rest[begin + 4 :])
    )
    return Header(length, host, port, is_encrypted)


def _additions(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give what a proxy adds: of each its kind, and what it says."""
    while len(data) >= 3:
        end = 3 + int.from_bytes(data[1:3])
        yield data[0], data[3:end]
        data = data[end:]
