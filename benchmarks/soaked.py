"""The chat of a soak: ``twistd`` with a door of each kind, seen from outside."""

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path

from benchmarks import vitals
from benchmarks.doors import Ports
from benchmarks.life import Life
from benchmarks.measure import free_port, wait_for
from benchmarks.servers import twistd
from benchmarks.vitals import Sample

WENT_ON = "connections, "
"""What the next process logs of those whom it was given."""
KEPT_LINES = 400
"""Of each room.  There are that many within a minute: so the first life is like the others, whose
caches hold more of a state file the more there is in it."""


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
                    *("--keep-lines", str(KEPT_LINES), "--state", "chat.sqlite"),
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
