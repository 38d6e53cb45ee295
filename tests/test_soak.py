"""The soak notices what it is there for: memory that grows, and lines that go astray."""

import csv
import os
import random
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from real import need, need_module

from benchmarks import timeline, vitals
from benchmarks.doors import Heard
from benchmarks.ledger import AstrayError, Ear, Ledger, Witnesses
from benchmarks.vitals import ALLOWED, MIB, Sample

ROOT = Path(__file__).parent.parent
LEAKS = """
from twisted_chat.doors import protocol
made = protocol.ChatProtocol.connectionMade
kept = []
def leaks(self):
    kept.append(bytearray(b"x" * 1_000_000))
    made(self)
protocol.ChatProtocol.connectionMade = leaks
"""
"""What every process does at its start that finds it as ``sitecustomize``."""


def samples(lives, *, each=0.0, every=0.0, minutes=60, noise=MIB / 4, hashing=0.05):
    """Make samples of an hour: some lives of equal length in a third of it, and a long one.

    :param each: MiB an hour by which memory grows within a life.
    :param every: MiB that a life leaves to the next.
    :param noise: bytes up or down.
    :param hashing: how often 64 MiB more are there, for a password.
    """
    chance, found = random.Random(1), []
    short = minutes * 60 / 3 / max(1, lives - 1)
    for number in range(720):
        seconds = (number + 1) * minutes * 60 / 720
        life = min(lives, int(seconds / short) + 1)
        age = seconds - (life - 1) * short
        memory = 80 * MIB + MIB * (each * age / 3600 + every * (life - 1))
        memory += chance.uniform(-noise, noise) + 64 * MIB * (chance.random() < hashing)
        people = 36 + chance.randrange(-6, 7)
        found.append(Sample(seconds, life, int(memory), 40, 4, people, 10**6, 2.0, number * 100))
    return found


def verdicts(found):
    return [growth.is_flat for growth in vitals.growths(found)]


def test_noise_is_flat():
    """Neither what comes and goes nor a password that is hashed now and then is a leak."""
    assert verdicts(samples(6)) == [True, True]
    assert verdicts(samples(1)) == [True]


def test_the_leak_that_it_tells_to_find_is_found():
    """What stands in the verdict is true: that much and a little more is found, half is not."""
    [growth, _] = vitals.growths(samples(6))
    assert growth.allowed == ALLOWED
    finds = ALLOWED / MIB / growth.seconds * 3600
    assert f"a leak of more than {finds:.1f} MiB an hour would be found" in str(growth)
    assert verdicts(samples(6, each=finds * 1.2)) == [False, True]
    assert verdicts(samples(6, each=finds / 2)) == [True, True]


def test_what_one_life_leaves_to_the_next_is_found():
    """Each process is flat in itself, and begins with more than the one before."""
    assert verdicts(samples(6, every=1.0)) == [True, False]


def test_those_who_are_many_are_not_compared():
    """A crowd that comes for a while takes memory, and is no leak."""
    found = samples(6)
    crowd = [
        Sample(**{**vars(one), "people": 400, "memory": one.memory + 30 * MIB})
        if one.seconds > 3200
        else one
        for one in found
    ]
    assert verdicts(crowd) == [True, True]


def test_too_little_to_compare():
    """It is said, and not taken for flat."""
    with pytest.raises(ValueError, match="too little to compare"):
        vitals.growths(samples(6)[:3])


def test_figures_and_picture(tmp_path):
    """They are read as they were written, and every restart is in the picture."""
    found = samples(6)
    vitals.write(tmp_path / "soak.csv", found)
    assert vitals.read(tmp_path / "soak.csv") == found
    marks = [one.get("class") or "" for one in ET.fromstring(timeline.draw(found)).iter()]
    assert sum("restart" in one for one in marks) == 5
    assert sum("compared" in one for one in marks) == 2


class Room:
    """A room where ann talks, and bob hears what a test has him hear."""

    def __init__(self):
        self.ledger = Ledger()
        self.ledger.enters("ann")
        self.lines = [self.ledger.next_line("ann", "hello") for _ in range(4)]
        self.ear = Ear("bob", self.ledger, is_prompt=True)
        self.ear.hears(Heard("joined", "ann", ""))

    def hears(self, *numbers, **how):
        for number in numbers:
            self.ear.hears(Heard("said", "ann", self.lines[number], **how))


@pytest.fixture
def room():
    return Room()


def test_who_hears_everything(room):
    """Live or as what was missed, and the past again when it is asked for."""
    room.hears(0, 1)
    room.hears(0, 1, 2, is_past=True)
    room.hears(3)
    assert room.ear.misses("ann") == 0
    room.ledger.leaves("ann")
    room.ear.hears(Heard("left", "ann", ""))
    assert room.ledger.deliveries == 4
    assert len(room.ledger.delays) == 3


@pytest.mark.parametrize("numbers", [(1,), (0, 2), (0, 0), (0, 1, 0), (1, 0)])
def test_a_line_that_went_astray(room, numbers):
    """Lost, doubled, or out of order: it is noticed."""
    with pytest.raises(AstrayError, match=r"bob heard #. of ann where #. should come"):
        room.hears(*numbers)


def test_a_gap_in_what_was_missed(room):
    """Who comes back has to be shown all of it."""
    room.hears(0)
    with pytest.raises(AstrayError):
        room.hears(2, is_past=True)


def test_more_was_missed_than_is_shown(room):
    """Who comes back is told so: nothing went astray."""
    room.hears(0)
    room.ear.hears(Heard("answer", "", "> you were gone for 9 s, and missed at least 200 lines:"))
    room.hears(2, is_past=True)
    room.hears(3)
    assert room.ear.misses("ann") == 0


def test_what_was_on_its_way(room):
    """Who was cut off may have missed it; what comes after that comes in order."""
    room.hears(0)
    room.ear.is_cut_off()
    room.hears(2)
    with pytest.raises(AstrayError):
        room.hears(2)


def test_last_lines_that_never_came(room):
    """Who goes in order has been heard to the end; who stays is, too, when all is over."""
    room.hears(0, 1)
    assert room.ear.misses("ann") == 2
    room.ledger.leaves("ann")
    with pytest.raises(AstrayError, match="bob heard 2 lines of ann, who had said 4"):
        room.ear.hears(Heard("left", "ann", ""))


def test_witnesses_who_hear_two_orders():
    """Two who say nothing hear the same, however far one of them is behind."""
    witnesses = Witnesses()
    one, two = Heard("said", "ann", "1"), Heard("said", "bob", "2")
    for who, heard in (("x", one), ("x", two), ("y", one), ("y", two), ("y", one)):
        witnesses.hears(who, heard)
    with pytest.raises(AstrayError):
        witnesses.hears("x", two)


def soak(directory: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run it for half a minute."""
    need("openssl")
    need("ssh")
    need_module("autobahn")
    need_module("bcrypt")
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.5", "--out", str(directory)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.mark.real
@pytest.mark.long
def test_a_soak_of_a_chat_that_leaks(tmp_path):
    """A megabyte for each who comes does not go unnoticed, and nothing else is wrong."""
    (tmp_path / "sitecustomize.py").write_text(LEAKS)
    done = soak(tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "NOT FLAT: within the last life" in done.stdout
    assert "complaints" not in done.stdout
    with (tmp_path / "soak.csv").open() as file:
        lives = [int(row["life"]) for row in csv.DictReader(file)]
    assert lives == sorted(lives)
    assert len({*lives}) == 2
    assert ET.parse(tmp_path / "soak.svg").getroot().tag.endswith("svg")
