"""Which pages may talk to the chat: those that it has served itself, and those it was told of."""

from collections.abc import Container, Mapping
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def origin_of(text: str) -> str:
    """Give an origin as it is compared (RFC 6454): ``https://chat.example.org``.

    :raises ValueError: it is none.
    """
    parts = urlsplit(text)
    if parts.scheme not in _PORTS or not parts.hostname or parts.path or parts.query:
        raise ValueError(f"{text} is no origin")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_usual = parts.port in (None, _PORTS[parts.scheme])
    return f"{parts.scheme}://{host}" + ("" if is_usual else f":{parts.port}")


def is_allowed(headers: Mapping[str, str], others: Container[str]) -> bool:
    """Tell whether the page that opens a WebSocket is one of ours.

    What sends no ``Origin`` is no browser, and nobody's page.  What runs in front of the chat may
    add TLS, so it is the host that has to be the same, with its port.

    :param headers: of the request, by names in lower case.
    :param others: further origins, as `origin_of` gives them.
    """
    if "origin" not in headers:
        return True
    try:
        origin = origin_of(headers["origin"])
        scheme = urlsplit(origin).scheme
        return origin in others or origin == origin_of(f"{scheme}://{headers.get('host', '')}")
    except ValueError:
        return False
