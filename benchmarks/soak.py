"""Hours of mixed life, and whether memory stays flat: ``python -m benchmarks.soak --help``."""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import timeline, vitals
from benchmarks.life import Life
from benchmarks.person import Person
from benchmarks.progress import WIDTH
from benchmarks.soaked import Chat
from benchmarks.vitals import Sample

RESTARTS, A_MINUTE = 5, 2.5
"""Hot restarts, or fewer if time is short; all are in the first third, so that a leak has the time
to show in one process."""
SAMPLES = 720
RELOAD_EVERY = 35
"""Samples from one SIGHUP to the next."""
DOORS = ("text", "tls", "json", "web", "ssh")
LOGGED_WRONG = ("#error]", "#critical]", "Traceback")
SHOWN = 20
"""Complaints that are shown."""


class Soak:
    """One run, and what is wrong with it."""

    def __init__(self, chat: Chat, minutes: float, seed: int) -> None:
        self.samples: list[Sample] = []
        self.restarts: list[float] = []
        self.complaints: list[str] = []
        self.life = Life(chat.ports, seed, self.complain)
        self._chat = chat
        self._seconds = minutes * 60
        self._begin = 0.0

    def complain(self, text: str) -> None:
        self.complaints.append(text)
        if len(self.complaints) <= SHOWN:
            _say(f"{self._now():.0f} s: {text}")

    async def run(self) -> None:
        """Play, and look at the chat meanwhile."""
        self._begin = time.monotonic()
        await self._warm_up()
        await self._chat.restart()
        empty = await self._warm_up()
        await self.life.begin()
        self._begin = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sample())
            group.create_task(self._restart())
            group.create_task(self.life.crowd.go_on(self._is_over))
        await self.life.end()
        await self._leave_nothing(empty)
        self._look_at_the_log()
        if code := self._chat.stop():
            self.complain(f"the chat ended with {code}")

    def _now(self) -> float:
        return time.monotonic() - self._begin

    def _is_over(self) -> bool:
        return self._now() >= self._seconds

    async def _warm_up(self) -> int:
        """Have someone use each door; give how many descriptors there are when all are gone.

        What is made for the first who needs it is there from then on.
        """
        host = await self._guest("host", "text")
        for door in DOORS:
            guest = await self._guest(f"guest-{door}", door)
            guest.talks("the first words")
            guest.says("/history", "/search words")
            await guest.quit()
        await host.quit()
        return await self._descriptors_at_rest()

    async def _guest(self, name: str, door: str) -> Person:
        person = Person(name, self.life.ledger, self._wrong)
        await person.come(self._chat.ports, door, "127.0.0.1")
        await person.take_name()
        await person.enter("warm")
        return person

    async def _descriptors_at_rest(self) -> int:
        """Give how many descriptors there are once that does not change."""
        found, since = vitals.descriptors(self._chat.pid), time.monotonic()
        while time.monotonic() - since < 2:
            await asyncio.sleep(0.1)
            if (now := vitals.descriptors(self._chat.pid)) != found:
                found, since = now, time.monotonic()
        return found

    async def _leave_nothing(self, empty: int) -> None:
        """See that everybody's descriptors have gone with them."""
        left = await self._descriptors_at_rest()
        if left != empty:
            self.complain(f"{left} descriptors are open when all have gone, and were {empty}")

    async def _sample(self) -> None:
        every = self._seconds / SAMPLES
        while not self._is_over():
            await asyncio.sleep(max(every, 0.5))
            if self.life.crowd.is_restarting:  # there are two processes
                continue
            self.samples.append(self._chat.sample(self._now(), self.life))
            self._show()
            if len(self.samples) % RELOAD_EVERY == 0:
                self._chat.reload()

    async def _restart(self) -> None:
        restarts = max(1, min(RESTARTS, int(self._seconds / 60 * A_MINUTE)))
        for number in range(1, restarts + 1):
            await asyncio.sleep(self._seconds / 3 * number / restarts - self._now())
            with self.life.crowd.restart():
                await self._chat.restart()
            self.restarts.append(self._now())

    def _look_at_the_log(self) -> None:
        lines = self._chat.log().splitlines()
        for line in [one for one in lines if any(mark in one for mark in LOGGED_WRONG)]:
            self.complain(f"logged: {line}")

    def _wrong(self, error: Exception) -> None:
        self.complain(str(error))

    def _show(self) -> None:
        """Tell how far it is, if a person looks at it."""
        if not sys.stderr.isatty():
            return
        last = self.samples[-1]
        full = min(WIDTH, int(WIDTH * last.seconds / self._seconds))
        sys.stderr.write(
            f"\r\x1b[K{'█' * full}{'░' * (WIDTH - full)} {last.seconds / 60:.1f} min, "
            f"{last.memory / vitals.MIB:.1f} MiB, {last.people} people, {last.said} lines"
        )
        sys.stderr.flush()


def _say(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.soak", description=__doc__.partition(":")[0]
    )
    parser.add_argument("--minutes", type=float, default=60, help="how long (60)")
    parser.add_argument("--seed", type=int, default=1, help="what chance begins with (1)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where figures and picture go")
    return parser.parse_args()


def main() -> int:
    """Run it, and give the exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the chat ends with us
    with tempfile.TemporaryDirectory() as name:
        chat = Chat(Path(name))
        soak = Soak(chat, options.minutes, options.seed)
        try:
            asyncio.run(soak.run())
        finally:
            chat.kill()
            if options.out and soak.samples:  # also of a run that was broken off
                _write(options.out, soak.samples)
    return 0 if _is_well(soak) else 1


def _write(directory: Path, samples: list[Sample]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    vitals.write(directory / "soak.csv", samples)
    (directory / "soak.svg").write_text(timeline.draw(samples), "utf-8")


def _is_well(soak: Soak) -> bool:
    """Show what came out; tell whether it is as it should be."""
    _say(", ".join(f"{number} × {act}" for act, number in sorted(soak.life.crowd.acts.items())))
    _say(f"{soak.life.ledger.total():,} lines; {soak.life.ledger.deliveries:,} deliveries, checked")
    try:
        growths = vitals.growths(soak.samples)
    except ValueError as error:
        soak.complain(str(error))
        growths = []
    for growth in growths:
        _say(str(growth))
    if soak.complaints:
        _say(f"{len(soak.complaints)} complaints")
    return not soak.complaints and all(growth.is_flat for growth in growths)


if __name__ == "__main__":
    sys.exit(main())
