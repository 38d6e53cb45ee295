"""Compare the chat with other servers: ``python -m benchmarks --help``."""

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import cluster, measure, report
from benchmarks import scenarios as table
from benchmarks.progress import Progress
from benchmarks.report import Outcome
from benchmarks.scenarios import Settings, quick
from benchmarks.servers import COMPARED, SERVERS

SCENARIOS = {**table.SCENARIOS, **cluster.SCENARIOS}
QUICK = (*table.QUICK, "cluster")


def _names(allowed: Sequence[str]) -> Callable[[str], list[str]]:
    """Give what takes a list of names with commas between."""

    def split(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(allowed)}")
        return names

    return split


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__.partition(":")[0])
    parser.add_argument("--rounds", type=int, help="runs of each (5; quick: 1)")
    parser.add_argument(
        "--scenarios",
        type=_names(list(SCENARIOS)),
        metavar="NAME,…",
        help=f"of {', '.join(SCENARIOS)} (all; quick: {', '.join(QUICK)})",
    )
    parser.add_argument(
        "--servers",
        type=_names(COMPARED),
        default=list(COMPARED),
        metavar="NAME,…",
        help=f"of {', '.join(COMPARED)} (all that are installed)",
    )
    parser.add_argument("--quick", action="store_true", help="whether it works, in short")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where tables and pictures go")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.scenarios = options.scenarios or (QUICK if options.quick else list(SCENARIOS))
    return options


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _installed(names: Sequence[str]) -> list[str]:
    found = [name for name in names if SERVERS[name].program]
    for name in names:
        if name not in found:
            _say(f"left out: {name} is not installed")
    return found


def _outcomes(options: argparse.Namespace, programs: Sequence[str]) -> list[Outcome]:
    """Give what is to be measured."""
    outcomes = []
    for name in options.scenarios:
        scenario = quick(SCENARIOS[name]) if options.quick else SCENARIOS[name]
        servers = [one for one in scenario.servers if one.partition(" ")[0] in programs]
        if missing := measure.allow_descriptors(scenario):
            _say(f"left out: {name} {missing}")
        elif name in cluster.SCENARIOS and not cluster.redis_program():
            _say(f"left out: {name} needs redis-server, which is not installed")
        elif servers:
            outcomes.append(Outcome(name, scenario, servers))
    return outcomes


def _conditions(options: argparse.Namespace, programs: Sequence[str]) -> dict[str, str]:
    use = "the server on one, the load on another" if measure.PINNED else "shared by both"
    return {
        "runs": f"{options.rounds}, medians" + (", the short form" if options.quick else ""),
        "processors": f"{os.cpu_count()}, {use}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": f"{platform.python_version()}, Twisted {version('twisted')}",
        **{name: SERVERS[name].version() for name in programs if name != "tcpchat"},
    }


def _measure(load: Path, outcome: Outcome, rounds: int, progress: Progress) -> list[str]:
    """Run one scenario, the servers in turns; give what failed."""
    failures = []
    for _ in range(rounds):
        for case, settings in outcome.scenario.cases.items():
            for server in outcome.servers:
                progress.begin(f"{outcome.name}, {case}: {server}")
                try:
                    outcome.add(case, server, _run(load, outcome, server, settings))
                except measure.RunError as error:
                    failures.append(f"failed: {outcome.name}, {case}, {server}: {error}")
                progress.end()
    return failures


def _run(load: Path, outcome: Outcome, server: str, settings: Settings) -> measure.Figures:
    if outcome.name in cluster.SCENARIOS:
        return cluster.run(load, server, outcome.scenario.scene, settings)
    return measure.run(load, SERVERS[server], outcome.scenario.scene, settings)


def main() -> int:
    """Measure what was asked for; give the exit code."""
    options = _options()
    if not shutil.which("cc"):
        _say("needs a C compiler, by the name of cc")
        return 1
    programs = _installed(options.servers)
    outcomes = _outcomes(options, programs)
    conditions = _conditions(options, programs)
    for name, value in conditions.items():
        _say(f"{name}: {value}")
    runs = sum(len(one.servers) * len(one.scenario.cases) for one in outcomes)
    progress = Progress(runs * options.rounds)
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        load = measure.compile_load(Path(directory))
        for outcome in outcomes:
            failed = _measure(load, outcome, options.rounds, progress)
            progress.hide()
            _say("\n".join(["", report.as_text(outcome), *failed]))
            failures += failed
    if options.out:
        report.write(options.out, outcomes, conditions)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
