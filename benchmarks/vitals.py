"""How a process is: what it holds, and whether it holds more and more."""

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import median

from benchmarks.measure import resident

MIB = 1 << 20
ALLOWED = 2 * MIB
"""Bytes by which memory may differ between two times that are compared: what the noise may be."""
USUAL = 0.25
"""The share by which the number of people may differ from the usual one in what is compared."""


@dataclass(frozen=True)
class Sample:
    """How the chat was at one moment."""

    seconds: float
    life: int
    """Which process it was: 1, and one more with each hot restart."""
    memory: int
    """Bytes resident: the chat, and the first process that watches it."""
    descriptors: int
    threads: int
    people: int
    state: int
    """Bytes in the state file, with what is beside it."""
    p99: float
    """Milliseconds that 99 of 100 of the latest deliveries took, at most."""
    said: int
    """Lines until then."""


@dataclass(frozen=True)
class Growth:
    """By how much memory differs between two times that should be alike."""

    title: str
    early: float
    late: float
    """Bytes, each a median."""
    seconds: float
    """From the one to the other."""

    @property
    def grown(self) -> float:
        return self.late - self.early

    @property
    def is_flat(self) -> bool:
        return self.grown <= ALLOWED

    def __str__(self) -> str:
        finds = ALLOWED / MIB / self.seconds * 3600
        return (
            f"{'flat' if self.is_flat else 'NOT FLAT'}: {self.title}: {self.early / MIB:.2f} MiB, "
            f"then {self.late / MIB:.2f}, {self.grown / MIB:+.2f} in {self.seconds / 60:.1f} minutes; "
            f"a leak of more than {finds:.1f} MiB an hour would be found"
        )


def family(pid: int) -> list[int]:
    """Give a process and all that it has begun, the youngest last."""
    found = [pid]
    for one in found:
        children = Path(f"/proc/{one}/task/{one}/children").read_text().split()
        found += [int(child) for child in children]
    return found


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def memory(pids: Iterable[int]) -> int:
    return sum(resident(pid) for pid in pids)


def size(state: Path) -> int:
    """Give the bytes of a state file and of those beside it."""
    return sum(one.stat().st_size for one in state.parent.glob(f"{state.name}*"))


def growths(samples: Sequence[Sample]) -> list[Growth]:
    """Compare what should be alike: the last life with itself, and each life with those before."""
    usual = median(sample.people for sample in samples)
    alike = [one for one in samples if abs(one.people - usual) <= USUAL * usual]
    lives = _lives(alike)
    found = [_within(lives[-1])]
    if len(lives) > 1:
        found.append(_across(lives))
    return found


def quarters(life: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """Give the second and the last quarter of a life: the first is for what is made but once."""
    begin, end = life[0].seconds, life[-1].seconds
    quarter = (end - begin) / 4
    second = [one for one in life if begin + quarter <= one.seconds < begin + 2 * quarter]
    return second, [one for one in life if one.seconds >= end - quarter]


def _within(life: Sequence[Sample]) -> Growth:
    return _growth("within the last life", *quarters(life))


def _across(lives: Sequence[Sequence[Sample]]) -> Growth:
    """Compare the first life with the last, at the same age."""
    ages = min(life[-1].seconds - life[0].seconds for life in lives)
    first, last = (
        [one for one in life if ages / 2 <= one.seconds - life[0].seconds <= ages]
        for life in (lives[0], lives[-1])
    )
    return _growth(f"from life to life, over {len(lives) - 1} restarts", first, last)


def _growth(title: str, early: Sequence[Sample], late: Sequence[Sample]) -> Growth:
    seconds = median(one.seconds for one in late) - median(one.seconds for one in early)
    return Growth(
        title, median(one.memory for one in early), median(one.memory for one in late), seconds
    )


def _lives(samples: Sequence[Sample]) -> list[list[Sample]]:
    found: dict[int, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.life, []).append(sample)
    return [found[life] for life in sorted(found)]


def write(path: Path, samples: Iterable[Sample]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(field.name for field in fields(Sample))
        rows.writerows(astuple(sample) for sample in samples)


def read(path: Path) -> list[Sample]:
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Sample(**{one.name: one.type(row[one.name]) for one in fields(Sample)})
            for row in csv.DictReader(file)
        ]
