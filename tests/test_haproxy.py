"""A real haproxy in front of a real chat: who is behind it is who they are."""

import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from doors import make_certificate
from real import ANYWHERE, Chat, Process, free_port, need, need_module, wait_until
from test_handover import renew

pytestmark = pytest.mark.real

PROXY, ANN, BOB = "127.0.0.1", "127.0.0.3", "127.0.0.4"
"""Where haproxy comes from, and people."""
PASSWORD = "correct.horse"
OPERATIONS = Path(__file__).parent.parent / "docs" / "operations.rst"
DEFAULTS = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
"""


class Front(Process):
    """A haproxy that listens."""

    def __init__(self, directory: Path, configuration: str, port: int) -> None:
        """
        :param port: that it listens on.
        """
        self.port = port
        file = directory / "haproxy.cfg"
        file.write_text(configuration)
        self.output = directory / "haproxy.log"
        with self.output.open("wb") as output:
            super().__init__(
                subprocess.Popen(
                    [need("haproxy"), "-f", str(file)],
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
            )

    def __enter__(self) -> "Front":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


@contextmanager
def fronted(chat: Chat, bind: str, server: str, checked: str = "") -> Iterator[Front]:
    """Have haproxy in front of a chat.

    :param bind: what it listens with, after the port.
    :param server: the port of the chat, and how haproxy speaks to it.
    :param checked: how it looks whether the chat is there.
    """
    port = free_port()
    configuration = f"""{DEFAULTS}
listen chat
    bind 127.0.0.1:{port} {bind}
    {checked}
    server chat 127.0.0.1:{server}
"""
    with Front(chat.directory, configuration, port) as front:
        listening = f"0100007F:{port:04X} 00000000:0000 0A"
        wait_until(lambda: listening in Path("/proc/net/tcp").read_text(), "haproxy to listen")
        yield front


@contextmanager
def behind(tmp_path: Path, *options: str, ports: tuple[str, ...] = (ANYWHERE,)) -> Iterator[Chat]:
    """Give a chat that takes this machine's 127.0.0.1 for a proxy."""
    (tmp_path / "passwords").write_text(f"root:{PASSWORD}\n")
    arguments = ("--flood", "off", "--proxy-from", PROXY, "--operator", "root", *options)
    arguments += ("--auth", "file:passwords")
    with Chat(tmp_path, *arguments, ports=ports, warm=False) as chat:
        yield chat


def enters(chat: Chat, front: Front, name: str, source: str, **how: object):
    """Have someone enter the room through haproxy."""
    return chat.enter(name, address=("127.0.0.1", front.port), source=source, **how)


def operates(chat: Chat):
    """Have the operator come, who is behind nothing."""
    root = chat.connect(source="127.0.0.9", greeted=False)
    root.say(f"/login root {PASSWORD}")
    while root.read() != "> you are an operator of the server. /help tells what you can do":
        pass
    return root


def address_of(root, name: str) -> str:
    """Have the operator ask where someone comes from."""
    root.say(f"/whois {name}")
    while not (line := root.read()).startswith(f"> {name} is "):
        pass
    return line.rpartition(", from ")[2]


@pytest.mark.parametrize("how", ["send-proxy", "send-proxy-v2"])
def test_true_addresses(tmp_path, how):
    """Both versions of the header: people talk as ever, and are seen where they come from."""
    with behind(tmp_path) as chat, fronted(chat, "", f"{chat.port} {how}") as front:
        root = operates(chat)
        ann, bob = enters(chat, front, "ann", ANN), enters(chat, front, "bob", BOB)
        ann.expect("> bob joined the room")
        ann.say("hello")
        bob.expect("> ann: hello")
        assert (address_of(root, "ann"), address_of(root, "bob")) == (ANN, BOB)
        root.say(f"/ban * {BOB} 10m")
        ann.expect("> bob has left the room")
        late = chat.connect(address=("127.0.0.1", front.port), source=BOB, greeted=False)
        late.read()
        assert late.read().startswith("err: your address is banned")
        enters(chat, front, "cyd", ANN)


def test_limits_of_an_address(tmp_path):
    """They count for each who is behind the proxy, not for all of them together."""
    with (
        behind(tmp_path, "--max-per-address", "2") as chat,
        fronted(chat, "", f"{chat.port} send-proxy-v2") as front,
    ):
        address = ("127.0.0.1", front.port)
        for _ in range(2):
            chat.connect(address=address, source=ANN, greeted=False).read()
        third = chat.connect(address=address, source=ANN, greeted=False)
        third.expect_end("err: there are 2 connections from your address already")
        other = chat.connect(address=address, source=BOB, greeted=False)
        assert other.read().startswith("> welcome")


def test_tls_that_ends_at_the_proxy(tmp_path):
    """The proxy tells that nobody can read along."""
    need_module("cryptography")
    make_certificate(tmp_path)
    both = (tmp_path / "cert.pem").read_bytes() + (tmp_path / "key.pem").read_bytes()
    (tmp_path / "both.pem").write_bytes(both)
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    bind = f"ssl crt {tmp_path}/both.pem"
    with (
        behind(tmp_path) as chat,
        fronted(chat, bind, f"{chat.port} send-proxy-v2-ssl") as front,
    ):
        root = operates(chat)
        enters(chat, front, "ann", ANN, tls=context)
        assert address_of(root, "ann") == ANN
        assert "is_encrypted=True" in chat.log()


def test_tls_that_goes_through(tmp_path):
    """The header comes before TLS, at a port of the chat that has a certificate of its own."""
    need_module("OpenSSL")
    make_certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    port = free_port()
    tls = f"ssl:{port}:privateKey=key.pem:certKey=cert.pem:interface=127.0.0.1"
    with (
        behind(tmp_path, ports=(ANYWHERE, tls)) as chat,
        fronted(chat, "", f"{port} send-proxy-v2") as front,
    ):
        root = operates(chat)
        enters(chat, front, "ann", ANN, tls=context)
        assert address_of(root, "ann") == ANN


def test_health_checks(tmp_path):
    """The proxy looks whether the chat is there, and nobody notices."""
    with (
        behind(tmp_path) as chat,
        fronted(
            chat,
            "",
            f"{chat.port} send-proxy-v2 check inter 20ms",
            "option tcp-check\n    timeout check 3s\n    tcp-check connect send-proxy\n"
            "    tcp-check expect string welcome\n"
            "    tcp-check send /quit\\r\\n",
        ) as front,
    ):
        ann = enters(chat, front, "ann", ANN)
        checks = chat.log().count("connected: IPv4Address")
        chat.wait_for_log("connected: IPv4Address", checks + 5)
        ann.asks("/who", "> here: ann")
        assert "closed a connection" not in chat.log()
        assert "Traceback" not in chat.log()


def test_a_proxy_without_a_header(tmp_path):
    """What it lets through without one is closed, and the log says so."""
    with behind(tmp_path) as chat, fronted(chat, "", f"{chat.port}") as front:
        peer = chat.connect(address=("127.0.0.1", front.port), source=ANN, greeted=False)
        peer.say("hello")
        assert peer.read_to_end() == b""
        chat.wait_for_log("it does not begin with a PROXY header")


def test_a_restart_behind_a_proxy(tmp_path):
    """Nobody is disconnected by new code, and where they come from is known after it."""
    with behind(tmp_path) as chat, fronted(chat, "", f"{chat.port} send-proxy-v2") as front:
        ann, bob = enters(chat, front, "ann", ANN), enters(chat, front, "bob", BOB)
        ann.expect("> bob joined the room")
        renew(chat)
        ann.say("hello")
        bob.expect("> ann: hello")
        root = operates(chat)
        assert address_of(root, "ann") == ANN
        enters(chat, front, "cyd", ANN)


def test_the_configuration_that_is_documented(tmp_path):
    """It works as it stands there, but for ports and files."""
    need_module("cryptography")
    make_certificate(tmp_path)
    both = (tmp_path / "cert.pem").read_bytes() + (tmp_path / "key.pem").read_bytes()
    (tmp_path / "chat.pem").write_bytes(both)
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    text = OPERATIONS.read_text("utf-8")
    configuration = "".join(
        line[4:] + "\n"
        for line in text.partition("# haproxy.cfg\n")[2].partition("\n\n\n")[0].split("\n")
        if line.startswith("    ") or not line
    ).partition("\nand ")[0]
    command = re.search(r"twistd -n tcpchat (--port .*--proxy-from .*)\n", text)[1].split()
    secure, plain = free_port(), free_port()
    command = [one.replace("8888", "0") for one in command]
    with Chat(tmp_path, *command[2:], ports=(command[1],), warm=False) as chat:
        for old, new in (
            ("/etc/haproxy/chat.pem", f"{tmp_path}/chat.pem"),
            (":6697 ", f"127.0.0.1:{secure} "),
            (":23\n", f"127.0.0.1:{plain}\n"),
            ("127.0.0.1:8888", f"127.0.0.1:{chat.port}"),
        ):
            assert old in configuration, old
            configuration = configuration.replace(old, new)
        with Front(tmp_path, configuration, secure):
            listening = f"0100007F:{plain:04X} 00000000:0000 0A"
            wait_until(lambda: listening in Path("/proc/net/tcp").read_text(), "haproxy to listen")
            ann = chat.enter("ann", address=("127.0.0.1", secure), source=ANN, tls=context)
            bob = chat.enter("bob", address=("127.0.0.1", plain), source=BOB)
            ann.expect("> bob joined the room")
            bob.say("hello")
            ann.expect("> bob: hello")
            chat.wait_for_log(f"BehindProxy(host='{ANN}'")
            chat.wait_for_log("connected: IPv4Address")  # haproxy, which looks how it is
            assert "closed a connection" not in chat.log()
