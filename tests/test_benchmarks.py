"""The benchmarks measure what they say, and give no figure for a line that went astray."""

import json
import re
import socket
import socketserver
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from docutils import nodes
from docutils.core import publish_doctree
from real import SECONDS, need

pytestmark = [pytest.mark.real, pytest.mark.long]

ROOT = Path(__file__).parent.parent

Tamper = Callable[[list[bytes]], list[bytes]]
"""Gets all lines that one member should have had, and gives what they hear of the last."""


def faithful(lines: list[bytes]) -> list[bytes]:
    return lines[-1:]


def loses(lines: list[bytes]) -> list[bytes]:
    return [] if len(lines) == 5 else lines[-1:]


def falls_silent(lines: list[bytes]) -> list[bytes]:
    return [] if len(lines) >= 5 else lines[-1:]


def doubles(lines: list[bytes]) -> list[bytes]:
    return lines[-1:] * 2 if len(lines) == 5 else lines[-1:]


def swaps(lines: list[bytes]) -> list[bytes]:
    if len(lines) == 5:
        return []
    return [lines[5], lines[4]] if len(lines) == 6 else lines[-1:]


def changes(lines: list[bytes]) -> list[bytes]:
    return [lines[-1].replace(b"xx\r", b"xy\r")]


def shortens(lines: list[bytes]) -> list[bytes]:
    return [lines[-1].replace(b"xx\r", b"x\r")]


class People(socketserver.ThreadingTCPServer):
    """A chat of one room, which tampers with what the first who entered hears."""

    daemon_threads = True

    def __init__(self, tamper: Tamper) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.tamper = tamper
        self.members: list[Conversation] = []
        self.lines: list[bytes] = []
        self.lock = threading.Lock()

    def say(self, speaker: "Conversation", line: bytes) -> None:
        with self.lock:
            self.lines.append(line)
            for member in self.members:
                if member is not speaker:
                    heard = self.tamper if member is self.members[0] else faithful
                    member.show(*(b"> someone: " + one for one in heard(self.lines)))


class Conversation(socketserver.StreamRequestHandler):
    """One person there."""

    server: People

    def handle(self) -> None:
        try:
            for line in self.rfile:
                self.take(line)
        except OSError:
            pass  # the load leaves at once when something is wrong

    def take(self, line: bytes) -> None:
        if line.startswith(b"/nick"):
            self.show(b"> all right, I will call you so\r\n")
        elif line.startswith(b"/join"):
            self.server.members.append(self)
            self.show(b"> welcome to r0\r\n", b"> here: you\r\n")
        else:
            self.server.say(self, line)

    def show(self, *lines: bytes) -> None:
        self.request.sendall(b"".join(lines), socket.MSG_NOSIGNAL)

    def finish(self) -> None:
        """Leave what is not written: nobody is there to read it."""
        self.rfile.close()


@contextmanager
def people(tamper: Tamper) -> Iterator[int]:
    """Give the port of such a chat."""
    with People(tamper) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the load; it must please a compiler that is strict."""
    program = tmp_path_factory.mktemp("load") / "load"
    strict = ["-O2", "-Wall", "-Wextra", "-Werror"]
    source = ROOT / "benchmarks" / "load.c"
    subprocess.run([need("cc"), *strict, "-o", program, source], check=True, timeout=60)
    return program


def play(load: Path, port: int, *settings: str) -> "subprocess.CompletedProcess[str]":
    """Have three members come in, one after the other, and their talkers talk."""
    words = [load, "chat", str(port), "talk", "members=3", "at_once=1", *settings]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=SECONDS)


def test_faithful_server(load: Path):
    """Figures come from a server that keeps its promises, and they count each line once."""
    with people(faithful) as port:
        played = play(load, port, "window=4", "talkers=2", "milliseconds=200")
    assert played.returncode == 0, played.stderr
    figures = json.loads(played.stdout)
    assert figures["deliveries"] == 4 * figures["lines"] > 0


@pytest.mark.parametrize(
    ("tamper", "complaint"),
    [
        (loses, "u0 heard line 5 of talker 0 where 4 should come: lost, or out of order"),
        (falls_silent, "u0 heard 4 of 8 lines of talker 0, and nothing more comes"),
        (doubles, "u0 heard line 4 of talker 0 where 5 should come: doubled, or out of order"),
        (swaps, "u0 heard line 5 of talker 0 where 4 should come: lost, or out of order"),
        (changes, "u0 heard line 0 of talker 0, but not as it was said"),
        (shortens, "u0 heard 0 of 4 lines of talker 0, and nothing more comes"),
    ],
)
def test_tampering_is_noticed(load: Path, tamper: Tamper, complaint: str):
    """A line that is lost, doubled, out of order or changed for one member gives no figure."""
    with people(tamper) as port:
        played = play(load, port, "window=4", "patience=1")
    assert (played.returncode, played.stdout) == (1, "")
    assert played.stderr == f"{complaint}\n"


def test_one_order_of_talkers(load: Path):
    """Members who hear two talkers in different orders give no figure."""
    with people(swaps) as port:
        played = play(load, port, "window=1", "talkers=2")
    assert (played.returncode, played.stdout) == (1, "")
    assert re.fullmatch("u0 and u[12] heard the talkers in different orders\n", played.stderr)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the short form, and give the folder with what came out."""
    need("cc")
    folder = tmp_path_factory.mktemp("out")
    command = [sys.executable, "-m", "benchmarks", "--quick", "--servers", "tcpchat"]
    command += ["--scenarios", "pipelined,latency", "--out", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=4 * SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_figures(out: Path):
    """The figures of every run are kept, by scenario, case and server."""
    scenarios = json.loads((out / "figures.json").read_text())["scenarios"]
    found = {name: [*cases.values()] for name, cases in scenarios.items()}
    for name, cases, key in (("pipelined", 2, "deliveries_per_s"), ("latency", 1, "p999_us")):
        assert [[*servers] for servers in found[name]] == [["tcpchat"]] * cases
        assert all(run[key] > 0 for case in found[name] for run in case["tcpchat"])


def test_table(out: Path):
    """The tables are sound, and no cell is empty but the first."""
    settings = {"report_level": 1, "halt_level": 1, "warning_stream": False}
    page = publish_doctree((out / "table.rst").read_text("utf-8"), settings_overrides=settings)
    tables = [*page.findall(nodes.table)]
    assert len(tables) == 2
    for table in tables:
        cells = [entry.astext() for entry in table.findall(nodes.entry)]
        assert cells.count("") == 1
        assert "–" not in cells
    assert len((out / "table.csv").read_text("utf-8").splitlines()) == 1 + 2 + 4


@pytest.mark.parametrize(("name", "points"), [("throughput.svg", 2), ("latency.svg", 4)])
def test_pictures(out: Path, name: str, points: int):
    """Each picture shows every figure, names its axes, and is no wider than it says."""
    picture = ET.parse(out / name).getroot()
    space = "{http://www.w3.org/2000/svg}"
    *_, width, height = (float(word) for word in picture.get("viewBox").split())
    marks = [one for one in picture.iter() if one.get("class") == "mark-0"]
    assert len(marks) == points + 1  # and one that tells whose they are
    for mark in marks:
        assert 0 < float(mark.get("cx")) < width
        assert 0 < float(mark.get("cy")) < height
    texts = {text.text for text in picture.iter(f"{space}text")}
    assert "tcpchat" in texts
    assert texts & {"members in the room", "share of deliveries that took no longer"}
