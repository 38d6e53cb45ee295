"""Many who guess passwords at once, against the real process: the others notice nothing."""

import signal
import statistics
import time

import pytest
from real import ANYWHERE, Chat, Peer

pytestmark = pytest.mark.real

GUESSERS, GUESSES, LINES = 100, 3, 300
HASHING = 2 * 64 * 1024 * 1024
"""Bytes that two hashes take while they are made."""
SPARE = 64 * 1024 * 1024
PATIENCE = 60.0
"""Seconds until all who wait for a hash have theirs, on a machine that has other things to do."""
PASSWORD = "correct horse"
ANSWERS = (
    "err: that is not the password of that name",
    "err: too many people log in just now. try again in a moment",
)


def latency(talker: Peer, listener: Peer) -> str:
    """Say some lines, one after the other; give how long they took, in words."""
    taken = []
    for number in range(LINES):
        begin = time.monotonic()
        talker.say(f"line {number}")
        listener.expect(f"> ann: line {number}")
        taken.append((time.monotonic() - begin) * 1000)
    taken.sort()
    return f"p50 {statistics.median(taken):.1f} ms, p99 {taken[-2]:.1f} ms"


@pytest.mark.long
def test_guessing_from_a_hundred_connections(tmp_path, capsys):
    """Everyone is answered, the memory is bounded, and a conversation goes on meanwhile."""
    options = ("--flood", "off", "--max-per-address", "0")
    with Chat(tmp_path, *options, ports=(ANYWHERE, "unix:chat.sock:backlog=200")) as chat:
        ann = chat.enter("ann")
        ann.say(f"/register {PASSWORD}")
        assert "is yours now" in ann.read()
        bob = chat.enter("bob")
        ann.expect("> bob joined the room")
        quiet = latency(ann, bob)
        # Over the socket file no address counts, so every guess is one to be checked.
        guessers = [
            chat.connect(address=str(tmp_path / "chat.sock"), greeted=False)
            for _ in range(GUESSERS)
        ]
        for guesser in guessers:
            guesser.read()
        before = chat.peak_memory()
        chat.forget_peak_memory()
        for number, guesser in enumerate(guessers):
            guesser.say(*(f"/login guest{number}.{n} wrong horse" for n in range(GUESSES)))
        busy = latency(ann, bob)
        for guesser in guessers:
            guesser.sock.settimeout(PATIENCE)
            assert {guesser.read() for _ in range(GUESSES)} <= set(ANSWERS)
        assert chat.peak_memory() < before + HASHING + SPARE
        with capsys.disabled():
            print(f" [quiet: {quiet}; guessed at: {busy}] ", end="")  # noqa: T201


def test_accounts_survive_a_kill(tmp_path):
    """Whoever was told that a name is theirs can come back to it."""
    with Chat(tmp_path, warm=False) as chat:
        ann = chat.enter("ann")
        ann.say(f"/register {PASSWORD}")
        assert "is yours now" in ann.read()
        chat.signal(signal.SIGKILL)
        chat.exit_code()
    with Chat(tmp_path, "--grace", "0", warm=False) as chat:
        ann = chat.connect()
        ann.asks("/login ann wrong horse", ANSWERS[0])
        ann.asks(f"/login ann {PASSWORD}", "> welcome back, ann. you are logged in")
        assert b"horse" not in (tmp_path / "tcpchat.sqlite").read_bytes()
        assert "horse" not in chat.log()
