"""The same chat over TCP, over a unix socket and over TLS."""

import signal
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from doors import DOORS, SENDQ, Doors, make_certificate
from real import (
    ANYWHERE,
    FAREWELL,
    SECONDS,
    VERSION,
    WELCOME,
    Chat,
    Peer,
    free_port,
    need,
    need_module,
    wait_until,
)

pytestmark = pytest.mark.real

CUT = f"err: you read too slowly: more than {SENDQ} bytes were waiting. goodbye"


@pytest.fixture(autouse=True)
def everyone_goes_home(doors: Doors) -> Iterator[None]:
    yield
    doors.chat.go_home()


def raw(doors: Doors) -> Peer:
    """Connect to the TLS port with plain TCP."""
    return doors.chat.connect(address=("127.0.0.1", doors.tls_port), greeted=False)


@pytest.mark.parametrize("door", DOORS)
def test_a_conversation(doors, door):
    """Every door shows the same lines, to people who are in one room through different doors."""
    how = doors.ways(door)
    ann = doors.chat.enter("ann")
    bob = doors.chat.connect(**how)
    bob.asks("hello", "err: you are in no room. usage: /join ROOM_NAME")
    bob.asks("/nick b\u00f6b", "> all right, I will call you b\u00f6b")
    mark = " (bot)" if door == "json" else ""
    bob.asks("/join tea", "> welcome to tea", f"> here: ann, b\u00f6b{mark}")
    ann.expect("> b\u00f6b joined the room")
    ann.say("hello", "/me waves", "/tell b\u00f6b hi")
    bob.expect("> ann: hello", "> * ann waves", "> [ann -> you] hi")
    ann.expect("> [you -> b\u00f6b] hi")
    if door in ("json", "page", "page over tls", "ssh"):
        bob.say("one", "two", "three")
    else:
        bob.send(b"one\r\ntwo\nthr\xff\xf1ee\r\0")
    ann.expect("> b\u00f6b: one", "> b\u00f6b: two", "> b\u00f6b: three")
    long = "x" * 1000
    for number in range(300):
        ann.say(f"{number} {long}")
        bob.expect(f"> ann: {number} {long}")
    bob.asks("/quit so long", "> sad to see you go =(")
    bob.expect_end()
    ann.expect("> b\u00f6b has left the room (so long)")


@pytest.mark.parametrize("door", DOORS)
def test_a_connection_that_drops(doors, door):
    """Whatever the door, who drops is announced once."""
    ann, bob = doors.chat.enter("ann"), doors.chat.enter("bob", **doors.ways(door))
    ann.expect("> bob joined the room")
    bob.close()
    ann.expect("> bob has left the room")
    ann.asks("/who", "> here: ann")


@pytest.mark.parametrize("door", DOORS)
def test_one_who_stops_reading(doors, door):
    """Whatever the door, who reads nothing is cut, and the others hear every line."""
    stuck = doors.chat.enter("stuck", **doors.ways(door), receive_buffer=4096)
    ann, bob = doors.chat.enter("ann"), doors.chat.enter("bob")
    ann.expect("> bob joined the room")
    long = "x" * 1000
    cut = False
    for first in range(0, 5000, 50):
        lines = [f"{number} {long}" for number in range(first, first + 50)]
        ann.say(*lines)
        for line in lines:
            if (found := bob.read()) == "> stuck has left the room":
                cut, found = True, bob.read()
            assert found == f"> ann: {line}"
    assert cut
    found = stuck.read_to_end().decode().split("\r\n")
    assert found[:2] == ["> ann joined the room", "> bob joined the room"]
    assert found[-2:] == [CUT, ""]
    ann.expect("> stuck has left the room")


def test_plain_text_at_the_tls_port(doors):
    """Plain text gets no readable answer there, and does not reach the chat."""
    ann = doors.chat.enter("ann")
    peer = raw(doors)
    peer.say("/nick bob", "/join tea", "hello")
    answer = peer.read_to_end()
    assert answer == b"" or answer[:2] == b"\x15\x03", answer  # a TLS alert
    assert b"welcome" not in answer
    ann.asks("/who", "> here: ann")


def test_silence_at_the_tls_port(doors):
    """Not a byte leaves before the handshake, however long the peer waits, and all is well then."""
    peer = raw(doors)
    ann = doors.chat.enter("ann", **doors.ways("tls"))
    for _ in range(20):
        ann.asks("/who", "> here: ann")
    peer.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.sock.recv(1)
    peer.sock.settimeout(SECONDS)
    secure = Peer(doors.context.wrap_socket(peer.sock, server_hostname="localhost"))
    with secure:
        secure.expect(WELCOME.format("anonymous"))
        secure.asks("/nick bob", "> all right, I will call you bob")


@pytest.mark.parametrize(
    ("version", "is_taken"), [("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)]
)
def test_the_versions_of_tls(doors, version, is_taken):
    """The real openssl gets in with TLS 1.2 and later, and with nothing older."""
    done = subprocess.run(
        [
            need("openssl"),
            *("s_client", "-quiet", "-ign_eof", version, "-cipher", "DEFAULT@SECLEVEL=0"),
            *("-connect", f"127.0.0.1:{doors.tls_port}"),
        ],
        input=b"/quit\r\n",
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert (b"> sad to see you go =(" in done.stdout) == is_taken, done
    assert (b"welcome" in done.stdout) == is_taken


def test_a_handshake_that_never_ends(doors):
    """Who never finishes the handshake hinders nobody, and leaves nothing behind."""
    peers = [raw(doors) for _ in range(20)]
    for peer in peers:
        peer.send(b"\x16\x03\x01\x02\x00\x01")
    doors.chat.enter("ann", **doors.ways("tls")).asks("/who", "> here: ann")
    for peer in peers:
        peer.reset()
    alone = doors.chat.empty_descriptors + 1
    wait_until(lambda: doors.chat.descriptors() == alone, "the others to be gone")


def test_the_farewell(tmp_path):
    """When the server stops, everyone reads the farewell, and each stream ends as it should."""
    doors = Doors(tmp_path)
    with doors.chat as chat:
        peers = [chat.enter(door, door, **doors.ways(door)) for door in ("tcp", "unix", "tls")]
        chat.popen.terminate()
        for peer in peers:
            peer.expect_end(FAREWELL)
            peer.close()
        assert chat.exit_code() == 0
    assert not Path(doors.path).exists()


def serial(chat: Chat, port: int, context: ssl.SSLContext) -> int:
    """Give the number of the certificate that a port serves."""
    from cryptography import x509

    peer = chat.connect(address=("127.0.0.1", port), tls=context, greeted=False)
    served = peer.sock.getpeercert(binary_form=True)
    peer.close()
    return x509.load_der_x509_certificate(served).serial_number


@pytest.mark.parametrize("kind", ["ssl", "tls"])
def test_a_renewed_certificate(tmp_path, kind):
    """SIGHUP has it served to who comes from then on; a wrong one changes nothing."""
    need_module("OpenSSL")
    make_certificate(tmp_path)
    port = free_port()
    description = {
        "ssl": f"ssl:{port}:privateKey=key.pem:certKey=cert.pem:interface=127.0.0.1",
        "tls": f"tls:.:{port}:interface=\\:\\:ffff\\:127.0.0.1",
    }
    with Chat(tmp_path, ports=(ANYWHERE, description[kind])) as chat:

        def number() -> int:
            trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
            return serial(chat, port, trusted)

        trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        bob = chat.connect(address=("127.0.0.1", port), tls=trusted)
        first = number()
        make_certificate(tmp_path)
        chat.signal(signal.SIGHUP)
        chat.wait_for_log("reloaded: certificates")
        second = number()
        assert first != second
        bob.asks("/version", VERSION)
        whole = (tmp_path / "cert.pem").read_bytes()
        (tmp_path / "cert.pem").write_bytes(whole[:100])
        chat.signal(signal.SIGHUP)
        chat.wait_for_log("not reloaded, all stays as it was")
        (tmp_path / "cert.pem").write_bytes(whole)
        assert number() == second
