"""The real ``ssh`` of OpenSSH, in a terminal, at a real chat."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from real import ANYWHERE, SECONDS, Chat, Terminal, free_port, need, need_module, twistd, wait_until

pytestmark = pytest.mark.real

PASSWORD = "correct horse"
WELCOME = "> welcome. you are {}. /nick NAME takes a name, /join ROOM enters a room, "


class SshChat(Chat):
    """A chat with a door for SSH, and those who know its key."""

    def __init__(self, directory: Path, *options: str) -> None:
        need_module("bcrypt")
        self.ssh_port = free_port()
        door = f"tcp:{self.ssh_port}:interface=127.0.0.1"
        super().__init__(
            directory, "--ssh", door, "--max-per-address", "0", *options, ports=[ANYWHERE]
        )
        public = run("ssh-keygen", "-y", "-f", str(directory / "tcpchat_host_key")).stdout
        (directory / "known_hosts").write_bytes(b"[127.0.0.1]:%d %b" % (self.ssh_port, public))

    def ssh(
        self, user: str, *options: str, key: Path | None = None, command: str = ""
    ) -> list[str]:
        """Give the command by which somebody comes.

        :param command: what is run, instead of a chat.
        """
        settings = {
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self.directory / "known_hosts",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            **({"IdentityFile": key} if key else {"PubkeyAuthentication": "no"}),
        }
        given = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        where = ["-p", str(self.ssh_port), "-l", user, "127.0.0.1"]
        run = [command] if command else []
        return [need("ssh"), "-F", "none", *given, *options, *where, *run]


def run(
    *command: str, sent: bytes = b"", seconds: float = SECONDS
) -> "subprocess.CompletedProcess[bytes]":
    """Run a program to its end."""
    return subprocess.run(
        [need(command[0]), *command[1:]],
        check=False,
        input=sent,
        capture_output=True,
        timeout=seconds,
    )


class Screen(Terminal):
    """A terminal with a screen, which is looked at as a person would."""

    kind = "xterm-256color"

    def __init__(self, *command: str, columns: int = 60, rows: int = 12) -> None:
        pyte = need_module("pyte")
        self._pyte = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._pyte)
        super().__init__(*command, columns=columns, rows=rows)

    def resize(self, columns: int, rows: int) -> None:
        super().resize(columns, rows)
        self._pyte.resize(rows, columns)

    def rows(self) -> list[str]:
        """Give what is on the screen now, without what is empty below."""
        self._look()
        self._stream.feed(self._screen)
        self._screen = b""
        rows = [row.rstrip() for row in self._pyte.display]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def shows(self, *rows: str) -> None:
        """See that these are the last rows of the screen, within a while."""
        seen: list[list[str]] = [[]]

        def is_shown() -> bool:
            seen[0] = self.rows()
            return seen[0][-len(rows) :] == list(rows)

        try:
            wait_until(is_shown, "the screen")
        except BaseException:
            pytest.fail("\n".join(["the screen shows", *seen[0], "instead of", *rows]))

    @property
    def cursor(self) -> tuple[int, int]:
        """Column and row."""
        return self._pyte.cursor.x, self._pyte.cursor.y


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshChat]:
    quick = ("--flood", "off", "--replay", "0", "--grace", "0")
    with SshChat(tmp_path_factory.mktemp("chat"), *quick) as chat:
        yield chat


@pytest.fixture(autouse=True)
def everyone_goes_home(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "chat" in request.fixturenames:
        chat = request.getfixturevalue("chat")
        chat.go_home()
        assert "Traceback" not in chat.log(), chat.log()[-3000:]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("key"))


def make_key(directory: Path, kind: str = "ed25519") -> Path:
    file = directory / f"id_{kind}"
    run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "ann at home", "-f", str(file))
    return file


# Who comes


def test_a_guest(chat, key):
    """They are called by the name that they come with."""
    with Screen(*chat.ssh("bob", key=key)) as bob:
        bob.shows("[bob]")
        assert bob.rows()[0] == "> all right, I will call you bob"
        bob.press(b"/quit\r")
        assert bob.exit_code() == 0
        assert bob.rows()[-2:] == ["> sad to see you go =(", "Connection to 127.0.0.1 closed."]


def test_a_guest_without_a_key(chat):
    """Nothing is asked."""
    done = run(*chat.ssh("bob", "-T"), sent=b"/quit\n")
    assert done.stdout.startswith(b"> all right, I will call you bob\n> welcome. you are bob.")
    assert done.stdout.endswith(b"> sad to see you go =(\n")
    assert done.returncode == 0


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_that_is_tied_to_an_account(chat, tmp_path, kind):
    """It is made at first, and tied; from then on it is all that is needed, and another is not."""
    key, name = make_key(tmp_path, kind), f"ann-{kind}"
    with Screen(*chat.ssh(name, key=key), columns=100) as ann:
        ann.shows(f"[{name}]")
        ann.press(f"/register {PASSWORD}\r".encode())
        ann.shows(f"> {name} is yours now. /login {name} brings you back", f"[{name}]")
        ann.press(b"/sshkey add\r")
        wait_until(lambda: "[not shown]" in ann.rows()[-1], "the question")
        ann.press(PASSWORD.encode() + b"\r")
        wait_until(lambda: "SHA256:" in "".join(ann.rows()[-4:]), "the key")
        assert PASSWORD not in "".join(ann.rows()[-4:])
        ann.press(b"\x04")
        assert ann.exit_code() == 0
    only_keys = ("-o", "PreferredAuthentications=publickey", "-T")
    done = run(*chat.ssh(name, *only_keys, key=key), sent=b"/quit\n")
    assert done.stdout == (
        f"> welcome back, {name}. you are logged in\n> sad to see you go =(\n".encode()
    )
    other = make_key(tmp_path, "ed25519" if kind != "ed25519" else "ecdsa")
    done = run(*chat.ssh(name, *only_keys, key=other), sent=b"/quit\n")
    assert done.returncode == 255
    assert b"Permission denied (publickey,keyboard-interactive,password)" in done.stderr
    assert done.stdout == b""


def test_a_password(chat):
    """It is asked for, and not shown; a wrong one is told."""
    ann = chat.connect()
    ann.asks("/nick pat", "> all right, I will call you pat")
    ann.asks(f"/register {PASSWORD}", "> pat is yours now. /login pat brings you back")
    ann.asks("/quit", "> sad to see you go =(")
    with Screen(*chat.ssh("pat"), columns=100) as pat:
        wait_until(lambda: pat.rows()[-1:] == ["(pat@127.0.0.1) password:"], "the question")
        assert pat.rows()[-2].endswith("pat is registered here")
        pat.press(b"wrong one\r")
        wait_until(lambda: pat.rows().count("(pat@127.0.0.1) password:") == 2, "another question")
        assert "that is not the password of that name" in pat.rows()
        pat.press(PASSWORD.encode() + b"\r")
        pat.shows("> welcome back, pat. you are logged in", "[pat]")
        assert PASSWORD not in "".join(pat.rows())
        pat.press(b"\x04")
        assert pat.exit_code() == 0


# At the screen


def test_typing_while_others_talk(chat, key):
    """What they say comes above what is being typed, which stays as it is, as does the cursor."""
    ann = chat.enter("ann")
    with Screen(*chat.ssh("bob", key=key)) as bob:
        bob.shows("[bob]")
        bob.press(b"/join tea\r")
        bob.shows("> here: ann, bob", "[bob]")
        ann.expect("> bob joined the room")
        typed = "a long line with 日本語 and e\u0301 that goes on to the next row"
        bob.press(typed.encode())
        shown = ["[bob] a long line with 日本語 and é that goes on to the next", " row"]
        bob.shows(*shown)
        bob.press(b"\x1b[D\x1b[D")
        wait_until(lambda: bob.rows() and bob.cursor[0] == 2, "the cursor")
        ann.say("hello", "x" * 70)
        bob.shows("> ann: hello", "> ann: " + "x" * 53, "x" * 17, *shown)
        assert bob.cursor[0] == 2
        bob.press(b"\x01say: \x05!\r")
        ann.expect(f"> bob: say: {typed}!")
        said = ["[bob] say: a long line with 日本語 and é that goes on to the", " next row!"]
        bob.shows(*said, "[bob]")
        bob.press(b"\x1b[A")
        bob.shows(*said, *said)
        bob.press(b"\x03/leave\r")
        ann.expect("> bob has left the room")


def test_many_lines_at_once(chat, key):
    """All that is pasted is said, in order."""
    ann = chat.enter("ann")
    with Screen(*chat.ssh("bob", key=key)) as bob:
        bob.shows("[bob]")
        bob.press(b"/join tea\r")
        ann.expect("> bob joined the room")
        lines = [f"line {number} of a poem, of which there are many" for number in range(80)]
        for first in range(0, 80, 20):
            bob.press("\r".join(lines[first : first + 20]).encode() + b"\r")
            ann.expect(*(f"> bob: {line}" for line in lines[first : first + 20]))
        bob.shows(*(f"[bob] {line}" for line in lines[-5:]), "[bob]")


def test_a_window_that_changes(chat, key):
    """What is typed is shown anew, as wide as the window is."""
    with Screen(*chat.ssh("bob", key=key)) as bob:
        bob.shows("[bob]")
        bob.press(b"x" * 50)
        bob.shows("[bob] " + "x" * 50)
        bob.resize(40, 12)
        bob.shows("[bob] " + "x" * 34, "x" * 16)
        bob.resize(30, 6)
        bob.shows("[bob] " + "x" * 24, "x" * 26)
        bob.press(b"\x15\x0c")
        wait_until(lambda: bob.rows() == ["[bob]"], "an empty screen")


def test_ctrl_c_and_ctrl_d(chat, key):
    """Ctrl-C takes back what was typed, and ends nothing; Ctrl-D leaves from an empty line."""
    with Screen(*chat.ssh("bob", key=key)) as bob:
        bob.shows("[bob]")
        bob.press(b"oh no\x03")
        bob.shows("[bob]")
        bob.press(b"\x03")
        bob.shows("> /quit leaves", "[bob]")
        bob.press(b"ab\x01\x04")
        bob.shows("[bob] b")
        bob.press(b"\x05\x7f\x04")
        assert bob.exit_code() == 0


def test_a_dumb_terminal(chat, key):
    """Plain lines, and what is typed: nothing that a screen reader would stumble over."""
    with Terminal(*chat.ssh("bob", key=key)) as bob:
        bob.expect("> all right, I will call you bob")
        assert bob.sees().startswith("> welcome. you are bob.")
        bob.press(b"/join tea\r")
        bob.expect("/join tea", "> welcome to tea", "> here: bob")
        bob.press(b"/quit\r")
        bob.expect("/quit", "> sad to see you go =(")
        assert bob.exit_code() == 0


# Without a terminal


def test_commands(chat, key):
    """What comes of one is printed, and the status tells whether it was refused."""
    chat.enter("ann")
    done = run(*chat.ssh("bob", key=key, command="/who"))
    assert done.stdout == b"> on the server: ann, anonymous\n"
    assert (done.stderr, done.returncode) == (b"", 0)
    done = run(*chat.ssh("bob", key=key, command="/who tea"))
    assert done.stdout == b"> in tea: ann\n"
    done = run(*chat.ssh("bob", key=key, command="/who nowhere"))
    assert done.stdout == b"err: there is no room called nowhere. /rooms lists them\n"
    assert done.returncode == 1


def test_a_program(chat, key):
    """It says lines, and its last ones are heard though it has nothing more to say."""
    ann = chat.enter("ann")
    done = run(*chat.ssh("bob", "-T", key=key), sent=b"/join tea\none\ntwo\n")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-3:] == [
        b"> welcome to tea",
        b"> here: ann, bob",
        b"> sad to see you go =(",
    ]
    ann.expect("> bob joined the room", "> bob: one", "> bob: two", "> bob has left the room")


def test_what_is_not_served(chat, key):
    """Nothing is forwarded, and there are no files."""
    done = run(*chat.ssh("bob", "-W", "127.0.0.1:22", key=key))
    assert done.returncode == 255
    assert b"only sessions are served" in done.stderr
    done = run(*chat.ssh("bob", "-s", key=key, command="sftp"))
    assert done.returncode == 255
    assert b"subsystem request failed" in done.stderr


# The server renewed, and looked at from outside


def test_a_place_is_kept_when_the_server_is_renewed(tmp_path, key):
    """They are told to come back, find the same server, their room, and what they have missed."""
    with SshChat(tmp_path, "--replay", "0") as chat:
        ann = chat.enter("ann")
        with Screen(*chat.ssh("bob", key=key), columns=90) as bob:
            bob.shows("[bob]")
            bob.press(b"/join tea\r")
            ann.expect("> bob joined the room")
            bob.press(b"half a line")
            bob.shows("[bob] half a line")
            chat.signal(signal.SIGUSR2)
            bob.shows(
                "> the server is being renewed: reconnect within 120 seconds, your place is kept",
                "Connection to 127.0.0.1 closed.",
            )
            assert bob.exit_code() == 0
        chat.wait_for_log("went on with")
        ann.say("meanwhile")
        with Screen(*chat.ssh("bob", key=key), columns=90) as bob:
            wait_until(lambda: len(bob.rows()) == 4, "what was missed")
            assert bob.rows()[0] == "> welcome back, bob. you are in tea"
            assert bob.rows()[1].endswith("and missed 1 line:")
            assert bob.rows()[2].endswith("] ann: meanwhile")
            bob.press(b"hello again\r")
            ann.expect("> bob: hello again")


def test_what_an_audit_says(chat):
    """ssh-audit finds nothing that fails: no weak key, cipher, exchange or checksum."""
    need_module("ssh_audit")
    done = run(
        *(sys.executable, "-m", "ssh_audit", "--json", "--skip-rate-test", "-p"),
        *(str(chat.ssh_port), "127.0.0.1"),
        seconds=60,
    )
    found = json.loads(done.stdout)
    for part in ("kex", "key", "enc", "mac"):
        for one in found[part]:
            assert "fail" not in one["notes"], one
    assert [one["algorithm"] for one in found["key"]] == ["ssh-ed25519"]
    assert found["compression"] == ["none"]
    assert {one["algorithm"] for one in found["mac"]} == {"hmac-sha2-512", "hmac-sha2-256"}
    assert {one["algorithm"] for one in found["enc"]} == {
        "aes256-ctr",
        "aes192-ctr",
        "aes128-ctr",
    }


def test_the_key_of_the_server(tmp_path):
    """It is made at the first start, and told; one that others may read is refused."""
    need_module("bcrypt")
    with SshChat(tmp_path) as chat:
        file = tmp_path / "tcpchat_host_key"
        assert file.stat().st_mode & 0o777 == 0o600
        shown = run("ssh-keygen", "-l", "-f", str(tmp_path / "known_hosts")).stdout.split()[1]
        assert f"the key for SSH is {shown.decode()}" in chat.log()
    file.chmod(0o644)
    for more in (["--check"], []):
        command = [twistd(), "-n", "--pidfile=", "tcpchat", "--port", ANYWHERE, *more]
        done = subprocess.run(
            [*command, "--ssh", ANYWHERE],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            timeout=SECONDS,
        )
        assert done.returncode == 1
        assert done.stderr.decode() == (
            "tcpchat: --ssh-host-key tcpchat_host_key: others may read it. chmod 600 "
            "tcpchat_host_key. takes a file with an ed25519 key, which only the user of the chat "
            "may read\n"
        )
