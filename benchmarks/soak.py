"""Hours of mixed life, and whether memory stays flat: ``python -m benchmarks.soak --help``."""

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time

from pathlib import Path

from benchmarks import timeline, vitals
from benchmarks.doors import Ports
from benchmarks.life import Life
from benchmarks.measure import RunError, free_port, wait_for
from benchmarks.person import Person
from benchmarks.progress import WIDTH
from benchmarks.servers import twistd
from benchmarks.vitals import Growth, Sample

RESTARTS = 5
"""Hot restarts, all in the first third: a leak must have the time to show in one process."""
SAMPLES = 720
RELOAD_EVERY = 35
"""Samples from one SIGHUP to the next."""
DOORS = ("text", "tls", "json", "web", "ssh")
WENT_ON = "connections, "
"""What the next process logs of those whom it was given."""
LOGGED_WRONG = ("#error]", "#critical]", "Traceback")
SHOWN = 20
"""Complaints that are shown."""


class Chat:
    """A chat with a door of each kind, in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.ports = Ports(*(free_port() for _ in range(5)))
        self.life = 1
        _make_certificate(directory)
        at = "tcp:{}:interface=127.0.0.1"
        secure = f"ssl:{self.ports.tls}:privateKey=key.pem:certKey=cert.pem:interface=127.0.0.1"
        with (directory / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(twistd(), "-n", "--pidfile=", "--logfile", "log", "tcpchat"),
                    *("--port", at.format(self.ports.text), "--port", secure),
                    *("--json", at.format(self.ports.json), "--web", at.format(self.ports.web)),
                    *("--ssh", at.format(self.ports.ssh), "--sendq", "65536"),
                    *("--flood", "10/50"),
                    *("--keep-lines", "2000", "--state", "chat.sqlite"),
                ],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            wait_for(self.ports.text, self._process, directory / "output")
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """The process that is the chat now."""
        return vitals.family(self._process.pid)[-1]

    def log(self) -> str:
        return (self._directory / "log").read_text("utf-8", "replace")

    async def restart(self) -> None:
        """Have the code replaced, and wait until another process has gone on.

        :raises TimeoutError: none has.
        """
        went_on = self.log().count(WENT_ON)
        self._process.send_signal(signal.SIGUSR2)
        async with asyncio.timeout(60):
            while self.log().count(WENT_ON) == went_on or len(vitals.family(self._process.pid)) > 2:
                await asyncio.sleep(0.05)
        self.life += 1

    def reload(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def sample(self, seconds: float, life: Life) -> Sample:
        pids = vitals.family(self._process.pid)
        delays = sorted(life.ledger.delays) or [0.0]
        return Sample(
            round(seconds, 2),
            self.life,
            vitals.memory(pids),
            vitals.descriptors(pids[-1]),
            vitals.threads(pids[-1]),
            life.people,
            vitals.size(self._directory / "chat.sqlite"),
            round(delays[len(delays) * 99 // 100] * 1000, 3),
            life.ledger.total(),
        )

    def stop(self) -> int:
        """Stop it in order, and give the exit code."""
        self._process.terminate()
        return self._process.wait(30)

    def kill(self) -> None:
        """See to it that nothing is left."""
        with contextlib.suppress(FileNotFoundError):
            for pid in vitals.family(self._process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait(30)


def _make_certificate(directory: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"),
        ],
        cwd=directory,
        check=True,
        capture_output=True,
    )


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
            group.create_task(self.life.go_on(self._is_over))
        await self.life.end()
        await self._leave_nothing(empty)
        self._look_at_the_log()
        if code := self._chat.stop():
            self.complain(f"the chat ended with {code}")

    def growths(self) -> list[Growth]:
        return vitals.growths(self.samples)

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
            self.samples.append(self._chat.sample(self._now(), self.life))
            self._show()
            if len(self.samples) % RELOAD_EVERY == 0:
                self._chat.reload()

    async def _restart(self) -> None:
        for number in range(1, RESTARTS + 1):
            await asyncio.sleep(self._seconds / 3 * number / RESTARTS - self._now())
            with self.life.restart():
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
    with tempfile.TemporaryDirectory() as name:
        chat = Chat(Path(name))
        try:
            soak = Soak(chat, options.minutes, options.seed)
            asyncio.run(soak.run())
        finally:
            chat.kill()
    growths = soak.growths()
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        vitals.write(options.out / "soak.csv", soak.samples)
        picture = timeline.draw(soak.samples)
        (options.out / "soak.svg").write_text(picture, "utf-8")
    _say(", ".join(f"{number} × {act}" for act, number in sorted(soak.life.acts.items())))
    _say(f"{soak.life.ledger.total()} lines, {soak.life.ledger.deliveries} deliveries checked")
    for growth in growths:
        _say(str(growth))
    if soak.complaints:
        _say(f"{len(soak.complaints)} complaints")
    return 1 if soak.complaints or not all(growth.is_flat for growth in growths) else 0


if __name__ == "__main__":
    sys.exit(main())
