"""Line charts as SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 96, 28, 92, 64
"""What is kept free around the plot."""

# The picture brings its own background, so it can be read on any page; it turns dark where the
# viewer knows that the reader wants that.
_LIGHT = ("#ffffff", "#1c2128", "#d5dae1", "#0b62c4", "#b54708", "#0f7b4f", "#7a3fb8")
_DARK = ("#14181f", "#e8ebf0", "#39414d", "#6cb0ff", "#ffa657", "#5fd39b", "#cfa3ff")


def _colours(paper: str, ink: str, faint: str, *lines: str) -> str:
    rules = [
        f".paper {{ fill: {paper}; }} text {{ fill: {ink}; }}",
        f".axis {{ stroke: {ink}; }} .grid {{ stroke: {faint}; }}",
        *(
            f".line-{number} {{ stroke: {colour}; }} .mark-{number} {{ fill: {colour}; }}"
            for number, colour in enumerate(lines)
        ),
    ]
    return "\n".join(rules)


STYLE = f"""\
text {{ font: 15px system-ui, "DejaVu Sans", Arial, sans-serif; }}
.title {{ font-size: 18px; font-weight: 600; }}
.line {{ fill: none; stroke-width: 3; stroke-linejoin: round; }}
{_colours(*_LIGHT)}
@media (prefers-color-scheme: dark) {{
{_colours(*_DARK)}
}}"""
MARKS = (
    '<circle class="{shade}" cx="{x}" cy="{y}" r="6"/>',
    '<path class="{shade}" d="M{x} {y}m-5.5 -5.5h11v11h-11z"/>',
    '<path class="{shade}" d="M{x} {y}m0 -7l7 12h-14z"/>',
    '<path class="{shade}" d="M{x} {y}m0 -8l8 8l-8 8l-8 -8z"/>',
)
"""One for each line: colours alone do not tell them apart for everyone."""


@dataclass(frozen=True)
class Chart:
    title: str
    across: str
    up: str
    places: Sequence[str]
    """What stands under the points, from left to right."""
    lines: dict[str, list[float | None]]
    """The values of each, one for each place; none where there is none."""
    logarithmic: bool = False


@dataclass(frozen=True)
class _Scale:
    """Where values are, from bottom to top."""

    ticks: list[float]
    logarithmic: bool

    def y(self, value: float) -> float:
        low, high, value = (self._even(one) for one in (self.ticks[0], self.ticks[-1], value))
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    def _even(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def round_steps() -> list[float]:
    """Give 1, 2, 5, 10, 20, 50 … as far as anything may go."""
    return [digit * 10.0**power for power in range(13) for digit in (1, 2, 5)]


def _scale(chart: Chart) -> _Scale:
    values = [value for line in chart.lines.values() for value in line if value] or [1.0]
    steps = round_steps()
    if chart.logarithmic:
        low = max([step for step in steps if step <= min(values)], default=steps[0])
        high = min(step for step in steps if step >= max(values) and step > low)
        return _Scale([step for step in steps if low <= step <= high], True)
    step = next(step for step in steps if step * 6 >= max(values))
    return _Scale([step * place for place in range(math.ceil(max(values) / step) + 1)], False)


def _x(chart: Chart, place: int) -> float:
    width = WIDTH - LEFT - RIGHT
    return round(LEFT + width * (place + 0.5) / len(chart.places), 1)


def _short(value: float) -> str:
    """Give a number as it stands at an axis."""
    for size, mark in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{mark}"
    return f"{value:g}"


def text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    """Give a line of text."""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def _frame(chart: Chart, scale: _Scale) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    found = [text(LEFT, 34, chart.title, "start", 'class="title"')]
    for tick in scale.ticks:
        y = scale.y(tick)
        found.append(f'<path class="grid" d="M{LEFT} {y}H{right}"/>')
        found.append(text(LEFT - 10, y + 5, _short(tick), "end"))
    found.append(f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>')
    for place, name in enumerate(chart.places):
        found.append(text(_x(chart, place), bottom + 23, name))
    middle = (TOP + bottom) / 2
    found.append(text((LEFT + right) / 2, HEIGHT - 16, chart.across))
    found.append(text(24, middle, chart.up, more=f'transform="rotate(-90 24 {middle})"'))
    return found


def _mark(number: int, x: float, y: float) -> str:
    shape = number % len(MARKS)
    return MARKS[shape].format(x=x, y=y, shade=f"mark-{shape}")


def _line(chart: Chart, scale: _Scale, number: int, values: Sequence[float | None]) -> list[str]:
    points = [
        (_x(chart, place), scale.y(value))
        for place, value in enumerate(values)
        if value is not None
    ]
    if not points:
        return []
    path = "L".join(f"{x} {y}" for x, y in points)
    found = [f'<path class="line line-{number % len(MARKS)}" d="M{path}"/>']
    return found + [_mark(number, x, y) for x, y in points]


def _legend(names: Sequence[str]) -> list[str]:
    found, x = [], LEFT + 8.0
    for number, name in enumerate(names):
        found += [_mark(number, x, 61), text(x + 16, 66, name, "start")]
        x += 60 + 9 * len(name)
    return found


def draw(chart: Chart) -> str:
    """Give a chart as SVG."""
    scale = _scale(chart)
    parts = [*_frame(chart, scale), *_legend(list(chart.lines))]
    for number, values in enumerate(chart.lines.values()):
        parts += _line(chart, scale, number, values)
    return sheet(chart.title, parts)


def sheet(title: str, parts: Sequence[str], more_style: str = "") -> str:
    """Give what is drawn as a picture of its own."""
    body = "\n".join(parts)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">
<title>{escape(title)}</title>
<style>
{STYLE}{more_style}
</style>
<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="10"/>
{body}
</svg>
"""
