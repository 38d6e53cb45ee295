"""What would fail at the start: found beforehand, and the words for it either way."""

import os
from errno import EADDRINUSE, EADDRNOTAVAIL, EEXIST
from pathlib import Path
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET, gaierror, socket
from stat import S_ISSOCK
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from twisted_chat.chat.kept import StateError
from twisted_chat.chat.sanitize import sanitize
from twisted_chat.doors.listener import reason
from twisted_chat.state.database import Database
from twisted_chat.values import ENDPOINT, WrongValue, refuse

STATE_FILE = "a file of one chat, in a directory that can be written, or :memory:"
SYSTEMS_OWN = ("tcp:", "tcp6:", "ssl:", "tls:", "unix:")
"""Endpoints of which all that could fail is up to the system."""
PORTS = f"takes 0 to 65535, or {ENDPOINT}"
KEY_FILE = "a file with an ed25519 key, which only the user of the chat may read"


class Dry:
    """A reactor that looks whether the chat could listen.  It may do so already."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._taken: set[tuple[str, int]] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: int, _factory: Factory, interface: str = "", **_how: Any) -> None:
        with socket(AF_INET6 if isIPv6Address(interface) else AF_INET) as trial:
            trial.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            try:
                trial.bind((interface, port))
            except OSError as error:
                if error.errno != EADDRINUSE:
                    raise CannotListenError(interface, port, error) from None
        if port and (interface, port) in self._taken:
            raise CannotListenError(interface, port, "it is asked for twice")
        self._taken.add((interface, port))

    listenSSL = listenTCP

    def listenUNIX(self, address: str, _factory: Factory, **_how: Any) -> None:
        os.stat(os.path.join(os.path.dirname(address) or ".", ""))
        if os.path.exists(address) and not S_ISSOCK(os.stat(address).st_mode):
            raise FileExistsError(EEXIST, "there is something else", address)


def check_port(dry: Dry, option: str, description: str) -> None:
    """Check whether the chat could listen there, without doing so.

    :raises WrongValue: it could not.
    """
    failures: list[Failure] = []
    try:
        endpoint = serverFromString(dry, description)
        if description.startswith(SYSTEMS_OWN):
            endpoint.listen(Factory()).addErrback(failures.append)
        if failures:
            failures[0].raiseException()
    except CannotListenError as error:
        refuse(option, description, sanitize(_why_not(error)))
    except Exception as error:  # each kind of endpoint fails in its own way
        refuse(option, description, sanitize(f"{reason(error)}. {PORTS}"))


def check_state(state: str) -> None:
    """Check whether the file could be opened, without doing so.

    :raises WrongValue: it could not be.
    """
    try:
        if state != ":memory:":
            Database(Path(state)).check()
    except StateError as error:
        raise wrong_state(state, error) from None


def check_host_key(file: str) -> None:
    """Check whether the key could be read or made, without doing so.

    :raises WrongValue: it could not be.
    """
    try:
        from twisted_chat.doors import hostkey  # noqa: PLC0415
    except ImportError:  # of the extra for SSH: that it is missing is told with the option
        return
    try:
        hostkey.check(Path(file))
    except (ValueError, OSError) as error:
        raise wrong_host_key(file, error) from None


def wrong_port(option: str, error: Exception) -> str:
    """Tell why nobody can listen there."""
    if not isinstance(error, CannotListenError):
        return sanitize(f"--{option} {error}. {PORTS}")
    at = os.fsdecode(error.port) if isinstance(error.port, bytes) else error.port  # a unix socket
    if error.interface:
        at = f"{error.interface}:{at}"
    return sanitize(f"--{option} {at}: {_why_not(error)}")


def _why_not(error: CannotListenError) -> str:
    cause = error.socketError  # a lock file that is taken comes as mere text
    why = getattr(cause, "strerror", None) or cause
    if isinstance(cause, PermissionError):
        return f"{why}. takes one that the user of the chat may have"
    if isinstance(cause, gaierror) or getattr(cause, "errno", None) == EADDRNOTAVAIL:
        return f"{why}. takes an address of this machine"
    return f"{why}. takes one that is free"


def wrong_state(state: str, error: Exception) -> WrongValue:
    """Tell why the file cannot keep the chat."""
    return WrongValue("state", state, f"{error}. takes {STATE_FILE}")


def wrong_host_key(file: str, error: Exception) -> WrongValue:
    """Tell why the file cannot be the key of the server."""
    why = getattr(error, "strerror", None) or error
    return WrongValue("ssh-host-key", file, f"{why}. takes {KEY_FILE}")
