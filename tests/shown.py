"""A page is done as it is written: what is shown there has to happen.

In a block of ``.. code:: console``

* ``$ COMMAND`` is run by bash, in one directory for the page, and has to end with exit code 0;
* the lines below are what it prints.  ``...`` within a line is anything, and alone any lines;
* a command whose last line is ``...`` may go on: it is left to run;
* after ``$ telnet`` somebody is at a terminal.  The class of the block tells who: further blocks of
  theirs go on there.  Lines without a mark are typed.

A block with a ``:name:`` is a file.  The comment ``.. not run: WHY`` is for the block below it.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from shutil import copytree
from time import monotonic, sleep

import pytest
from docutils import nodes
from real import SECONDS, Process, Terminal, free_port, need, wait_until
from redis_server import redis_program

ROOT = Path(__file__).parent.parent
PORTS = ("8888", "8889", "8080", "2222", "9100", "6697", "6379", "7401", "7402", "7403")
PROGRAMS = ("nc", "ssh", "openssl", "curl", "sqlite3", "haproxy", "redis-server")
LOOKS = ("grep ", "ssh ", "sqlite3 -readonly ")
"""Commands that change nothing: they are repeated until they show what they should."""
SSH = """#!/bin/sh
exec {ssh} -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \\
    -o IdentityAgent=none -o PubkeyAuthentication=no "$@"
"""


def consoles(page: nodes.document) -> Iterator[nodes.literal_block]:
    """Give the blocks that are done, in order."""
    for block in page.findall(nodes.literal_block):
        if ("console" in block["classes"] or block["names"]) and not why_not(block):
            yield block


def why_not(block: nodes.literal_block) -> str:
    """Give the reason why a block is not run; empty if it is."""
    place = block.parent.index(block)
    before = block.parent[place - 1] if place else None
    if isinstance(before, nodes.comment) and before.astext().startswith("not run: "):
        return before.astext().removeprefix("not run: ")
    return ""


def pattern(lines: Sequence[str]) -> str:
    """Give what matches the lines that are shown."""
    whole = "".join(f"{line}\n" for line in lines)
    anything = {"...\n": r"(?:.*\n)*", "...": ".*"}
    parts = re.split(r"(?m)(^\.\.\.\n|\.\.\.)", whole)
    return "".join(anything.get(part) or re.escape(part) for part in parts)


def steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """Take a block apart: commands, and what each prints."""
    lines = text.splitlines()
    while lines:
        command = lines.pop(0).removeprefix("$ ")
        while not is_whole(command):
            command += f"\n{lines.pop(0)}"
        output = []
        while lines and not lines[0].startswith("$ "):
            output.append(lines.pop(0))
        yield command, output


def is_whole(command: str) -> bool:
    with suppress(ValueError):
        return bool(shlex.split(command))
    return False


class Page:
    """Someone who does what a page says, in a directory of their own."""

    def __init__(self, directory: Path, *, installs: bool = False) -> None:
        """
        :param installs: whether the environment is made as the page has it; else ours is used.
        """
        self.directory = directory
        self._installs = installs
        self._ports = {port: str(free_port()) for port in PORTS}
        for name in ("deploy", "examples"):
            copytree(ROOT / name, directory / name, ignore=lambda *_: ["__pycache__"])
            for file in filter(Path.is_file, (directory / name).rglob("*")):
                file.write_text(self._here(file.read_text()).replace("bind :", "bind 127.0.0.1:"))
        if installs:
            for name in ("twisted_chat", "twisted"):
                copytree(ROOT / name, directory / name)
            for name in ("pyproject.toml", "README.rst", "LICENSE"):
                (directory / name).write_bytes((ROOT / name).read_bytes())
        else:
            (directory / ".venv").symlink_to(sys.prefix)
        self._people: dict[str, Terminal] = {}
        self._shell = Shell(directory)

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_: object) -> None:
        for terminal in self._people.values():
            terminal.__exit__()
        self._shell.end()

    def does(self, page: nodes.document) -> None:
        """Do all that the page says."""
        for block in consoles(page):
            text = self._here(block.astext())
            who = " ".join(one for one in block["classes"] if one not in ("code", "console"))
            if block["names"]:
                (self.directory / block["names"][0]).write_text(f"{text}\n")
            elif who:
                self._talks(who, text.splitlines())
            elif self._installs or "pip install" not in text:
                self._runs(text)

    def _here(self, text: str) -> str:
        """Have a text name ports that are free, and files that are ours."""
        ports = "|".join(PORTS)
        text = re.sub(rf"\b({ports})\b", lambda found: self._ports[found[0]], text)
        return text.replace("/run/tcpchat/", f"{self.directory}/")

    def _runs(self, text: str) -> None:
        for command, output in steps(text):
            expected = pattern(output)
            goes_on = output[-1:] == ["..."] and not command.startswith(LOOKS)
            self._shell.does(at_home(command), expected, goes_on=goes_on)

    def _talks(self, who: str, lines: list[str]) -> None:
        """Have somebody type what is typed, and see what is shown."""
        if lines[0].startswith("$ telnet "):
            if who in self._people:
                self._people.pop(who).__exit__()
            _, program, host, port = lines.pop(0).split()
            self._people[who] = Terminal(need(program), host, port)
        terminal = self._people[who]
        hidden = skips = False
        for line in lines:
            if line == "...":
                skips = True
            elif line.startswith(("> ", "err: ", "Connection closed")):
                expects(terminal, line, skips)
                skips, hidden = False, line.startswith("> type the password")
            elif hidden:
                terminal.press(f"{line}\r".encode())
                terminal.expect("")
                hidden = False
            else:
                terminal.types(line)


def expects(terminal: Terminal, line: str, skips: bool) -> None:
    """See a line, after any others if these are skipped."""
    expected = pattern([line])
    seen = [terminal.sees()]
    while skips and not re.fullmatch(expected, f"{seen[-1]}\n"):
        seen.append(terminal.sees())
    assert re.fullmatch(expected, f"{seen[-1]}\n"), f"expected {line!r}, not {seen[-1]!r}"


def at_home(command: str) -> str:
    """Have a chat listen on the loopback interface alone."""
    if "tcpchat" not in command:
        return command
    command = re.sub(
        r"--(port|json|web|ssh|metrics) ([0-9]+)", r"--\1 tcp:\2:interface=127.0.0.1", command
    )
    return re.sub(r" ssl:([0-9]+):", r" ssl:\1:interface=127.0.0.1:", command)


class Shell(Process):
    """A bash that is given one command after the other."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._programs = directory / "programs"
        self._programs.mkdir()
        path = f"{self._programs}:{directory}/.venv/bin:{os.environ['PATH']}"
        super().__init__(
            subprocess.Popen(
                ["bash"],
                cwd=directory,
                env={**os.environ, "PATH": path, "HOME": str(directory)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        )
        self._numbers = count()

    def does(self, command: str, expected: str, *, goes_on: bool) -> None:
        """Run a command; it must print what is expected.

        :param goes_on: whether it may run until the end of the page.
        """
        for program in PROGRAMS:
            if re.search(rf"(^|[ (|]){program} ", command):
                self._provide(program)
        ending = self._ended_by(command)
        self._starts(command, goes_on=goes_on)
        deadline = monotonic() + SECONDS
        while not self._has_shown(expected, goes_on=goes_on):
            again = command.startswith(LOOKS)
            if monotonic() > deadline or not (goes_on or again):
                pytest.fail(f"$ {command}\n{self._said()}\ndoes not match\n{expected}")
            sleep(0.1)
            if again:
                self._starts(command)
        for process in ending:
            wait_until(lambda process=process: is_gone(process), f"the end of {process}")

    def _provide(self, program: str) -> None:
        """See to it that a program is there; skip the test without it."""
        here = self._programs / program
        if here.exists():
            return
        if program == "ssh":
            here.write_text(SSH.format(ssh=need("ssh")))
            here.chmod(0o755)
        else:
            here.symlink_to(redis_program() if program == "redis-server" else need(program))

    def _has_shown(self, expected: str, *, goes_on: bool) -> bool:
        if goes_on:
            return bool(re.match(expected, self._said()))
        code = self.popen.stdout.readline()  # which comes at the end
        return code == b"0\n" and bool(re.fullmatch(expected, self._said()))

    def _starts(self, command: str, *, goes_on: bool = False) -> None:
        """Have bash run a command, and tell its exit code, unless it goes on."""
        self._output = self._directory / f"output-{next(self._numbers)}"
        then = "&" if goes_on else "; echo $?"
        line = f"{{ {command}\n}} >{self._output} 2>&1 </dev/null {then}\n"
        self.popen.stdin.write(line.encode())
        self.popen.stdin.flush()

    def _said(self) -> str:
        """Give what the last command has printed until now."""
        if not self._output.exists():
            return ""
        return self._output.read_text("utf-8").replace("\r\n", "\n")

    def _ended_by(self, command: str) -> list[int]:
        """Give the processes that a command ends."""
        files = re.findall(r"\$\(cat (\S+)\)", command) if command.startswith("kill $") else []
        return [self._pid(self._directory / name) for name in files]

    def _pid(self, file: Path) -> int:
        return int(file.read_text())

    def end(self) -> None:
        """See to it that nothing of the page is left."""
        left = [self._pid(file) for file in self._directory.glob("*.pid")]
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        for process in left:
            wait_until(lambda process=process: is_gone(process), f"the end of {process}")
        self.popen.stdin.close()
        self.popen.stdout.close()
        super().end()


def is_gone(process: int) -> bool:
    """Tell whether a process has ended, be it that nobody has taken note of it yet."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"
