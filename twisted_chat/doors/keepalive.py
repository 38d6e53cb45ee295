"""Peers that are gone without a word."""

import socket
from contextlib import suppress
from typing import Any

_OPTIONS = {
    "TCP_KEEPIDLE": 60,
    "TCP_KEEPINTVL": 15,
    "TCP_KEEPCNT": 4,
    "TCP_USER_TIMEOUT": 120_000,  # milliseconds
}


def find_dead_peers(transport: Any) -> None:
    """Have the kernel find out when the peer is gone, and send lines without delay.

    ``setTcpKeepAlive`` alone would leave it at the system's two hours.
    """
    sock = getattr(transport, "socket", None)
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with suppress(OSError):  # the peer may be gone already
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _OPTIONS.items():
            if hasattr(socket, option):  # not every system has every one
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def is_broken(transport: Any) -> bool:
    """Tell whether the peer has broken the connection.

    The reactor does not see it while nothing is read or written.
    """
    sock = getattr(transport, "socket", None)
    return sock is not None and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
