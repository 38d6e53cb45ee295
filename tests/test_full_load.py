"""Promise 1 at full load: every member hears every line, once, and all in one order."""

import re
import selectors
import time

import pytest
from real import SECONDS, Chat, Peer

pytestmark = pytest.mark.real

TALKERS, MEMBERS, LINES = 5, 40, 1500
SAID = re.compile(rb"> t(\d): (\d+)\r\n")


def heard_at_full_load(talkers: list[Peer], members: list[Peer]) -> dict[Peer, bytes]:
    """Have everyone talk as fast as the chat takes it; give what each has heard."""
    lines = b"".join(b"%d\r\n" % number for number in range(LINES))
    unsent = {talker: memoryview(lines) for talker in talkers}
    heard = {peer: bytearray() for peer in (*talkers, *members)}
    wanted = {peer: (TALKERS - (peer in unsent)) * LINES for peer in heard}
    with selectors.DefaultSelector() as selector:
        for peer in heard:
            peer.sock.setblocking(False)
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            selector.register(peer.sock, both if peer in unsent else selectors.EVENT_READ, peer)
        waiting, deadline = set(heard), time.monotonic() + 4 * SECONDS
        while waiting:
            assert time.monotonic() < deadline
            for key, events in selector.select(1):
                peer = key.data
                if events & selectors.EVENT_WRITE:
                    unsent[peer] = unsent[peer][peer.sock.send(unsent[peer][:65536]) :]
                    if not unsent[peer]:
                        selector.modify(peer.sock, selectors.EVENT_READ, peer)
                if events & selectors.EVENT_READ:
                    heard[peer] += peer.sock.recv(1 << 20)
                    if heard[peer].count(b"\n") >= wanted[peer]:
                        waiting.discard(peer)
    return {peer: bytes(data) for peer, data in heard.items()}


def test_everyone_hears_everything_once_and_in_one_order(tmp_path):
    """However fast five talk, forty hear the very same bytes, and the talkers each other."""
    with Chat(tmp_path, "--flood", "off", "--max-per-address", "0", "--sendq", "100000000") as chat:
        talkers = [chat.enter(f"t{number}") for number in range(TALKERS)]
        members = [chat.enter(f"m{number}") for number in range(MEMBERS)]
        for place, peer in enumerate((*talkers, *members)):
            later = [f"t{n}" for n in range(TALKERS)] + [f"m{n}" for n in range(MEMBERS)]
            peer.expect(*(f"> {name} joined the room" for name in later[place + 1 :]))
        heard = heard_at_full_load(talkers, members)
    (everything,) = {heard[member] for member in members}
    said = SAID.findall(everything)
    assert SAID.sub(b"", everything) == b""
    for number, talker in enumerate(talkers):
        own = b"%d" % number
        assert [int(line) for who, line in said if who == own] == list(range(LINES))
        others = b"".join(b"> t%s: %s\r\n" % one for one in said if one[0] != own)
        assert heard[talker] == others
