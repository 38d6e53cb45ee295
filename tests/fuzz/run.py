"""Look for bytes of which something does not hold: ``PYTHONPATH=tests python -m fuzz.run --help``.

Each target is tried by atheris, which changes what it knows and keeps what reaches code that
nothing reached before.  With ``--keep`` as much of that goes into the corpus as is needed to reach
the same code; what has a name there, and no number, was put there by hand, and stays.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
WRONG = Path(__file__).parents[2] / "build" / "fuzz"
"""Where bytes are kept of which something does not hold."""
LONGEST = 1500
"""Bytes that are tried at a time."""
FOR_ALL = (f"-max_len={LONGEST}", "-timeout=20", "-rss_limit_mb=1500", "-verbosity=0")


def _options() -> argparse.Namespace:
    targets = sorted(one.name for one in CORPUS.iterdir())
    parser = argparse.ArgumentParser("python -m fuzz.run", description=__doc__.partition(":")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(targets)}")
    parser.add_argument("--seconds", type=int, default=60, help="for each (60)")
    parser.add_argument("--keep", action="store_true", help="take what is new into the corpus")
    options = parser.parse_args()
    for target in options.targets:
        if target not in targets:
            parser.error(f"{target!r} is none of {', '.join(targets)}")
    options.targets = options.targets or targets
    return options


def _engine(target: str, *arguments: str) -> int:
    """Run atheris, which ends its process; give the exit code."""
    command = [sys.executable, "-m", "fuzz.engine", target, *FOR_ALL, *arguments]
    return subprocess.run(command, check=False, cwd=CORPUS.parent.parent).returncode


def _look(target: str, seconds: int, found: Path) -> int:
    """Look for something that does not hold; give the exit code."""
    sys.stdout.write(f"{target}, for {seconds} s\n")
    sys.stdout.flush()
    WRONG.mkdir(parents=True, exist_ok=True)
    there = f"-artifact_prefix={WRONG}/{target}-"
    return _engine(target, f"-max_total_time={seconds}", there, str(found), str(CORPUS / target))


def _keep(target: str, found: Path) -> None:
    """Have in the corpus what has a name there, and what else is needed to reach the same code."""
    kept = CORPUS / target
    numbered = [one for one in kept.iterdir() if one.name.isdigit()]
    with tempfile.TemporaryDirectory() as name:
        least = Path(name)
        for one in {*kept.iterdir()} - {*numbered}:
            shutil.copy(one, least)
        if _engine(target, "-merge=1", "-use_counters=0", name, str(kept), str(found)):
            return
        more = [one.read_bytes() for one in least.iterdir() if not (kept / one.name).exists()]
    for one in numbered:
        one.unlink()
    for number, data in enumerate(sorted(more, key=lambda data: (len(data), data))):
        (kept / f"{number:02}").write_bytes(data)


def main() -> int:
    """Do what was asked for; give the exit code."""
    options = _options()
    failed = []
    for target in options.targets:
        with tempfile.TemporaryDirectory() as name:
            if _look(target, options.seconds, Path(name)):
                failed.append(target)
            if options.keep:
                _keep(target, Path(name))
    if failed:
        sys.stdout.write(f"something does not hold: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
