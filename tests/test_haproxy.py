"""A real haproxy in front of a real chat: who is behind it is who they are."""

import os
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from doors import BEHIND, PROXY, make_certificate, text_header
from real import ANYWHERE, Chat, Peer, Process, free_port, need, need_module, wait_until
from test_handover import renew
from test_readme import ROOT, nodes, page

from twisted_chat.wire.telnet import CONCEAL

pytestmark = pytest.mark.real

ANN, BOB, CYD, ROOT_AT = "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.9"
"""Where people come from."""
PASSWORD = "correct.horse"
ASKED = "> type the password. telnet does not show it, other programs may"
WARNING = "> this line is not encrypted: others may read what you type"
DEFAULTS = """
global
    log stdout format raw local0

defaults
    mode tcp
    log global
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    default-server source {proxy}
"""


class Front(Process):
    """A haproxy."""

    def __init__(self, directory: Path, configuration: str, *ports: int, **environment: str):
        """Start it, and wait until people can come.

        :param ports: that it listens on.
        """
        file = directory / f"haproxy-{ports[0]}.cfg"
        file.write_text(configuration)
        self.output = file.with_suffix(".log")
        with self.output.open("wb") as output:
            super().__init__(
                subprocess.Popen(
                    [need("haproxy"), "-f", str(file)],
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**os.environ, **environment},
                )
            )
        self.address = ("127.0.0.1", ports[0])
        try:
            wait_until(lambda: self._listens(ports), "a haproxy that listens")
        except BaseException:
            self.end()
            raise

    def __enter__(self) -> "Front":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def log(self) -> str:
        return self.output.read_text()

    def _listens(self, ports: tuple[int, ...]) -> bool:
        if self.popen.poll() is not None:
            pytest.fail(f"haproxy ended: {self.log()}")
        bound = Path("/proc/net/tcp").read_text()
        return all(f":{port:04X} 00000000:0000 0A" in bound for port in ports)


class Way(NamedTuple):
    """How people come through haproxy."""

    how: str
    """It speaks to the chat."""
    bind: str = ""
    """What it listens with, after the port; TLS ends there if it has a certificate."""
    is_passed_on: bool = False
    """Whether TLS ends at the chat."""

    @property
    def is_tls(self) -> bool:
        return self.is_passed_on or "ssl" in self.bind


TLS = "ssl crt both.pem"
WAYS = {
    "version 1": Way("send-proxy"),
    "version 2": Way("send-proxy-v2"),
    "TLS ends at the proxy": Way("send-proxy-v2-ssl", TLS),
    "TLS is passed on": Way("send-proxy-v2", is_passed_on=True),
}


def each(ways: dict[str, Any]) -> Any:
    return pytest.mark.parametrize("way", ways.values(), ids=list(ways))


class Town:
    """A chat with a port for TLS and one without, for those who come through proxies at `PROXY`."""

    def __init__(self, directory: Path, *options: str, warm: bool = True) -> None:
        need("haproxy")
        need_module("OpenSSL")
        make_certificates(directory, "both.pem")
        (directory / "passwords").write_text(f"root:{PASSWORD}\n")
        self.context = ssl.create_default_context(cafile=str(directory / "cert.pem"))
        self.tls_port = free_port()
        tls = f"ssl:{self.tls_port}:privateKey=key.pem:certKey=cert.pem:interface=127.0.0.1"
        arguments = ["--flood", "off", "--replay", "0", "--grace", "0", "--proxy-from", PROXY]
        arguments += ["--operator", "root", "--auth", "file:passwords", *options]
        self.chat = Chat(directory, *arguments, ports=(ANYWHERE, tls), warm=warm)

    def __enter__(self) -> "Town":
        return self

    def __exit__(self, *about: Any) -> None:
        self.chat.__exit__(*about)

    def front(self, way: Way, checks: str = "", checked: str = "") -> Front:
        """Have haproxy in front of the chat.

        :param checks: that it looks whether the chat is there.
        :param checked: how it does.
        """
        port = free_port()
        target = self.tls_port if way.is_passed_on else self.chat.port
        configuration = f"""{DEFAULTS.format(proxy=PROXY)}
listen chat
    bind 127.0.0.1:{port} {way.bind}
{checked}
    server chat 127.0.0.1:{target} {way.how} {checks}
"""
        return Front(self.chat.directory, configuration, port)

    def how(self, front: Front, way: Way, source: str) -> dict[str, Any]:
        """Give what `Chat.connect` needs for someone who comes through haproxy."""
        tls = self.context if way.is_tls else None
        return {"address": front.address, "source": source, "tls": tls}

    def operator(self) -> Peer:
        """Have the operator come, who is behind nothing."""
        root = self.chat.connect(source=ROOT_AT, greeted=False)
        root.say(f"/login root {PASSWORD}")
        while root.read() != "> you are an operator of the server. /help tells what you can do":
            pass
        return root


def make_certificates(directory: Path, both: str) -> None:
    """Write those of the chat, and that of haproxy, which has the key in the same file.

    :param both: the name of that.
    """
    make_certificate(directory)
    parts = [(directory / name).read_bytes() for name in ("cert.pem", "key.pem")]
    (directory / both).write_bytes(b"".join(parts))


def where(root: Peer, name: str) -> str:
    """Have the operator ask where someone comes from."""
    root.say(f"/whois {name}")
    while not (line := root.read()).startswith(f"> {name} is "):
        pass
    return line.rpartition(", from ")[2]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Town(tmp_path_factory.mktemp("chat"), "--max-per-address", "0") as town:
        yield town


@pytest.fixture
def town(shared: Town) -> Iterator[Town]:
    """Give the chat that tests have in common, and see that nobody is left in it."""
    before = len(shared.chat.log())
    yield shared
    shared.chat.go_home()
    assert "Traceback" not in shared.chat.log()[before:]


@each(WAYS)
def test_true_addresses(town, way):
    """People talk as ever, with those who come directly too, and are where they come from."""
    with town.front(way) as front:
        root = town.operator()
        ann = town.chat.enter("ann", **town.how(front, way, ANN))
        bob = town.chat.enter("bob", **town.how(front, way, BOB))
        cyd = town.chat.enter("cyd", source=CYD)  # needs no header
        ann.expect("> bob joined the room", "> cyd joined the room")
        bob.expect("> cyd joined the room")
        ann.say("hello")
        bob.expect("> ann: hello")
        cyd.expect("> ann: hello")
        cyd.say("hi")
        ann.expect("> cyd: hi")
        bob.expect("> cyd: hi")
        assert [where(root, name) for name in ("ann", "bob", "cyd")] == [ANN, BOB, CYD]


def test_a_ban_is_for_one_address(town):
    """It ends the connections of those who come from there, and no others of that proxy."""
    way = WAYS["version 2"]
    with town.front(way) as front:
        root = town.operator()
        ann = town.chat.enter("ann", **town.how(front, way, ANN))
        bob = town.chat.enter("bob", **town.how(front, way, BOB))
        ann.expect("> bob joined the room")
        root.say(f"/ban * {BOB} 10m")
        ann.expect("> bob has left the room")
        assert b"banned" in bob.read_to_end()
        late = town.chat.connect(**town.how(front, way, BOB), greeted=False)
        late.read()
        assert late.read().startswith("err: your address is banned")
        ann.asks("/who", "> here: ann")
        town.chat.enter("cyd", **town.how(front, way, ANN))
        root.say(f"/unban * {BOB}")
        while root.read() != f"> root unbanned {BOB}":
            pass
        town.chat.enter("bob", **town.how(front, way, BOB))


def test_limits_of_an_address(tmp_path):
    """They count for each who is behind the proxy, not for all of them together."""
    way = WAYS["version 2"]
    with Town(tmp_path, "--max-per-address", "2", warm=False) as town, town.front(way) as front:
        for _ in range(2):
            town.chat.connect(**town.how(front, way, ANN), greeted=False).read()
        third = town.chat.connect(**town.how(front, way, ANN), greeted=False)
        third.expect_end("err: there are 2 connections from your address already")
        other = town.chat.connect(**town.how(front, way, BOB), greeted=False)
        assert other.read().startswith("> welcome")


TOLD = {
    "version 1": (Way("send-proxy", "accept-proxy"), True),
    "version 2": (Way("send-proxy-v2", "accept-proxy"), True),
    "no TLS, and that is told": (Way("send-proxy-v2-ssl", "accept-proxy"), True),
    "TLS ends at the proxy": (Way("send-proxy-v2-ssl", f"accept-proxy {TLS}"), False),
    "TLS of which nothing is told": (Way("send-proxy-v2", f"accept-proxy {TLS}"), True),
    "TLS is passed on": (Way("send-proxy-v2", "accept-proxy", is_passed_on=True), False),
}
"""How somebody comes from afar, and whether they are warned."""


@each(TOLD)
def test_who_can_read_along(town, way):
    """Before a password, people are warned, unless they have come over TLS, as far as is known."""
    way, is_warned = way
    with town.front(way) as front:
        how = town.how(front, way, "")
        afar = town.chat.connect(**how, header=text_header(BEHIND), greeted=False)
        afar.read()
        afar.say("/login root")
        assert afar.read_bytes(len(CONCEAL)) == CONCEAL
        afar.expect(*([WARNING] if is_warned else []), ASKED)


GREETING = """
    option tcp-check
    tcp-check connect send-proxy
    tcp-check expect string welcome
    tcp-check send /quit\\r\\n
"""
CHECKS = {
    "of a connection": (WAYS["version 1"], "check", ""),
    "of a connection, version 2": (WAYS["version 2"], "check check-send-proxy", ""),
    "without a header": (WAYS["version 2"], "check port {port}", ""),
    "of the greeting": (WAYS["version 2"], "check", GREETING),
    "of a port for TLS": (WAYS["TLS is passed on"], "check check-send-proxy", ""),
    "of TLS": (WAYS["TLS is passed on"], "check check-send-proxy check-ssl verify none", ""),
}


@each(CHECKS)
def test_health_checks(town, way):
    """The proxy looks whether the chat is there, and no person notices; the log has no warning."""
    way, checks, checked = way
    before = len(town.chat.log())
    came = re.compile(rf"connected: \w+\(.*host='{PROXY}'")
    checks = f"{checks.format(port=town.chat.port)} inter 250ms"
    with town.front(way, checks, f"    option log-health-checks\n{checked}") as front:
        ann = town.chat.enter("ann", **town.how(front, way, ANN))
        wait_until(lambda: "Health check for server chat/chat succeeded" in front.log(), "a check")
        if "port" not in checks:
            wait_until(lambda: len(came.findall(town.chat.log(), before)) >= 5, "checks")
        ann.asks("/who", "> here: ann")
        assert " failed" not in front.log()
    logged = town.chat.log()[before:]
    assert "#warn" not in logged
    assert "#error" not in logged
    assert "port" not in checks or not came.search(logged)


def test_a_proxy_without_a_header(town):
    """What it lets through without one is closed, and the log says so; others stay."""
    ann = town.chat.enter("ann", source=ANN)
    with town.front(Way("")) as front:
        peer = town.chat.connect(address=front.address, source=BOB, greeted=False)
        peer.say("hello")
        assert peer.read_to_end() == b""
        town.chat.wait_for_log("it does not begin with a PROXY header")
    ann.asks("/who", "> here: ann")


def test_a_restart_behind_a_proxy(tmp_path):
    """New code disconnects nobody whose TLS ends at the proxy, and where they are is known on."""
    ways = [WAYS[name] for name in ("version 1", "version 2", "TLS ends at the proxy")]
    places = {"ann": ANN, "bob": BOB, "cyd": CYD}
    with Town(tmp_path, warm=False) as town, ExitStack() as stack:
        fronts = [stack.enter_context(town.front(way)) for way in ways]
        ann, bob, cyd = (
            town.chat.enter(name, **town.how(front, way, source))
            for front, way, (name, source) in zip(fronts, ways, places.items(), strict=True)
        )
        ann.expect("> bob joined the room", "> cyd joined the room")
        bob.expect("> cyd joined the room")
        renew(town.chat)
        ann.say("hello")
        bob.expect("> ann: hello")
        cyd.say("hi")
        cyd.expect("> ann: hello")
        ann.expect("> cyd: hi")
        root = town.operator()
        assert {name: where(root, name) for name in places} == places
        town.chat.enter("dan", **town.how(fronts[1], ways[1], ANN))
        assert where(root, "dan") == ANN


# What is written down


def documented() -> list[str]:
    """Give the blocks of the page on encryption about proxies: how to start each, in turn."""
    [section] = [
        section
        for section in page("docs/encryption.rst").findall(nodes.section)
        if section[0].astext() == "Behind a proxy"
    ]
    return [block.astext() for block in section.children if isinstance(block, nodes.literal_block)]


def replaced(text: str, changes: dict[str, object]) -> str:
    """Give a text with something else in the place of what must be there."""
    for old, new in changes.items():
        assert old in text, f"{old} in {text}"
        text = text.replace(old, str(new))
    return text


@contextmanager
def as_documented(
    directory: Path, start: str, configuration: str, changes: dict[str, object], *ports: int
) -> Iterator[Chat]:
    """Have a chat and haproxy run as it is told, but for files and the numbers of ports.

    :param start: the line that starts the chat.
    :param changes: of both.
    :param ports: that haproxy listens on.
    """
    line = start.split()
    assert line[:4] == ["twistd", "-n", "tcpchat", "--port"]
    port, *options = line[4:]
    [number] = re.findall(r"^\w+:([0-9]+):", port)
    changes = {f"127.0.0.1:{number} ": f"127.0.0.1:{(new := free_port())} ", **changes}
    port = replaced(port, {number: new})
    need("haproxy")
    make_certificates(directory, "chat.pem")
    bare = () if port.startswith("tcp:") else (ANYWHERE,)
    with (
        Chat(directory, *options, ports=(*bare, port), warm=False) as chat,
        Front(directory, replaced(configuration, changes), *ports) as front,
    ):
        yield chat
        chat.wait_for_log("connected: IPv4Address")  # haproxy, which looks whether it is there
        assert front.log().count("[WARNING]") == front.log().count("[ALERT]") == 0, front.log()
        assert "closed a connection" not in chat.log()


def talk(chat: Chat, ann: dict[str, Any], bob: dict[str, Any]) -> None:
    """Have two come, each in their way, and talk; the chat knows where they are."""
    before = len(chat.log())
    one = chat.enter("ann", source=ANN, **ann)
    other = chat.enter("bob", source=BOB, **bob)
    one.expect("> bob joined the room")
    other.say("hello")
    one.expect("> bob: hello")
    for source in (ANN, BOB):
        assert f"connected: BehindProxy(host='{source}'" in chat.log()[before:]


def trusting(directory: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(directory / "cert.pem"))


def test_tls_that_ends_at_the_proxy_as_documented(tmp_path):
    """The configuration works as it stands there."""
    start, configuration, _, _ = documented()
    secure, plain = free_port(), free_port()
    changes = {
        ":6697 ": f"127.0.0.1:{secure} ",
        ":23\n": f"127.0.0.1:{plain}\n",
        "/etc/haproxy/": f"{tmp_path}/",
    }
    with as_documented(tmp_path, start, f"{configuration}\n", changes, secure, plain) as chat:
        tls = {"address": ("127.0.0.1", secure), "tls": trusting(tmp_path)}
        talk(chat, tls, {"address": ("127.0.0.1", plain)})
        told = re.findall(r"connected: BehindProxy\(host='(.*)', .*is_encrypted=(\w+)", chat.log())
        assert told == [(ANN, "True"), (BOB, "False")]


def test_tls_that_is_passed_on_as_documented(tmp_path):
    """So does the other, with what both have in common."""
    _, common, start, configuration = documented()
    common = common.partition("listen ")[0]
    secure = free_port()
    changes = {":6697\n": f"127.0.0.1:{secure}\n"}
    with as_documented(tmp_path, start, f"{common}{configuration}\n", changes, secure) as chat:
        tls = {"address": ("127.0.0.1", secure), "tls": trusting(tmp_path)}
        talk(chat, tls, tls)


def test_the_configuration_of_the_nodes(town):
    """The file in ``deploy/`` works as it stands there: a node that greets is taken to be up."""
    port = free_port()
    changes = {
        "bind :8888": f"bind 127.0.0.1:{port}",
        "inter 5s": "inter 250ms",
        "default-server ": f"default-server source {PROXY} ",
    }
    configuration = replaced((ROOT / "deploy" / "haproxy.cfg").read_text("utf-8"), changes)
    nodes_ = {f"NODE_{name}": f"127.0.0.1:{town.chat.port}" for name in "ABC"}
    before = len(town.chat.log())
    came = f"connected: IPv4Address(type='TCP', host='{PROXY}'"
    with Front(town.chat.directory, configuration, port, **nodes_) as front:
        talk(town.chat, {"address": front.address}, {"address": front.address})
        wait_until(lambda: town.chat.log()[before:].count(came) >= 9, "checks of all three")
        assert "DOWN" not in front.log()
    assert "#warn" not in town.chat.log()[before:]
