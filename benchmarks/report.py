"""What came out: medians and ratios, as tables and files."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import picture
from benchmarks.measure import Figures
from benchmarks.scenarios import PERCENTILES, SPEED, Figure, Scenario

Row = list[str]

NOTHING = "–"
BUSY = 0.95
"""A share of the time of its processor above which the load itself may be the limit."""


@dataclass
class Outcome:
    """What one scenario has brought."""

    name: str
    scenario: Scenario
    servers: list[str]
    runs: dict[tuple[str, str], list[Figures]] = field(default_factory=dict)
    """The figures of each run, by case and server."""

    def add(self, case: str, server: str, figures: Figures) -> None:
        self.runs.setdefault((case, server), []).append(figures)

    def median(self, case: str, server: str, key: str) -> float | None:
        runs = self.runs.get((case, server))
        return median(run[key] for run in runs) if runs else None

    def remarks(self) -> list[str]:
        """Tell where the load was as busy as a server can be."""
        return [
            f"{case}, {server}: the load was at its own limit; the server may be faster"
            for (case, server), runs in self.runs.items()
            if median(run.get("load_busy", 0) for run in runs) > BUSY
        ]


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def _ratio(first: float | None, other: float | None) -> str:
    return _number(first / other if first and other else None, 2)


def table(outcome: Outcome) -> list[Row]:
    """Give the rows of a scenario, with a heading."""
    first, *others = outcome.servers
    heading = ["", "figure", *outcome.servers, *(f"{first} / {other}" for other in others)]
    rows = [heading]
    for case in outcome.scenario.cases:
        for figure in outcome.scenario.figures:
            found = [outcome.median(case, server, figure.key) for server in outcome.servers]
            rows.append(
                [
                    case,
                    _titled(figure),
                    *(_number(one, figure.digits) for one in found),
                    *(_ratio(found[0], one) for one in found[1:]),
                ]
            )
    return rows


def _titled(figure: Figure) -> str:
    return f"{figure.title} ({'more' if figure.more_is_better else 'less'} is better)"


def as_text(outcome: Outcome) -> str:
    """Give a table for a terminal."""
    rows = table(outcome)
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [f"{outcome.name}: {outcome.scenario.title}"]
    for row in rows:
        cells = [
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"  {'  '.join(cells)}".rstrip())
    lines += [f"  ({remark})" for remark in outcome.remarks()]
    return "\n".join(lines)


def as_rst(outcome: Outcome) -> str:
    """Give a table for a page."""
    rows = table(outcome)
    lines = [f".. list-table:: {outcome.name}: {outcome.scenario.title}", "   :header-rows: 1", ""]
    for row in rows:
        for place, cell in enumerate(row):
            lines.append(f"   {'*' if place == 0 else ' '} - {cell}".rstrip())
    lines += ["", *(f"({remark})\n" for remark in outcome.remarks())]
    return "\n".join(lines)


def write(directory: Path, outcomes: Sequence[Outcome], conditions: dict[str, str]) -> None:
    """Write the tables, the figures of every run, and the pictures."""
    directory.mkdir(parents=True, exist_ok=True)
    said = "\n".join(f"* {name}: {value}" for name, value in conditions.items())
    tables = "\n".join(as_rst(outcome) for outcome in outcomes)
    (directory / "table.rst").write_text(f"{said}\n\n{tables}", "utf-8")
    with (directory / "table.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(_flat(outcomes))
    figures = {"conditions": conditions, "scenarios": {one.name: _plain(one) for one in outcomes}}
    (directory / "figures.json").write_text(json.dumps(figures, indent=1), "utf-8")
    for outcome in outcomes:
        if draw := _PICTURES.get(outcome.name):
            name, text = draw(outcome)
            (directory / name).write_text(text, "utf-8")


def _flat(outcomes: Iterable[Outcome]) -> Iterable[Sequence[object]]:
    yield "scenario", "case", "server", "figure", "median", "runs"
    for outcome in outcomes:
        for (case, server), runs in outcome.runs.items():
            for figure in outcome.scenario.figures:
                middle = outcome.median(case, server, figure.key)
                yield outcome.name, case, server, figure.key, middle, len(runs)


def _plain(outcome: Outcome) -> dict[str, dict[str, list[Figures]]]:
    """Give the runs by case, then by server."""
    found: dict[str, dict[str, list[Figures]]] = {}
    for (case, server), runs in outcome.runs.items():
        found.setdefault(case, {})[server] = runs
    return found


def _throughput(outcome: Outcome) -> tuple[str, str]:
    cases = list(outcome.scenario.cases)
    lines = {
        server: [outcome.median(case, server, SPEED.key) for case in cases]
        for server in outcome.servers
    }
    return "throughput.svg", picture.draw(
        picture.Chart(
            "Deliveries a second, one talker who does not wait",
            "members in the room",
            "deliveries a second",
            [case.partition(" ")[0] for case in cases],
            lines,
        )
    )


def _latency(outcome: Outcome) -> tuple[str, str]:
    [case] = outcome.scenario.cases
    lines = {
        server: [outcome.median(case, server, figure.key) for figure in PERCENTILES]
        for server in outcome.servers
    }
    return "latency.svg", picture.draw(
        picture.Chart(
            "From a line to its members: 500 lines a second, 100 members",
            "share of deliveries that took no longer",
            "microseconds, on a logarithmic scale",
            ["50 %", "90 %", "99 %", "99.9 %"],
            lines,
            logarithmic=True,
        )
    )


_PICTURES = {"pipelined": _throughput, "latency": _latency}
"""By the name of the scenario."""
