"""Readers who are slow, or do not read at all, cost nobody anything but themselves."""

from collections.abc import Iterator, Sequence

import pytest
from real import Chat, Peer, wait_until

pytestmark = pytest.mark.real

SENDQ = 200_000
MEGABYTE = 1 << 20
CUT = f"err: you read too slowly: more than {SENDQ} bytes were waiting. goodbye"
AT_ONCE = 50
"""Lines that are said before they are read: no more than may wait for one reader."""


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    options = ("--flood", "off", "--max-per-address", "0", "--sendq", str(SENDQ), "--replay", "0")
    with Chat(tmp_path_factory.mktemp("chat"), *options) as chat:
        yield chat


@pytest.fixture(autouse=True)
def everyone_goes_home(chat: Chat) -> Iterator[None]:
    yield
    chat.go_home()


def line(number: int) -> str:
    return f"{number:06} {'x' * 1000}"


def talk(ann: Peer, others: Sequence[Peer], lines: range) -> list[str]:
    """Have ann say lines that the others read, every one and in order; give the notices seen."""
    notices = []
    for first in range(lines.start, lines.stop, AT_ONCE):
        some = range(first, min(first + AT_ONCE, lines.stop))
        ann.say(*map(line, some))
        for other in others:
            for number in some:
                while (found := other.read()) != f"> ann: {line(number)}":
                    assert found.endswith(" has left the room"), found[:200]
                    notices.append(found)
    return notices


def test_the_others_hear_everything(chat):
    """While one member reads nothing, all others hear every line, in order and once."""
    stuck = chat.enter("stuck", receive_buffer=4096)
    ann = chat.enter("ann")
    others = [chat.enter(f"guest{number}") for number in range(4)]
    for number, other in enumerate(others):
        other.expect(*[f"> guest{later} joined the room" for later in range(number + 1, 4)])
    notices = talk(ann, others, range(5000))
    assert notices == ["> stuck has left the room"] * 4
    ann.expect(*[f"> guest{number} joined the room" for number in range(4)])
    ann.expect("> stuck has left the room")
    ann.asks("/who", "> here: ann, guest0, guest1, guest2, guest3")
    stuck.close()


def test_last_words(chat):
    """Who is cut and reads at last finds whole lines in order, the reason, and the end."""
    stuck = chat.enter("stuck", receive_buffer=4096)
    ann = chat.enter("ann")
    bob = chat.enter("bob")
    ann.expect("> bob joined the room")
    said = 0
    while not talk(ann, [bob], range(said, said + AT_ONCE)):
        said += AT_ONCE
        assert said < 20_000, "nobody is ever cut"
    found = stuck.read_to_end().decode().split("\r\n")
    assert found[:2] == ["> ann joined the room", "> bob joined the room"]
    *lines, last, end = found[2:]
    if not lines[-1]:  # the last words begin a line of their own, whatever was before
        lines.pop()
    assert lines == [f"> ann: {line(number)}" for number in range(len(lines))]
    assert (last, end) == (CUT, "")
    ann.expect("> stuck has left the room")


def test_memory_is_bounded(chat):
    """However many read nothing, no more waits for each than it may, and it is given back."""
    ann = chat.enter("ann")
    bob = chat.enter("bob")
    ann.expect("> bob joined the room")
    chat.forget_peak_memory()
    before = chat.peak_memory()
    stuck = [chat.enter(f"stuck{number}", receive_buffer=4096) for number in range(20)]
    expected = [f"> stuck{number} joined the room" for number in range(20)]
    ann.expect(*expected)
    bob.expect(*expected)
    notices = talk(ann, [bob], range(6000))
    assert sorted(notices) == sorted(f"> stuck{number} has left the room" for number in range(20))
    assert chat.peak_memory() - before < 20 * SENDQ + 20 * MEGABYTE
    for one in stuck:
        one.reset()
    wait_until(lambda: chat.descriptors() == chat.empty_descriptors + 2, "all who were stuck to go")


def test_a_burst_that_fits(chat):
    """Who reads late, but not too late, loses nothing."""
    late = chat.enter("late", receive_buffer=4096)
    ann = chat.enter("ann")
    late.expect("> ann joined the room")
    ann.say(*map(line, range(150)))
    ann.asks("/who", "> here: ann, late")
    late.expect(*[f"> ann: {line(number)}" for number in range(150)])


def test_one_who_reads_slowly_is_not_cut(chat):
    """It counts what waits now, not what has ever waited."""
    slow = chat.enter("slow", receive_buffer=4096)
    ann = chat.enter("ann")
    slow.expect("> ann joined the room")
    assert talk(ann, [slow], range(3000)) == []
    ann.asks("/who", "> here: ann, slow")


def test_answers_count_too(chat):
    """Who asks and asks without reading the answers is cut, and the room is told once."""
    ann, bob = chat.enter("ann"), chat.enter("bob", receive_buffer=4096)
    ann.expect("> bob joined the room")
    try:
        for _ in range(2000):
            bob.say(*["/help"] * 20)
    except (ConnectionResetError, BrokenPipeError):
        pass
    ann.expect("> bob has left the room")
    ann.asks("/who", "> here: ann")
