"""How a process is: what it holds, and whether it holds more and more."""

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import median
from typing import get_type_hints

from benchmarks.measure import resident

MIB = 1 << 20
ALLOWED = 2 * MIB
"""Bytes by which memory may grow between two times that are compared: what the noise may be."""
YOUNG, ALLOWED_YOUNG = 300.0, 4 * MIB
"""Seconds in which a process still fills its caches, and bytes by which it may grow meanwhile."""
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
    """Bytes, which are there at three of four moments, or more."""
    seconds: float
    """From the one to the other."""
    allowed: float
    """Bytes."""

    @property
    def grown(self) -> float:
        return self.late - self.early

    @property
    def is_flat(self) -> bool:
        return self.grown <= self.allowed

    def __str__(self) -> str:
        verdict = "flat" if self.is_flat else "NOT FLAT"
        finds = self.allowed / MIB / self.seconds * 3600
        return (
            f"{verdict}: {self.title}: {self.early / MIB:.2f} MiB, then {self.late / MIB:.2f} "
            f"after {self.seconds / 60:.1f} minutes; "
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
    """Give how many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid: int) -> int:
    """Give how many threads a process has."""
    return len(os.listdir(f"/proc/{pid}/task"))


def memory(pids: Iterable[int]) -> int:
    """Give the bytes that are resident of some processes."""
    return sum(resident(pid) for pid in pids)


def size(state: Path) -> int:
    """Give the bytes of a state file and of those beside it."""
    return sum(one.stat().st_size for one in state.parent.glob(f"{state.name}*"))


def growths(samples: Sequence[Sample]) -> list[Growth]:
    """Compare what should be alike: the last life with itself, and the first life with the last.

    :raises ValueError: there is too little to compare.
    """
    lives = _lives(samples)
    found = [("within the last life", *quarters(lives[-1]))]
    if len(lives) > 1:
        title = f"from life to life, over {len(lives) - 1} restarts"
        found.append((title, *_of_one_age(lives[0], lives[-1])))
    usual = median(sample.people for sample in samples)
    begin = lives[-1][0].seconds
    return [
        _growth(title, _alike(early, usual), _alike(late, usual), begin)
        for title, early, late in found
    ]


def quarters(life: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Give the second and the last quarter of a life: the first is for what is made but once."""
    quarter = len(life) // 4
    return [*life[quarter : 2 * quarter]], [*life[-quarter:]]


def _of_one_age(
    first: Sequence[Sample], last: Sequence[Sample]
) -> tuple[list[Sample], list[Sample]]:
    """Give the second half of a life, and what is as old of another."""
    length = min(len(first), len(last))
    return [*first[length // 2 : length]], [*last[length // 2 : length]]


def _alike(samples: Sequence[Sample], usual: float) -> list[Sample]:
    """Leave out when more people were there than usual, or fewer."""
    return [one for one in samples if abs(one.people - usual) <= USUAL * usual]


def _growth(title: str, early: Sequence[Sample], late: Sequence[Sample], begin: float) -> Growth:
    """
    :param begin: of the last life, in seconds.
    """
    if not early or not late:
        raise ValueError(f"{title}: too little to compare")
    seconds = median(one.seconds for one in late) - median(one.seconds for one in early)
    is_young = early[0].seconds < begin + YOUNG
    allowed = ALLOWED_YOUNG if is_young else ALLOWED
    return Growth(title, floor(early), floor(late), seconds, allowed)


def floor(samples: Sequence[Sample]) -> float:
    """Give the lower quartile of the memory: what comes on top for a moment does not count."""
    return sorted(one.memory for one in samples)[len(samples) // 4]


def _lives(samples: Sequence[Sample]) -> list[list[Sample]]:
    found: dict[int, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.life, []).append(sample)
    return [found[life] for life in sorted(found)]


def write(path: Path, samples: Iterable[Sample]) -> None:
    """Write samples as a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(field.name for field in fields(Sample))
        rows.writerows(astuple(sample) for sample in samples)


def read(path: Path) -> list[Sample]:
    """Read what `write` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        types = get_type_hints(Sample)
        return [
            Sample(**{name: kind(row[name]) for name, kind in types.items()})
            for row in csv.DictReader(file)
        ]
