"""The door for SSH, packet by packet: no socket, and a clock to be moved by hand."""

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_tcp import House
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

pytest.importorskip("bcrypt")
from ssh import Connection, Login, Ssh, as_, new_key
from twisted.conch.ssh import userauth
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.transport import MSG_KEXINIT, SSHClientTransport

from twisted_chat.chat.limits import CLOSING_SECONDS
from twisted_chat.chat.sshkeys import fingerprint
from twisted_chat.doors import hostkey
from twisted_chat.doors.sshauth import TRIES
from twisted_chat.doors.sshconnection import CHANNELS, WINDOW
from twisted_chat.doors.sshserver import LOGIN_SECONDS, PACKET, STARTING, SshFactory

ADDRESS = IPv4Address("TCP", "192.0.2.1", 1234)
PASSWORD = "correct horse"
KEY = new_key()
WELCOME = (
    "> welcome. you are {}. /nick NAME takes a name, /join ROOM enters a room, /help tells the rest"
)


def mark(key):
    """Give the fingerprint of a key."""
    return fingerprint(key.public().blob())


class Wire(StringTransport):
    """What the chat writes to."""

    is_over = False

    def abortConnection(self):
        self.is_over = True

    def loseConnection(self):
        self.disconnecting = self.is_over = True


class Line:
    """What lies between a client and the chat; the client takes it for a socket."""

    def __init__(self, house):
        self.house = house
        self.wire = Wire(None, ADDRESS)
        self.server = house.ssh.buildProtocol(ADDRESS)
        self.server.makeConnection(self.wire)
        self.is_gone = False

    def settimeout(self, seconds):
        pass

    def sendall(self, data):
        if not self.is_gone:
            self.server.dataReceived(data)
            self._see_whether_it_is_over()

    def recv(self, _most):
        """Give what has come; a while goes by if that is nothing."""
        for _ in range(30):
            self.house.clock.turn()
            if data := self.wire.value():
                self.wire.clear()
                self._see_whether_it_is_over()
                return data
            if self.is_gone or self.wire.is_over:
                self._see_whether_it_is_over()
                return b""
            self.house.clock.advance(0.1)
        raise TimeoutError

    def _see_whether_it_is_over(self):
        if self.wire.is_over and not self.is_gone:
            self.breaks()

    def breaks(self):
        self.is_gone = True
        self.server.connectionLost(Failure(ConnectionDone()))
        self.house.clock.turn()

    def close(self):
        if not self.is_gone:
            self.breaks()


class SshHouse(House):
    """A chat with a door for SSH."""

    def __init__(self, directory, **limits):
        super().__init__(**limits)
        self.ssh = SshFactory(self.factory, directory / "host_key")
        self.ssh.prepare()

    def come(self, kind=Ssh, **how):
        """Have somebody come by SSH."""
        return as_(how.pop("user", kind.user), **how)(Line(self)) if how else kind(Line(self))

    def register(self, name, *keys):
        """Have an account, to which keys are tied."""
        ann = self.comes(f"/nick {name}", f"/register {PASSWORD}")
        for key in keys:
            public = Key(key._keyObject).public().toString("openssh").decode()
            ann.types(f"/sshkey add {public}", PASSWORD)
        ann.hangs_up()
        self.passes(self.rooms.limits.grace + 1)
        self.rooms.tick()
        self.clock.turn()


@pytest.fixture
def house(tmp_path):
    return SshHouse(tmp_path)


def come(house, user, *keys, **how):
    return as_(user, *keys, **how)(Line(house))


def talk(directory, **limits):
    """Give a chat, ann, who is in a room by telnet, and bob, who is there by SSH."""
    house = SshHouse(directory, **limits)
    ann, bob = house.enters("ann"), come(house, "bob", KEY)
    bob.say("/join tea")
    house.clock.turn()
    return house, ann, bob


def logged_in(name):
    return f"> welcome back, {name}. you are logged in"


# Who comes


def test_a_guest_with_a_key(house):
    """They have the name that they ask for, and are heard by people at telnet."""
    ann = house.enters("ann")
    bob = come(house, "bob", KEY)
    bob.expect("> all right, I will call you bob", WELCOME.format("bob"))
    bob.asks("/join tea", "> welcome to tea", "> here: ann, bob")
    bob.say("hello")
    assert ann.reads() == ["> bob joined the room", "> bob: hello"]
    ann.types("hi")
    bob.expect("> ann: hi")
    bob.asks("/quit", "> sad to see you go =(")
    bob.expect_end()
    assert bob.channel.status == 0
    assert ann.reads() == ["> bob has left the room"]


def test_a_guest_without_a_key(house):
    """Nothing is asked of who has no key, and no account."""
    bob = come(house, "bob")
    assert bob.asked == [""]
    bob.expect("> all right, I will call you bob", WELCOME.format("bob"))


def test_someone_without_a_name(house):
    """Whoever wants none has none."""
    come(house, "anonymous").expect(WELCOME.format("anonymous"))


@pytest.mark.parametrize(
    ("user", "refusal"),
    [
        ("b b", "a nick holds no blank"),
        ("ann", '"ann" is taken'),
        ("x" * 100, "a nick holds at most 32 characters"),
        ("\x1b[2J", "a nick holds none of : [ ] * > , / @ #"),
    ],
)
def test_a_name_that_cannot_be(house, user, refusal):
    """They are told why, and come in without one."""
    house.enters("ann")
    guest = come(house, user)
    guest.expect(f"err: {refusal}", WELCOME.format("anonymous"))


def test_a_name_of_far_too_many_bytes(house):
    """Nothing is done with it."""
    with pytest.raises(AssertionError, match="the connection ended"):
        come(house, "x" * 1000)


def test_an_account_by_its_key(house):
    """Who has a key that is tied to it is logged in, without a word."""
    house.register("ann", KEY)
    ann = come(house, "Ann", KEY)
    assert ann.asked == []
    ann.expect(logged_in("ann"))
    ann.asks("/sshkey", f"> {mark(KEY)}, you came with it")


def test_an_account_by_its_password(house):
    """The second key is no more known than the first; the password is."""
    house.register("ann", KEY)
    ann = come(house, "ann", new_key(), new_key(), password=PASSWORD)
    assert ann.asked == ["password: "]
    ann.expect(logged_in("ann"))


def test_a_client_that_knows_passwords_alone(house):
    """It need not be able to answer questions."""
    house.register("ann")
    client = as_("ann", password=PASSWORD)
    client.begin = lambda self: None
    ann = client(Line(house))
    ann.until(lambda: ann.is_secure)
    ann.connection = Connection(ann)
    login = Login(ann, ann.connection)
    login.auth_keyboard_interactive = lambda: None
    ann.client.requestService(login)
    ann.until(lambda: ann.is_in)
    ann.open()
    ann.expect(logged_in("ann"))


@pytest.mark.parametrize("password", ["wrong", "", "\udcff" * 5, "x" * 5000])
def test_a_wrong_password(house, password):
    """They are told so, wait, and have to go after some tries."""
    house.register("ann", KEY)
    with pytest.raises(AssertionError, match="the connection ended"):
        come(house, "ann", password=password.encode("utf-8", "replace").decode())
    house.enters("bob")
    assert len(house.factory.protocols) == 1


def test_they_hear_why(house):
    """A banner tells what was wrong, and for how long they have to wait."""
    house.register("ann", KEY)
    kind = as_("ann", password="wrong")
    kind.begin = lambda self: None
    ann = kind(Line(house))
    with pytest.raises(AssertionError):
        ann.log_in()
    assert "that is not the password of that name" in ann.banner


def test_too_many_keys(house):
    """A connection has so many tries, and no more."""
    house.register("ann", KEY)
    keys = [new_key() for _ in range(TRIES - 1)]
    come(house, "ann", *keys, KEY).expect(logged_in("ann"))
    with pytest.raises(AssertionError, match="too many bad auths"):
        come(house, "ann", *keys, new_key(), KEY)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_kinds_of_keys(house, kind):
    """All that OpenSSH makes are known."""
    key = new_key(kind)
    house.register("ann", key)
    ann = come(house, "ann", key)
    ann.expect(logged_in("ann"))
    ann.asks("/sshkey", f"> {mark(key)}, you came with it")


def test_a_key_that_is_too_small(house):
    """It is as if they had none."""
    bob = come(house, "bob", new_key("small rsa"))
    assert bob.asked == [""]
    bob.expect("> all right, I will call you bob", WELCOME.format("bob"))
    bob.say("/quit")


def test_a_key_that_another_has(house):
    """A key that is asked for and not used for a signature proves nothing."""
    house.register("ann", KEY)

    class Thief(Key):
        def sign(self, data, signatureType=None):
            return new_key().sign(data)

    thief = Thief(KEY._keyObject)
    with pytest.raises(AssertionError, match="the connection ended"):
        come(house, "ann", thief)


def test_the_key_one_came_with_is_offered(house):
    """``/sshkey add`` ties it; the next time nothing is asked."""
    house.register("ann")
    ann = come(house, "ann2", KEY)
    ann.read()
    ann.read()
    ann.say(f"/login ann {PASSWORD}")
    ann.expect(logged_in("ann"))
    ann.say("/sshkey")
    while "/sshkey add" not in (line := ann.read()):
        pass
    assert mark(KEY) in line
    ann.say("/sshkey add")
    ann.read()
    ann.say(PASSWORD)
    ann.read()
    ann.say("/quit")
    ann.read_to_end()
    come(house, "ann", KEY).expect(logged_in("ann"))


def test_an_account_goes_on_by_ssh(house):
    """Who is there at telnet moves over, room and all."""
    house.register("ann", KEY)
    at_telnet = house.comes(f"/login ann {PASSWORD}", "/join tea")
    ann = come(house, "ann", KEY)
    assert at_telnet.reads() == ["err: you have logged in elsewhere, and go on there. goodbye"]
    ann.expect(logged_in("ann") + ", in tea")


def test_a_guest_comes_back(house):
    """Who has a key finds their place; under another name they are somebody else."""
    ann = house.enters("ann")
    bob = come(house, "bob", KEY)
    bob.say("/join tea")
    bob.sock.breaks()
    ann.types("are you there?")
    assert ann.reads() == ["> bob joined the room"]
    bob = come(house, "Bob", KEY)
    assert bob.read() == "> welcome back, bob. you are in tea"
    assert "missed 1 line" in bob.read()
    assert bob.read().endswith("ann: are you there?")
    other = come(house, "eve", KEY)
    other.expect("> all right, I will call you eve", WELCOME.format("eve"))
    bob.asks("/who", "> here: ann, bob")


def test_accounts_elsewhere(house):
    """Whoever may have an account elsewhere is asked for a password; with none they are a guest."""
    house.rooms.accounts.elsewhere = True
    bob = come(house, "bob")
    assert bob.asked == ["password (empty, to come as a guest): "]
    bob.expect("> all right, I will call you bob", WELCOME.format("bob"))


# What they can do


def test_a_command(house):
    """What comes of it is told, and that is all; nobody is where they were before."""
    house.register("ann", KEY)
    ann = house.comes(f"/login ann {PASSWORD}", "/join tea")
    told = come(house, "ann", KEY, command="/who")
    told.expect_end("> on the server: ann, anonymous")
    assert told.channel.status == 0
    assert ann.asks("/who") == ["> here: ann (owner)"]


@pytest.mark.parametrize(
    ("command", "told", "status"),
    [
        ("/nonsense", ["err: unknown command: /nonsense. /help lists them"], 1),
        ("hello", ["err: you are in no room. usage: /join ROOM_NAME"], 1),
        ("", [], 0),
        ("/quit", ["> sad to see you go =("], 0),
        ("/version\n/quit", ["err: unknown command: /version\ufffd/quit. /help lists them"], 1),
    ],
)
def test_what_comes_of_a_command(house, command, told, status):
    """The status tells whether it was refused."""
    kind = as_("bob")
    kind.begin = lambda self: self.log_in()
    bob = kind(Line(house))
    bob.channel = bob.open_channel()
    assert bob.request(b"exec", NS(command.encode()))
    bob.expect_end(*told)
    assert bob.channel.status == status
    house.clock.turn()
    assert not house.rooms.people


def test_a_command_that_takes_its_time(house):
    """It is waited for."""
    house.register("ann")
    told = come(house, "bob", KEY, command=f"/login ann {PASSWORD}")
    told.expect_end(logged_in("ann"))
    assert told.channel.status == 0


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"subsystem", NS(b"sftp")),
        (b"env", NS(b"LANG") + NS(b"C")),
        (b"auth-agent-req@openssh.com", b""),
        (b"x11-req", b"\0" * 20),
        (b"shell", b""),
        (b"exec", NS(b"/who")),
        (b"pty-req", NS(b"xterm") + struct.pack(">4L", 80, 24, 0, 0) + NS(b"")),
        (b"\xff\xfe", b""),
    ],
)
def test_what_is_not_granted(house, kind, data):
    """No subsystem, no forwarding, no second shell in a session."""
    bob = come(house, "bob", KEY)
    assert not bob.request(kind, data)
    bob.expect("> all right, I will call you bob", WELCOME.format("bob"))


@pytest.mark.parametrize("kind", [b"pty-req", b"window-change", b"exec"])
@pytest.mark.parametrize("is_answered", [True, False])
def test_what_is_asked_for_and_cut_short(house, kind, is_answered):
    """It is refused, if an answer is wanted, and nothing else comes of it, not even in the log."""
    bob = house.come()
    if is_answered:
        assert not bob.request(kind, b"\0\0")
    else:
        bob.connection.sendRequest(bob.channel, kind, b"\0\0")
    bob.read()
    bob.asks("/who", "> on the server: anonymous")


def test_channels_that_are_not_granted(house, logged_failures):
    """Nothing is forwarded, and there are only so many sessions."""
    bob = come(house, "bob", KEY)
    for name, extra in ((b"direct-tcpip", NS(b"localhost") + b"\0\0\0\x16"), (b"x11", b"")):
        channel = type("Other", (type(bob.channel),), {"name": name})(bob)
        bob.connection.openChannel(channel, extra)
        bob.until(lambda channel=channel: channel.refused)
    for _ in range(CHANNELS - 1):
        assert bob.open_channel().is_open
    assert bob.open_channel().refused
    asked = bob.connection.sendGlobalRequest(b"tcpip-forward", NS(b"") + b"\0\0\0\0", 1)
    refused = []
    asked.addErrback(refused.append)
    bob.until(lambda: refused)


def test_packets_that_would_be_too_small(house):
    """One byte a packet would cost us sixty; and none at all, everything."""
    bob = come(house, "bob", KEY)
    for most in (0, 1, 100):
        channel = type(bob.channel)(bob)
        channel.localMaxPacket = most
        bob.connection.openChannel(channel)
        bob.until(lambda channel=channel: channel.refused)


def test_two_sessions_of_one_connection(house):
    """Each is somebody; closing one leaves the other."""
    bob = come(house, "bob", KEY)
    bob.expect("> all right, I will call you bob", WELCOME.format("bob"))
    first = bob.channel
    bob.connection.sendClose(first)
    bob.until(lambda: first.is_closed)
    bob._bytes = b""
    bob.open()
    assert bob.read() == "> welcome back, bob"


# Terminals


def test_a_screen(house):
    """What is typed is shown by us, below everything else."""
    ann = house.enters("ann")
    bob = come(house, "bob", KEY, terminal=("xterm-256color", 80, 24))
    bob.send(b"/join tea\r")
    assert ann.reads() == ["> bob joined the room"]
    bob.send(b"hel")
    ann.types("hi")
    bob.send(b"lo\r")
    assert ann.reads() == ["> bob: hello"]
    with pytest.raises(TimeoutError):
        bob.read_to_end()
    assert b"> ann: hi\r\n[bob] hel" in bob._bytes
    assert bob._bytes.endswith(b"[bob] hello\r\n\r\x1b[J[bob] ")


def test_a_screen_that_changes(house):
    """What is typed is shown anew when the window has another size."""
    bob = come(house, "bob", KEY, terminal=("xterm", 0, 0))
    bob.send(b"x" * 20)
    with pytest.raises(TimeoutError):
        bob.read_to_end()
    bob._bytes = b""
    bob.resize(16, 10)
    with pytest.raises(TimeoutError):
        bob.read_to_end()
    assert b"[bob] " + b"x" * 10 + b"\r\n" + b"x" * 10 in bob._bytes


@pytest.mark.parametrize("kind", ["dumb", "", "unknown"])
def test_a_terminal_that_takes_nothing_back(house, kind):
    """Plain lines, and what is typed; nothing that moves the cursor."""
    bob = come(house, "bob", KEY, terminal=(kind, 80, 24))
    bob.send(b"/versiom")
    bob.send(b"\x7fn\r")
    with pytest.raises(TimeoutError):
        bob.read_to_end()
    assert b"\x1b" not in bob._bytes
    assert b"/versiom\b \bn\r\n> twisted-chat" in bob._bytes


def test_a_password_is_not_shown(house, log_lines):
    """Neither on the screen, nor in the log."""
    house.register("ann")
    bob = come(house, "bob", KEY, terminal=("xterm", 80, 24))
    bob.send(b"/login ann\r" + PASSWORD.encode() + b"\r")
    with pytest.raises(TimeoutError):
        bob.read_to_end()
    assert logged_in("ann").encode() in bob._bytes
    assert PASSWORD.encode() not in bob._bytes
    assert b"[not shown] " in bob._bytes
    assert not [line for line in log_lines if PASSWORD in line]


def test_the_end_of_what_is_typed(house):
    """Ctrl-D leaves; so does a program that has nothing more to say, once it is all said."""
    ann = house.enters("ann")
    bob = come(house, "bob", KEY, terminal=("xterm", 80, 24))
    bob.send(b"\x04")
    bob.read_to_end()
    program = come(house, "bot", KEY)
    program.say("/join tea", "one", "two")
    program.finish()
    assert program.read_to_end().endswith(b"> sad to see you go =(\r\n")
    assert ann.reads() == [
        "> bot joined the room",
        "> bot: one",
        "> bot: two",
        "> bot has left the room",
    ]


def test_ctrl_c(house):
    """It does not end anything."""
    bob = come(house, "bob", KEY, terminal=("xterm", 80, 24))
    bob.send(b"\x03")
    with pytest.raises(TimeoutError):
        bob.read_to_end()
    assert b"> /quit leaves\r\n" in bob._bytes


# Who takes too much, or too long


def test_one_who_says_too_much(tmp_path):
    """They may send no more than is taken, and nothing of it is lost."""
    house = SshHouse(tmp_path, flood=(5, 20))
    ann = house.enters("ann")
    bob = come(house, "bob", KEY)
    bob.say("/join tea")
    ann.reads()
    lines = [f"{number} {'x' * 200}" for number in range(400)]
    bob.say(*lines)
    house.clock.turn()
    assert bob.channel.remoteWindowLeft == 0
    assert bob.channel.buf
    heard = ann.reads()
    for _ in range(1000):
        if len(heard) == len(lines):
            break
        house.passes(1)
        with pytest.raises(TimeoutError):
            bob.read_to_end()
        heard += ann.reads()
    assert heard == [f"> bob: {line}" for line in lines]


def test_one_who_sends_more_than_they_may(house):
    """They have to go, and with them what they sent."""
    bob = come(house, "bob", KEY)
    house.factory.freeze()
    for _ in range(3):
        bob.connection.sendData(bob.channel, b"x" * WINDOW)
    house.factory.thaw()
    bob.read_to_end()
    house.clock.turn()
    assert not house.factory.protocols


def test_one_who_reads_nothing(tmp_path):
    """The window of their channel fills, then what may wait; then they are cut."""
    house = SshHouse(tmp_path, sendq=20_000)
    ann = house.enters("ann")
    kind = as_("bob")
    kind.begin = lambda self: self.log_in()
    bob = kind(Line(house))
    channel = bob.channel = bob.open_channel()
    channel.localWindowSize = 1  # it never gives back what it has taken
    bob.connection.adjustWindow = lambda *_: None
    assert bob.request(b"shell")
    bob.say("/join tea")
    told = 0
    while any(person.name.text == "bob" for person in house.rooms.people.values()):
        ann.types("x" * 1000)
        told += 1
        assert told < 5000
    assert told * 1000 > 2_000_000  # that is what the client said it would take
    assert ann.reads()[-1] == "> bob has left the room"


def test_a_wire_that_is_full(tmp_path):
    """What the connection does not take waits, and goes on in order."""
    house, ann, bob = talk(tmp_path, sendq=200_000)
    bob.sock.wire.producer.pauseProducing()
    for number in range(100):
        ann.types(f"{number} {'x' * 500}")
    assert house.factory.waiting.total > 50_000
    bob.sock.wire.producer.resumeProducing()
    assert house.factory.waiting.total == 0
    while not bob.read().startswith("> ann: 0 "):
        pass
    for number in range(1, 100):
        bob.expect(f"> ann: {number} {'x' * 500}")


def test_new_keys(house):
    """A client may ask for new keys in the middle; what is said meanwhile is said after it."""
    ann = house.enters("ann")
    bob = come(house, "bob", KEY)
    bob.asks("/join tea", "> all right, I will call you bob", WELCOME.format("bob"))
    bob.expect("> welcome to tea", "> here: ann, bob")
    bob.client.sendKexInit()
    ann.types("one")
    bob.expect("> ann: one")
    house.passes(LOGIN_SECONDS + 1)
    ann.types("two")
    bob.expect("> ann: two")


def test_new_keys_that_never_come(tmp_path):
    """What is said meanwhile waits, within limits; and then they have to go."""
    house, ann, bob = talk(tmp_path, sendq=1_000_000)
    payload = bob.client.ourKexInitPayload[1:]
    SSHClientTransport.sendPacket(bob.client, MSG_KEXINIT, payload)
    for number in range(10):
        ann.types(f"{number}")
    assert house.factory.waiting.total > 0
    house.passes(LOGIN_SECONDS - 1)
    assert not bob.sock.wire.is_over
    house.passes(2)
    assert bob.sock.wire.is_over


@pytest.mark.parametrize("sent", [b"", b"SSH-2.0-x\r\n", b"SSH-2.0-x\r\n\0\0\1\0", b"SS"])
def test_a_handshake_that_never_ends(house, sent):
    """They have a minute."""
    line = Line(house)
    line.sendall(sent)
    house.passes(LOGIN_SECONDS - 1)
    assert not line.wire.is_over
    house.passes(2)
    assert line.wire.is_over


def test_a_login_that_is_not_used(house):
    """Who has logged in and wants nothing is let go; so is who has closed the last session."""
    kind = as_("bob", KEY)
    kind.begin = lambda self: self.log_in()
    idle = kind(Line(house))
    bob = come(house, "bob", KEY)
    house.passes(LOGIN_SECONDS + 1)
    assert idle.sock.wire.is_over
    assert not bob.sock.wire.is_over
    bob.connection.sendClose(bob.channel)
    house.clock.turn()
    house.passes(LOGIN_SECONDS + 1)
    assert bob.sock.wire.is_over


@pytest.mark.parametrize("does", ["opens and closes", "has new keys made"])
def test_nobody_keeps_a_connection_for_nothing(house, does):
    """Whatever they do but chat, it gives them no more time."""
    kind = as_("bob", KEY)
    kind.begin = lambda self: self.log_in()
    idle = kind(Line(house))
    for _ in range(3):
        house.passes(LOGIN_SECONDS / 4)
        channel = idle.open_channel()
        if does == "opens and closes":
            idle.connection.sendClose(channel)
            idle.until(lambda channel=channel: channel.is_closed)
        else:
            idle.client.sendKexInit()
            idle.until(lambda: idle.client._keyExchangeState == idle.client._KEY_EXCHANGE_NONE)
    assert not idle.sock.wire.is_over
    house.passes(LOGIN_SECONDS / 4)
    assert idle.sock.wire.is_over


def test_the_end_of_the_service(house):
    """Connections in which nobody chats end with it."""
    kind = as_("bob", KEY)
    kind.begin = lambda self: self.log_in()
    idle = kind(Line(house))
    house.ssh.abort()
    assert idle.sock.wire.is_over


def test_so_many_may_log_in_at_once(house):
    """One more is told so, in a line, and who is in already notices nothing."""
    bob = come(house, "bob", KEY)
    lines = [Line(house) for _ in range(STARTING)]
    wire = Wire(None, ADDRESS)
    refused = house.ssh.buildProtocol(ADDRESS)
    refused.makeConnection(wire)
    assert wire.value() == b"err: too many people are logging in. try again later\r\n"
    assert wire.is_over
    bob.asks("/version", "> all right, I will call you bob", WELCOME.format("bob"))
    for line in lines:
        line.close()
    come(house, "eve", KEY).say("/quit")


def test_connections_are_counted_once(tmp_path):
    """Each counts for its address, however many sessions it has; none is left over."""
    house = SshHouse(tmp_path, max_per_address=3)
    people = [come(house, f"bob{number}", KEY) for number in range(3)]
    assert house.ssh.buildProtocol(ADDRESS).__class__.__name__ == "Refused"
    people[0].open_channel()
    for one in people:
        one.close()
    assert house.factory.admission.connections == 0
    assert not house.factory.protocols
    assert not len(house.ssh.unused)


# Who speaks no SSH


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 200,
        b"\r\n" * 3000,
        b"SSH-1.5-old\r\n",
        b"SSH-2.0-x\r\n" + b"\xff" * 1000,
        b"SSH-2.0-x\r\n" + struct.pack(">LB", 900_000, 4) + b"x" * (PACKET + 1),
        b"SSH-2.0-x\r\n" + struct.pack(">LB", 12, 4) + b"\x14" + b"\0" * 10,
        b"SSH-\r\n",
        b"SSH-2.0-x\r\n" + struct.pack(">LB", 0, 0) + b"\0" * 100,
    ],
)
def test_what_is_no_ssh(house, sent):
    """It ends the connection, and nobody else notices; nothing is logged but a line."""
    ann = house.enters("ann")
    line = Line(house)
    line.sendall(sent)
    house.passes(LOGIN_SECONDS + CLOSING_SECONDS)
    assert line.wire.is_over
    assert ann.asks("/who") == ["> here: ann"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.lists(st.binary(max_size=300), max_size=5))
def test_any_bytes(house, sent):
    """Whatever comes, nothing breaks but the connection."""
    line = Line(house)
    line.sendall(b"SSH-2.0-x\r\n")
    for data in sent:
        line.sendall(data)
    line.close()
    assert not len(house.ssh.unused)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    return SshHouse(tmp_path_factory.mktemp("crowd"))


PACKETS = st.tuples(
    st.sampled_from([1, 2, 3, 4, 5, 6, 7, 20, 21, 30, *range(50, 62), *range(80, 101), 200]),
    st.one_of(
        st.binary(max_size=100),
        st.builds(
            lambda channel, rest: struct.pack(">L", channel) + rest,
            st.integers(0, 2),
            st.binary(max_size=60),
        ),
        st.builds(
            lambda kind, rest: struct.pack(">L", 0) + NS(kind) + b"\1" + rest,
            st.sampled_from([b"pty-req", b"window-change", b"exec", b"shell", b"x"]),
            st.binary(max_size=40),
        ),
        st.builds(
            lambda kind, rest: NS(kind) + rest,
            st.sampled_from([b"session", b"direct-tcpip", b"ssh-userauth", b"bob"]),
            st.binary(max_size=40),
        ),
    ),
)


@settings(max_examples=300)
@given(packets=st.lists(PACKETS, max_size=8))
def test_any_packets(crowd, packets):
    """Packets of somebody who is in do no harm to anybody else, whatever is in them."""
    kind = as_("bob")
    kind.begin = lambda self: self.log_in()
    bob = kind(Line(crowd))
    for number, payload in packets:
        bob.client.sendPacket(number, payload)
        crowd.clock.turn()
    bob.close()
    crowd.clock.turn()
    assert not crowd.factory.protocols
    assert not crowd.rooms.people


@settings(max_examples=100)
@given(packets=st.lists(PACKETS, max_size=5))
def test_any_packets_before_the_login(crowd, packets):
    """Nobody gets in by them."""
    kind = as_("bob")
    kind.begin = lambda self: self.until(lambda: self.is_secure)
    bob = kind(Line(crowd))
    for number, payload in packets:
        bob.client.sendPacket(number, payload)
        crowd.clock.turn()
    assert not hasattr(bob.sock.server, "avatar")
    bob.close()


def unfinished(house, user="bob"):
    """Give somebody whose connection is secure, and who has not logged in."""
    kind = as_(user)
    kind.begin = lambda self: self.until(lambda: self.is_secure)
    bob = kind(Line(house))
    bob.client.sendPacket(5, NS(b"ssh-userauth"))
    return bob


def asks_for(user, method, rest=b""):
    return NS(user) + NS(b"ssh-connection") + NS(method) + rest


def test_two_tries_at_once(house):
    """One has to wait for what becomes of the other."""
    bob = unfinished(house)
    for _ in range(2):
        packet = asks_for(b"bob", b"keyboard-interactive", NS(b"") + NS(b""))
        bob.client.sendPacket(userauth.MSG_USERAUTH_REQUEST, packet)
    assert bob.sock.wire.is_over


def test_an_answer_to_no_question(house):
    """It is none."""
    bob = unfinished(house)
    bob.client.sendPacket(userauth.MSG_USERAUTH_INFO_RESPONSE, b"\0\0\0\0")
    assert bob.sock.wire.is_over


def test_one_who_goes_while_a_password_is_checked(house):
    """Nothing comes of it."""
    house.register("ann")
    bob = unfinished(house)
    packet = asks_for(b"ann", b"password", b"\0" + NS(PASSWORD.encode()))
    bob.client.sendPacket(userauth.MSG_USERAUTH_REQUEST, packet)
    bob.sock.breaks()
    house.passes(2)
    assert not hasattr(bob.sock.server, "avatar")


def test_another_login_in_the_middle(house):
    """Who has logged in is who they are."""
    bob = come(house, "bob", KEY)
    bob.client.sendPacket(5, NS(b"ssh-userauth"))
    assert bob.sock.wire.is_over


def test_a_signature_of_old(house):
    """SHA-1 signs nothing here."""
    key = new_key("rsa")
    bob = unfinished(house)
    begin = b"\1" + NS(b"ssh-rsa") + NS(key.public().blob())
    packet = asks_for(b"bob", b"publickey", begin)
    signed = NS(bob.client.sessionID) + bytes([userauth.MSG_USERAUTH_REQUEST]) + packet
    signature = key.sign(signed, signatureType=b"ssh-rsa")
    bob.client.sendPacket(userauth.MSG_USERAUTH_REQUEST, packet + NS(signature))
    house.passes(1)
    assert not hasattr(bob.sock.server, "avatar")


# Going on in another process


def test_a_renewed_server(house):
    """They cannot be moved: they are told that their place is kept, or to connect again."""
    house.register("ann", KEY)
    ann, bob = come(house, "ann", KEY), come(house, "bob")
    ann.expect(logged_in("ann"))
    bob.expect("> all right, I will call you bob", WELCOME.format("bob"))
    house.factory.freeze()
    assert house.factory.movable() == []
    house.factory.see_off("come again", "your place is kept")
    ann.expect_end("> your place is kept")
    bob.expect_end("> come again")


def test_one_who_comes_while_all_stands_still(house):
    """They are let in once it goes on."""
    bob_kind = as_("bob", KEY)
    bob_kind.begin = lambda self: self.log_in()
    bob = bob_kind(Line(house))
    house.factory.freeze()
    bob.open()
    with pytest.raises(TimeoutError):
        bob.read()
    house.factory.thaw()
    bob.expect("> all right, I will call you bob", WELCOME.format("bob"))


# The key of the server


def test_the_key_is_made_once(tmp_path):
    """Only its owner may read it, and it stays the same."""
    file = tmp_path / "key"
    hostkey.check(file)
    assert not file.exists()
    key = hostkey.host_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [file]
    hostkey.check(file)
    assert hostkey.host_key(file).blob() == key.blob()
    assert file.read_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")


def test_two_that_make_it_at_once(tmp_path, monkeypatch):
    """Both have the key of the one that was quicker."""
    file = tmp_path / "key"
    quicker = hostkey.host_key(file)
    hostkey._make(file)
    assert hostkey.host_key(file).blob() == quicker.blob()
    assert [*tmp_path.iterdir()] == [file]


def _encrypted():
    return new_key().toString("openssh", passphrase="secret")


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (lambda: new_key().toString("openssh"), 0o644, "others may read it. chmod 600 "),
        (lambda: new_key().toString("openssh"), 0o640, "others may read it. chmod 600 "),
        (lambda: b"nonsense", 0o600, "it is no private key of OpenSSH"),
        (lambda: b"", 0o600, "it is no private key of OpenSSH"),
        (_encrypted, 0o600, "it has a passphrase, and nobody is there to type it"),
        (lambda: new_key("rsa").toString("openssh"), 0o600, "no private key of the type ed25519"),
        (lambda: new_key().public().toString("openssh"), 0o600, "no private key of the type"),
    ],
)
def test_a_file_that_is_no_such_key(tmp_path, content, mode, why):
    """What is wrong is told, and nothing is made in its place."""
    file = tmp_path / "key"
    file.write_bytes(content())
    file.chmod(mode)
    before = file.read_bytes()
    for look in (hostkey.check, hostkey.host_key):
        with pytest.raises(ValueError, match=why):
            look(file)
    assert file.read_bytes() == before


def test_a_directory_that_is_not_there(tmp_path):
    """It is told, before anything is started."""
    for look in (hostkey.check, hostkey.host_key):
        with pytest.raises(OSError, match=r"[Nn]o such file|cannot be made"):
            look(tmp_path / "nowhere" / "key")
