"""What would fail at the start: found beforehand, and the words for it either way."""

from pathlib import Path
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError

from twisted_chat.chat.kept import StateError
from twisted_chat.state.database import Database
from twisted_chat.values import ENDPOINT, WrongValue, refuse

STATE_FILE = "a file of one chat, in a directory that can be written, or :memory:"
PORTS = f"takes 0 to 65535, or {ENDPOINT}"
KEY_FILE = "a file with an ed25519 key, which only the user of the chat may read"


def check_port(reactor: Any, option: str, description: str) -> None:
    """Check what can be told of an endpoint without listening.

    :raises WrongValue: it makes no sense.
    """
    try:
        serverFromString(reactor, description)
    except Exception as error:  # each kind of endpoint fails in its own way
        why = str(error) or type(error).__name__
        refuse(option, description, f"{why.rstrip('.')}. {PORTS}")


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
    if isinstance(error, CannotListenError):
        # a lock file that is taken comes as mere text
        why = getattr(error.socketError, "strerror", None) or error.socketError
        return f"--{option} {error.port}: {why}. takes one that is free"
    return f"--{option} {str(error).rstrip('.')}. {PORTS}"


def wrong_state(state: str, error: Exception) -> WrongValue:
    """Tell why the file cannot keep the chat."""
    return WrongValue("state", state, f"{error}. takes {STATE_FILE}")


def wrong_host_key(file: str, error: Exception) -> WrongValue:
    """Tell why the file cannot be the key of the server."""
    why = getattr(error, "strerror", None) or error
    return WrongValue("ssh-host-key", file, f"{why}. takes {KEY_FILE}")
