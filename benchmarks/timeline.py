"""A soak as a picture, from its figures: ``python -m benchmarks.timeline soak.csv > soak.svg``."""

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks import vitals
from benchmarks.picture import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, round_steps, sheet, text
from benchmarks.vitals import MIB, Sample

STYLE = """
.thin { stroke-width: 1.5; }
.restart { stroke-width: 1.5; stroke-dasharray: 4 4; }
.compared { opacity: 0.15; }"""
_WIDE, _HIGH = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM


class _Picture:
    """Where times and bytes are, and what is drawn there."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples
        self._seconds = samples[-1].seconds
        self._most = 1.2 * max(sample.memory for sample in samples) / MIB

    def parts(self) -> list[str]:
        return [*self._frame(), *self._compared(), *self._restarts(), self._memory()]

    def _x(self, seconds: float) -> float:
        return round(LEFT + _WIDE * seconds / self._seconds, 1)

    def _y(self, mebibytes: float) -> float:
        return round(HEIGHT - BOTTOM - _HIGH * mebibytes / self._most, 1)

    def _frame(self) -> list[str]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        found = [f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>']
        for tick in _ticks(self._most):
            found.append(f'<path class="grid" d="M{LEFT} {self._y(tick)}H{right}"/>')
            found.append(text(LEFT - 10, self._y(tick) + 5, f"{tick:g}", "end"))
        for tick in _ticks(self._seconds / 60):
            found.append(text(self._x(60 * tick), bottom + 23, f"{tick:g}"))
        middle = TOP + _HIGH / 2
        found.append(text(LEFT + _WIDE / 2, HEIGHT - 16, "minutes"))
        found.append(text(24, middle, "MiB resident", more=f'transform="rotate(-90 24 {middle})"'))
        return found

    def _memory(self) -> str:
        points = (f"{self._x(one.seconds)} {self._y(one.memory / MIB)}" for one in self._samples)
        return f'<path class="line thin line-0" d="M{"L".join(points)}"/>'

    def _restarts(self) -> list[str]:
        """Draw where another process goes on."""
        times = [two.seconds for one, two in pairwise(self._samples) if one.life != two.life]
        return [
            f'<path class="line-1 restart" d="M{self._x(seconds)} {TOP}v{_HIGH}"/>'
            for seconds in times
        ]

    def _compared(self) -> list[str]:
        """Draw the two times whose memory is compared, with what there is of it."""
        last = [one for one in self._samples if one.life == self._samples[-1].life]
        found = []
        for quarter in vitals.quarters(last):
            left, right = (self._x(one.seconds) for one in (quarter[0], quarter[-1]))
            memory = vitals.floor(quarter) / MIB
            found.append(
                f'<rect class="mark-2 compared" x="{left}" y="{TOP}" '
                f'width="{right - left:.1f}" height="{_HIGH}"/>'
            )
            found.append(text((left + right) / 2, self._y(memory) + 26, f"{memory:.1f} MiB"))
        return found


def _ticks(most: float) -> list[float]:
    """Give round numbers from zero, at most seven."""
    step = next(step for step in [0.1, 0.2, 0.5, *round_steps()] if step * 6 >= most)
    return [step * place for place in range(int(most / step) + 1)]


def draw(samples: Sequence[Sample]) -> str:
    """Give a picture of the memory over time, as SVG."""
    restarts = samples[-1].life - samples[0].life
    title = (
        f"{samples[-1].seconds / 60:.0f} minutes of mixed life: "
        f"{samples[-1].said:,} lines, {restarts} hot restarts"
    )
    remark = "dashed: a hot restart; shaded: what is compared, with its lower quartile"
    heading = [text(LEFT, 34, title, "start", 'class="title"'), text(LEFT, 66, remark, "start")]
    return sheet(title, [*heading, *_Picture(samples).parts()], STYLE)


if __name__ == "__main__":
    sys.stdout.write(draw(vitals.read(Path(sys.argv[1]))))
