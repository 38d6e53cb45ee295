"""One run: a server that is fresh, and a load that is played to it."""

import contextlib
import json
import os
import re
import resource
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.scenarios import Scenario, Settings
from benchmarks.servers import Server

Figures = dict[str, float]

START_SECONDS = 15
SPARE_DESCRIPTORS = 100

_PROCESSORS = sorted(os.sched_getaffinity(0))
PINNED = len(_PROCESSORS) > 1
"""Whether server and load have a processor each."""


class RunError(Exception):
    """A run gave no figures: the server did not start, or not every line arrived."""


def compile_load(directory: Path) -> Path:
    """Compile the load, and give the program."""
    program = directory / "load"
    source = Path(__file__).with_name("load.c")
    subprocess.run(["cc", "-O2", "-o", str(program), str(source)], check=True)
    return program


def allow_descriptors(scenario: Scenario) -> str:
    """Raise the limit of descriptors as far as a scenario wants.

    :return: what is missing, or nothing.
    """
    people = (one.get("members", 0) + one.get("talkers", 1) for one in scenario.cases.values())
    wanted = max(people) + SPARE_DESCRIPTORS
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(wanted, most), most):  # root may go beyond the hard limit
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            break
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if wanted <= allowed:
        return ""
    return f"needs {wanted:,} descriptors, and `ulimit -Hn` allows {allowed:,}"


def run(load: Path, server: Server, scene: str, settings: Settings) -> Figures:
    """Start the server, play the scene to it, and give the figures of the load.

    :raises RunError: if there are none.
    """
    with tempfile.TemporaryDirectory() as directory, _started(server, directory) as (port, pid):
        before = resident(pid)
        held: list[int] = []
        told = {"held": lambda: held.append(resident(pid) - before)}
        with _on_processor(1):
            figures = play(load, (server.protocol, str(port)), scene, settings, told)
    if held:
        figures["bytes_each"] = held[0] / figures["connections"]
    return figures


def play(
    load: Path,
    server: tuple[str, str],
    scene: str,
    settings: Settings,
    told: Mapping[str, Callable[[], object]],
) -> Figures:
    """Play a scene, and give the figures of the load.

    :param server: the protocol, and the port or ports, as ``load.c`` takes them.
    :param told: what is to be done when the load tells how far it is.
    :raises RunError: if there are none.
    """
    words = [f"{name}={value}" for name, value in settings.items()]
    playing = subprocess.Popen(
        [str(load), *server, scene, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with playing:
        try:
            return _listen(playing, told)
        finally:
            playing.kill()


def _listen(playing: "subprocess.Popen[str]", told: Mapping[str, Callable[[], object]]) -> Figures:
    """Read what the load tells."""
    assert playing.stdin
    assert playing.stdout
    assert playing.stderr
    last = ""
    for line in playing.stdout:
        if do := told.get(line.strip()):
            do()
        if line == "held\n":
            playing.stdin.close()
        last = line
    if playing.wait():
        raise RunError(playing.stderr.read().strip() or f"the load ended with {playing.returncode}")
    figures: Figures = json.loads(last)
    return figures


@contextlib.contextmanager
def _on_processor(place: int) -> Iterator[None]:
    """Have what is started meanwhile run on one processor."""
    if PINNED:
        os.sched_setaffinity(0, {_PROCESSORS[place]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, _PROCESSORS)


@contextlib.contextmanager
def _started(server: Server, directory: str) -> Iterator[tuple[int, int]]:
    """Start a server, and give its port and its process."""
    port = free_port()
    fill = {"port": port, "directory": directory}
    for name, text in server.files.items():
        Path(directory, name).write_text(text.format(**fill))
    output = Path(directory, "output")
    with output.open("wb") as file, _on_processor(0):
        process = subprocess.Popen(
            [word.format(**fill) for word in server.command],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        wait_for(port, process, output)
        yield port, process.pid
    finally:
        process.kill()  # in order, each would be told that all others leave
        process.wait()


def free_port() -> int:
    """Give the number of a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def wait_for(port: int, process: "subprocess.Popen[bytes]", output: Path) -> None:
    """Wait until a server listens.

    :raises RunError: it does not.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            told = output.read_text(errors="replace").strip()
            raise RunError(f"the server ended with {process.returncode}: {told[-300:]}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
    raise RunError(f"the server does not listen after {START_SECONDS} s")


def resident(pid: int) -> int:
    """Give the memory of a process, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+([0-9]+) kB", status)
    return int(found[1]) * 1024 if found else 0
