"""The key by which people know that it is this chat, and no other, that they reach by SSH."""

import os
from contextlib import suppress
from errno import EACCES
from pathlib import Path
from secrets import token_hex

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from twisted.conch.ssh.keys import EncryptedKeyError, Key

LARGEST = 16384
"""Bytes of a file that may be a key."""


def host_key(path: Path) -> Key:
    """Read the key, or make it if there is none yet.

    :raises ValueError: it is none that can be used.
    :raises OSError: the file can be neither read nor made.
    """
    if not path.exists():
        _make(path)
    return _read(path)


def check(path: Path) -> None:
    """See whether `host_key` could give a key, without making one; raises what it raises."""
    if path.exists():
        _read(path)
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(EACCES, "it is not there, and cannot be made", str(path))


def _read(path: Path) -> Key:
    if not path.is_file():  # to open a pipe may take for ever
        raise ValueError("it is no file")
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise ValueError(f"others may read it. chmod 600 {path}")
        text = file.read(LARGEST)
    try:
        key: Key = Key.fromString(text)
    except EncryptedKeyError:
        raise ValueError("it has a passphrase, and nobody is there to type it") from None
    except Exception:  # which each form of a file has of its own; no word of what is in it
        raise ValueError("it is no private key of OpenSSH") from None
    if key.type() != "Ed25519" or key.isPublic():
        raise ValueError("it is no private key of the type ed25519")
    return key


def _make(path: Path) -> None:
    text = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
    )
    new = path.with_name(f"{path.name}.{token_hex(8)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was quicker
            os.link(new, path)
    finally:
        new.unlink()
