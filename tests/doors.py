"""A real chat with a door of each kind."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from real import ANYWHERE, Chat, free_port, need_module

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


class Doors:
    """A chat with three doors."""

    def __init__(self, directory: Path) -> None:
        need_module("OpenSSL")
        make_certificate(directory)
        self.tls_port = free_port()
        self.context = ssl.create_default_context(cafile=str(directory / "cert.pem"))
        self.path = str(directory / "chat.sock")
        self.chat = Chat(
            directory,
            *("--flood", "off", "--max-per-address", "0", "--sendq", str(SENDQ), "--replay", "0"),
            ports=(
                ANYWHERE,
                "unix:chat.sock",
                f"ssl:{self.tls_port}:privateKey=key.pem:certKey=cert.pem:interface=127.0.0.1",
            ),
        )

    def ways(self, door: str) -> dict[str, Any]:
        """Give what `Chat.connect` needs for a door."""
        if door == "tls":
            return {"address": ("127.0.0.1", self.tls_port), "tls": self.context}
        return {"address": self.path} if door == "unix" else {}
