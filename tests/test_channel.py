"""What two processes tell each other at a hot restart, and what becomes of it."""

import os
import socket
import threading

import pytest
from twisted.internet.defer import ensureDeferred

from twisted_chat import estate, handover
from twisted_chat.estate import Estate
from twisted_chat.handover import Channel, Handover, HandoverError, Inheritance
from twisted_chat.testing import ManualClock, ManualWorker, rooms


@pytest.fixture
def ends():
    """Give the two ends of a channel."""
    pair = socket.socketpair()
    yield tuple(map(Channel, pair))
    for one in pair:
        one.close()


def in_thread(work):
    """Do something while the test goes on; give what waits for it."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_messages(ends):
    """They come with what goes along, however much that is."""
    here, there = ends
    unsent = os.urandom(3_000_000)
    sending = in_thread(lambda: here.send({"what": "żółw"}, unsent))
    assert there.receive(5) == Estate({"what": "żółw"}, unsent, [])
    sending.join()


def test_descriptors(ends):
    """More of them than one message takes."""
    here, there = ends
    read, write = os.pipe()
    sending = in_thread(lambda: here.send({}, b"", [write] * 450))
    received = there.receive(5).descriptors
    sending.join()
    assert len(set(received)) == 450
    os.write(received[-1], b"x")
    assert os.read(read, 1) == b"x"
    for one in (read, write, *received):
        os.close(one)


def test_silence_and_the_end(ends):
    """Neither is waited for without end."""
    here, there = ends
    with pytest.raises(TimeoutError):
        there.receive(0.01)
    here.close()
    with pytest.raises(EOFError):
        there.receive(5)
    there.wait_for_end(5)


class Service:
    """What there is to hand over; it notes what it is told to do."""

    def __init__(self):
        self.rooms = rooms()
        self.running = 1
        self.told = []
        self.estate = Estate({"version": estate.VERSION}, b"", [])

    async def freeze(self):
        self.told.append("freeze")
        if isinstance(self.estate, Exception):
            raise self.estate
        return self.estate

    def thaw(self):
        self.told.append("thaw")

    def inherit(self, left):
        self.told.append(left)


class Heir:
    """The other side, in a thread."""

    def __init__(self, channel, does):
        self.channel = channel
        self.killed = False
        self._thread = in_thread(does)

    def kill(self):
        self.killed = True

    def join(self):
        self._thread.join(5)


def hand_over(ends, service, does, monkeypatch):
    """Hand over to an heir that does something; tell whether it worked, and give the heir."""
    clock = ManualClock()
    monkeypatch.setattr(handover, "Worker", lambda _reactor, name: ManualWorker(clock, name))
    monkeypatch.setattr(handover, "START_SECONDS", 2)
    monkeypatch.setattr(handover, "ANSWER_SECONDS", 0.2)
    here, there = ends
    heir = Heir(here, lambda: does(Inheritance(there), there))
    outcome = []
    ensureDeferred(Handover(clock, service).to(heir)).addCallback(outcome.append)
    clock.turn()
    heir.join()
    return outcome[0], heir


def test_handing_over(ends, monkeypatch):
    """What the heir takes is what was given; the rest is to go."""
    service, other = Service(), Service()

    def take(inheritance, _channel):
        inheritance.receive(other)
        inheritance._channel.send({"taken": True})

    is_done, heir = hand_over(ends, service, take, monkeypatch)
    assert is_done
    assert not heir.killed
    assert service.told == ["freeze"]
    assert other.told == [service.estate]


def refuse(inheritance, _channel):
    inheritance.receive(Service())
    inheritance.refuse(ValueError("what is that"))


def end_after_all(inheritance, channel):
    inheritance.receive(Service())
    channel.close()


def be_silent(inheritance, _channel):
    inheritance.receive(Service())


def be_of_another_kind(_inheritance, channel):
    channel.send({"estate": 99})


@pytest.mark.parametrize(
    "case",
    [
        (refuse, ["freeze", "thaw"], "ValueError: what is that"),
        (end_after_all, ["freeze", "thaw"], "it ended; what it has logged tells more"),
        (be_silent, ["freeze", "thaw"], "it did not answer in time"),
        (be_of_another_kind, [], "the new code goes on from {'estate': 99}, not "),
        (lambda _, channel: channel.close(), [], "it ended; what it has logged tells more"),
    ],
)
def test_an_heir_that_cannot(ends, monkeypatch, logged_failures, case):
    """It is ended, all goes on where it was, and the log says why."""
    does, told, why = case
    service = Service()
    is_done, heir = hand_over(ends, service, does, monkeypatch)
    assert not is_done
    assert heir.killed
    assert service.told == told
    [event] = logged_failures.events
    assert event["why"].startswith(why)
    logged_failures.events.clear()


@pytest.mark.parametrize("error", [TimeoutError("a command took too long"), OSError("no room")])
def test_a_chat_that_cannot_be_frozen(ends, monkeypatch, logged_failures, error):
    """It thaws, whatever it was."""
    service = Service()
    service.estate = error
    is_done, heir = hand_over(
        ends, service, lambda one, _: one._channel.send(handover._versions(Service())), monkeypatch
    )
    assert not is_done
    assert heir.killed
    assert service.told == ["freeze", "thaw"]
    logged_failures.events.clear()


def test_a_chat_that_is_being_stopped(ends, monkeypatch, logged_failures):
    """It stops, and is not handed over."""
    service = Service()
    service.running = 0
    is_done, _ = hand_over(
        ends, service, lambda one, _: one._channel.send(handover._versions(Service())), monkeypatch
    )
    assert not is_done
    assert service.told == []
    logged_failures.events.clear()


def test_an_estate_of_another_version(ends):
    """What cannot be understood is not guessed at."""
    here, there = ends
    giving = in_thread(lambda: (here.receive(5), here.send({"version": 99})))
    with pytest.raises(HandoverError, match="version 99"):
        Inheritance(there).receive(Service())
    giving.join()


def test_going_on_once_the_other_is_gone(ends):
    """Not before: both would serve the same people."""
    here, there = ends
    accepting = in_thread(Inheritance(there).accept)
    assert here.receive(5).record == {"taken": True}
    assert accepting.is_alive()
    here.close()
    accepting.join(5)
    assert not accepting.is_alive()
