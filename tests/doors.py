"""A real chat with a door of each kind."""

import ssl
import struct
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from frames import Page
from real import ANYWHERE, Chat, Program, free_port, need_module

SENDQ = 200_000


def make_certificate(directory: Path) -> None:
    """Write ``key.pem`` and ``cert.pem``, for localhost and by itself."""
    need_module("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (directory / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


PROXY = "127.0.0.2"
"""Where proxies are."""
BEHIND = "203.0.113.7"
DOORS = [
    "tcp",
    "unix",
    "tls",
    "proxy",
    "tls behind a proxy",
    "json",
    "page",
    "page over tls",
    "ssh",
]


class Doors:
    """A chat with a door of each kind."""

    def __init__(self, directory: Path, *options: str) -> None:
        """
        :param options: more of them.
        """
        need_module("OpenSSL")
        make_certificate(directory)
        need_module("autobahn")
        need_module("bcrypt")
        self.tls_port, self.json_port = free_port(), free_port()
        self.web_port, self.secure_web_port = free_port(), free_port()
        self.ssh_port = free_port()
        self.context = ssl.create_default_context(cafile=str(directory / "cert.pem"))
        self.path = str(directory / "chat.sock")
        secure = "ssl:{}:privateKey=key.pem:certKey=cert.pem:interface=127.0.0.1"
        self.chat = Chat(
            directory,
            *("--flood", "off", "--max-per-address", "0", "--sendq", str(SENDQ), "--replay", "0"),
            *("--json", f"tcp:{self.json_port}:interface=127.0.0.1", "--proxy-from", PROXY),
            *("--web", f"tcp:{self.web_port}:interface=127.0.0.1"),
            *(
                "--web",
                f"ssl:{self.secure_web_port}:privateKey=key.pem:certKey=cert.pem:interface=127.0.0.1",
            ),
            *("--ssh", f"tcp:{self.ssh_port}:interface=127.0.0.1"),
            *options,
            ports=(
                ANYWHERE,
                "unix:chat.sock",
                secure.format(self.tls_port),
            ),
        )

    def ways(self, door: str) -> dict[str, Any]:
        """Give what `Chat.connect` needs for a door."""
        from ssh import Ssh

        tls = {"address": ("127.0.0.1", self.tls_port), "tls": self.context}
        proxy = {"source": PROXY, "header": text_header(BEHIND)}
        return {
            "tcp": {},
            "unix": {"address": self.path},
            "tls": tls,
            "proxy": proxy,
            "tls behind a proxy": {**tls, **proxy, "header": binary_header(BEHIND)},
            "json": {"address": ("127.0.0.1", self.json_port), "kind": Program},
            "page": {"address": ("127.0.0.1", self.web_port), "kind": Page},
            "ssh": {"address": ("127.0.0.1", self.ssh_port), "kind": Ssh},
            "page over tls": {
                "address": ("127.0.0.1", self.secure_web_port),
                "tls": self.context,
                "kind": Page,
            },
        }[door]


def text_header(host: str, port: int = 4242) -> bytes:
    """Give the PROXY header of version 1."""
    family = "TCP6" if ":" in host else "TCP4"
    target = "::1" if ":" in host else "127.0.0.1"
    return f"PROXY {family} {host} {target} {port} 8888\r\n".encode()


def binary_header(host: str, port: int = 4242, additions: bytes = b"") -> bytes:
    """Give the PROXY header of version 2.

    :param additions: what comes after the addresses.
    """
    source = ip_address(host)
    target = ip_address("::1" if source.version == 6 else "127.0.0.1")
    rest = source.packed + target.packed + struct.pack("!HH", port, 8888) + additions
    family = 0x21 if source.version == 6 else 0x11
    start = struct.pack("!BBH", 0x21, family, len(rest))
    return b"\r\n\r\n\0\r\nQUIT\n" + start + rest
