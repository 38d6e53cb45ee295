"""Tell HTTP from chat: a web page must not be able to talk here on a visitor's behalf."""

import re

OPENING = 32
"""How many bytes of a line tell whether it is HTTP, should it be too long to be read."""

_REQUEST = re.compile(rb"[A-Z]+ \S+ HTTP/[0-9]")
_BEGUN_REQUEST = re.compile(rb"[A-Z]+ (/|https?:)")


def is_request(line: bytes) -> bool:
    """Tell whether a line is the first of an HTTP request (RFC 9112, section 3)."""
    return _REQUEST.match(line) is not None


def begins_request(opening: bytes) -> bool:
    """Tell whether a line that is too long to be read begins as one."""
    return _BEGUN_REQUEST.match(opening) is not None
