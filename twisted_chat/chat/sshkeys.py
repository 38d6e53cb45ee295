"""Public keys of SSH, as OpenSSH writes them, and their fingerprints."""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType

from twisted_chat.chat.events import ChatError

PREFIX = "SHA256:"
"""What a fingerprint begins with; no name, address or id does."""
LONGEST = 2048
"""Characters in a key; those of an RSA key of 8192 bits are 1400."""
RSA_BITS = range(2048, 8193)
_NO_KEY = "that is no public key of SSH. one is the line in a file such as ~/.ssh/id_ed25519.pub"
_DAMAGED = "that key is not whole: copy all of the line that is in the file"
_FOREIGN = "keys of that type are not taken here. ssh-keygen -t ed25519 makes one that is"
_PRIVATE = "that is a private key, which nobody else may see. the public one ends in .pub"
_FINGERPRINT = re.compile(f"{PREFIX}[A-Za-z0-9+/]{{42}}[AEIMQUYcgkosw048]")  # 256 bits, no more
_OF_SSH = re.compile("(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[^ ]+")
_OF_A_PRIVATE_KEY = re.compile(
    "-+ ?BEGIN [^-]*PRIVATE KEY"
    "|PuTTY-User-Key-File"
    "|b3BlbnNzaC1rZXktdjE"  # "openssh-key-v1", where the first line was left out
)
_ED25519 = r"[\0-\xff]{32}"
_APPLICATION = r"[\0-\xff]*"


def _point(size: int) -> str:
    """Give the form of a point on a curve, uncompressed."""
    return rf"\x04[\0-\xff]{{{2 * size}}}"


_FORMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ssh-ed25519": (_ED25519,),
        "ecdsa-sha2-nistp256": ("nistp256", _point(32)),
        "ecdsa-sha2-nistp384": ("nistp384", _point(48)),
        "ecdsa-sha2-nistp521": ("nistp521", _point(66)),
        "ssh-rsa": (r"[\0-\xff]+", r"[\0-\xff]+"),
        "sk-ssh-ed25519@openssh.com": (_ED25519, _APPLICATION),
        "sk-ecdsa-sha2-nistp256@openssh.com": ("nistp256", _point(32), _APPLICATION),
    }
)
"""What the blob of each type holds after the type."""
KEY_TYPES = tuple(_FORMS)
"""The types of keys that are taken."""


def fingerprint(blob: bytes) -> str:
    """Give what OpenSSH shows of a key, of which this is the blob."""
    return PREFIX + b64encode(sha256(blob).digest()).decode().rstrip("=")


def is_fingerprint(text: str) -> bool:
    """Tell whether a text is the fingerprint of a key, and a whole one."""
    return _FINGERPRINT.fullmatch(text) is not None


def read(text: str) -> str:
    """Read a public key as OpenSSH writes it: type, blob in base64, and perhaps a comment.

    :returns: its fingerprint.
    :raises ChatError: it is none, or none that is taken; nothing of it is repeated.
    """
    text = text.strip()
    if _OF_A_PRIVATE_KEY.match(text):
        raise ChatError(_PRIVATE)
    kind, written, *_ = [*text.split(None, 2), "", ""]
    if not _OF_SSH.fullmatch(kind) or not written:
        raise ChatError(_NO_KEY)
    if kind not in KEY_TYPES:
        raise ChatError(_FOREIGN)
    if len(written) > LONGEST:
        raise ChatError(f"a key holds at most {LONGEST} characters")
    blob = _blob(written)
    _check(kind, _fields(blob))
    return fingerprint(blob)


def _blob(written: str) -> bytes:
    """Read base64, written as nothing else than its own blob would be."""
    try:
        blob = b64decode(written.encode(), validate=True)
    except ValueError:
        raise ChatError(_DAMAGED) from None
    if b64encode(blob).decode() != written:
        raise ChatError(_DAMAGED)
    return blob


def _fields(blob: bytes) -> list[bytes]:
    """Take a blob apart: fields, each after its length (https://www.rfc-editor.org/rfc/rfc4251).

    :raises ChatError: one of them is cut off.
    """
    fields = []
    while blob:
        end = 4 + int.from_bytes(blob[:4])
        if len(blob) < max(end, 4):
            raise ChatError(_DAMAGED)
        fields.append(blob[4:end])
        blob = blob[end:]
    return fields


def _check(kind: str, fields: list[bytes]) -> None:
    """Check that a blob holds what one of its type does, and nothing more."""
    forms = (re.escape(kind), *_FORMS[kind])
    texts = [field.decode("latin-1") for field in fields]
    if len(texts) != len(forms) or not all(map(re.fullmatch, forms, texts)):
        raise ChatError(_DAMAGED)
    if kind == "ssh-rsa":
        _check_rsa(*map(_number, fields[1:]))


def _check_rsa(exponent: int, modulus: int) -> None:
    if exponent < 3 or not exponent % 2 or not modulus % 2:
        raise ChatError(_DAMAGED)
    bits = modulus.bit_length()
    if bits not in RSA_BITS:
        raise ChatError(
            f"an RSA key has {RSA_BITS.start} to {RSA_BITS.stop - 1} bits here, not {bits}"
        )


def _number(field: bytes) -> int:
    """Read a number above zero, which is written in one way only."""
    number = int.from_bytes(field)
    if field != number.to_bytes(number.bit_length() // 8 + 1):
        raise ChatError(_DAMAGED)
    return number
