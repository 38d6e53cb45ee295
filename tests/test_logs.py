"""The log: one person's story in it, as text and as JSON, and what is never there."""

import json
import re
import signal
import subprocess
import sys
from math import nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real import Chat, Peer, free_port, need, need_module, wait_until
from test_readme import blocks, page
from twisted.logger import LogEvent, Logger, LogLevel
from twisted.python.failure import Failure

from twisted_chat import logs
from twisted_chat.assembly import assemble
from twisted_chat.chat.commands import COMMANDS
from twisted_chat.testing import ManualClock, RecordingClient

AS_JSON = "twisted_chat.logs.as_json"
SECRET = "hunter2hunter2"
OPEN = ["--flood", "off", "--max-per-address", "0"]
LAST = ["passwd", "unregister", "logout", "quit"]
"""The commands after which one is not who one was."""


def event(words: str, *, level: LogLevel = LogLevel.info, **fields: object) -> LogEvent:
    """Give what a logger tells its observer."""
    events: list[LogEvent] = []
    Logger("here", observer=events.append).emit(level, words, **fields)
    return events[0]


# As JSON


def test_a_line_has_all_of_an_event():
    """Time, level, who says it, the words, and what they were made of."""
    told = json.loads(logs.line(event("{a} of {b}", level=LogLevel.warn, a=1, b={"x"}, c=None)))
    assert isinstance(told.pop("time"), float)
    assert told == {
        "level": "warn",
        "namespace": "here",
        "text": "1 of {'x'}",
        "a": 1,
        "b": "{'x'}",
        "c": None,
    }


def test_a_failure_has_its_traceback():
    """It is in the same line."""
    try:
        raise ValueError("a\nb")
    except ValueError:
        line = logs.line(event("{x}", x=nan, log_failure=Failure()))
    told = json.loads(line)
    assert told["traceback"].endswith("ValueError: a\nb\n")
    assert (told["x"], line.count("\n")) == ("nan", 1)


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.text(), st.binary(), st.floats())))
def test_a_line_stays_a_line(fields):
    """Whatever is in an event, it is one line of printable ASCII, which JSON can read."""
    line = logs.line({"log_format": "{a}", "log_level": LogLevel.info, **fields})
    assert line.endswith("\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    assert json.loads(line)["level"] == "info"


class Mute:
    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_what_cannot_be_shown_does_no_harm():
    """The others of its line are told all the same."""
    told = json.loads(logs.line(event("{a}", a=Mute(), b=1)))
    assert told["b"] == 1


def test_it_goes_where_twistd_would_write(tmp_path, monkeypatch, capsys):
    """To standard output in the foreground, to a file else."""
    monkeypatch.chdir(tmp_path)
    for given_, name in (
        (["-n", "tcpchat", "--port", "1"], None),
        (["-noy", "chat.tac", "-l-"], None),
        (["-n", "--logfile=its.log", "tcpchat"], "its.log"),
        (["-nl", "other.log", "tcpchat"], "other.log"),
        (["tcpchat"], "twistd.log"),
    ):
        monkeypatch.setattr(sys, "argv", ["twistd", *given_])
        observer = logs.as_json()
        observer(event("hello"))
        if name:
            observer._outFile.close()
        text = (tmp_path / name).read_text() if name else capsys.readouterr().out
        assert json.loads(text)["text"] == "hello"


# One person's story


def story(text: str, id_: str) -> list[str]:
    """Give how each line about a connection begins."""
    events = [json.loads(line) for line in text.splitlines()]
    return [one["text"].partition(":")[0] for one in events if one.get("connection") == id_]


@pytest.mark.real
def test_one_person_can_be_followed(tmp_path):
    """The commands in the page on watching find all of one, also beyond a hot restart."""
    need("jq")
    with Chat(tmp_path, *OPEN, warm=False, logger=AS_JSON) as chat:
        ann, bob = chat.enter("ann"), chat.enter("bob", source="127.0.0.2")
        chat.signal(signal.SIGUSR2)
        chat.wait_for_log("went on with 2 connections")
        ann.say("/quit")
        ann.read_to_end()
        bob.close()
        wait_until(lambda: chat.log().count('"text": "disconnected') == 2, "the end of both")
        commands = "\n".join(blocks(page("docs/watching.rst"), "sh"))
        find, follow = commands.splitlines()
        (tmp_path / "chat.log").write_text(chat.log())
        [id_] = shell(tmp_path, find).split()
        followed = shell(tmp_path, f"id={id_}; {follow}").splitlines()
        told = [json.loads(line) for line in followed]
        [quiet] = [one for one in blocks(page("docs/watching.rst"), "console") if "jq" in one]
        levels = {json.loads(line)["level"] for line in shell(tmp_path, quiet[2:]).splitlines()}
        assert "info" in levels
        assert "debug" not in levels
    assert [one["text"].partition(":")[0] for one in told] == [
        "connected",
        "goes on",
        told[2]["text"].partition(":")[0],
        "disconnected",
    ]
    assert told[2]["text"].startswith("closing ")
    assert {one["door"] for one in told} == {"telnet"}
    assert len({one["peer"] for one in told}) == 1
    assert all(f"as {id_}" in one["text"] for one in told)


def shell(directory: Path, command: str) -> str:
    done = subprocess.run(
        ["sh", "-c", command], cwd=directory, capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout


def test_an_error_of_a_command_tells_whose_it_is(logged_failures):
    """What goes wrong for somebody has the id of their connection; who is within has none."""
    chat = assemble(ManualClock(), turn=ManualClock().end_of_turn)
    client = RecordingClient()
    session = chat.connect(client)
    chat.commands = {"msg": None}
    session.receive("hello")
    client.id = "5c1f0a72.17"
    session.receive("hello")
    assert [one["connection"] for one in logged_failures.events] == ["", "5c1f0a72.17"]
    assert logged_failures.flush(AttributeError)


# What is never there


@pytest.mark.real
@pytest.mark.long
def test_no_secret_is_in_the_log(tmp_path):
    """Whatever somebody says, and to whichever command: neither it nor a password is logged.

    JSON has all that the text form has, tracebacks too, and what that leaves out.
    """
    need_module("bcrypt")
    from ssh import as_, new_key

    port = free_port()
    door = ["--ssh", f"tcp:{port}:interface=127.0.0.1", "--operator", "root"]
    with Chat(tmp_path, *OPEN, *door, warm=False, logger=AS_JSON) as chat:
        code = wait_until(lambda: re.search("with the code ([0-9a-f]{16})", chat.log()), "a code")[
            1
        ]
        ssh = ("127.0.0.1", port)
        root = chat.enter("root")
        root.say("/register", code, SECRET, "/quit")
        root.read_to_end()
        with pytest.raises(AssertionError, match="the connection ended"):
            chat.connect(address=ssh, kind=as_("root", password=f"no{SECRET}"), greeted=False)
        by_ssh = chat.connect(address=ssh, kind=as_("root", password=SECRET), greeted=False)
        by_ssh.say(SECRET, "/tell root " + SECRET, "/quit")
        by_ssh.read_to_end()
        command = as_("eve", command=f"/login root {SECRET}")
        chat.connect(address=ssh, kind=command, greeted=False).read_to_end()
        root, ann, bob = chat.connect(), chat.enter("ann"), chat.enter("bob", room="den")
        root.say(f"/login root {SECRET}")
        wait_for(root, "logged in")
        ann.say("/register", SECRET, SECRET, "/sshkey add " + public(new_key()), SECRET)
        bob.say(f"/tell ann {SECRET}", f"/msg {SECRET}", f"/login ann no{SECRET}", SECRET)
        root.say("/join tea")
        names = {command.name for command in COMMANDS.values()}
        for name in [*sorted(names - {*LAST}), *LAST]:
            # what a command asks for is answered, and the rest is said
            root.say(f"/{name} {SECRET} {SECRET} {SECRET}", *[SECRET] * 3)
            root.say(f"/{name}", *[SECRET] * 3)
        for one in (ann, root, bob):
            one.say("/quit " + SECRET)
            one.read_to_end()
        chat.signal(signal.SIGTERM)
        assert chat.exit_code() == 0
        log = chat.log()
    assert log.count("disconnected: ") >= 5
    assert SECRET not in log
    assert "traceback" not in log


def wait_for(peer: Peer, words: str) -> None:
    while words not in peer.read():
        pass


def public(key: object) -> str:
    return key.public().toString("openssh").decode()  # type: ignore[attr-defined]


@pytest.mark.real
def test_no_password_for_elsewhere_is_in_the_log(tmp_path):
    """Nor is one that another checker knows, whether it is right or wrong."""
    (tmp_path / "passwords").write_text(f"ann:{SECRET}\n")
    checkers = ["--auth", "file:passwords", "--auth", f"memory:bob:{SECRET}"]
    with Chat(tmp_path, *OPEN, *checkers, warm=False, logger=AS_JSON) as chat:
        for line in (f"/login ann {SECRET}", f"/login bob {SECRET}", f"/login ann no{SECRET}"):
            peer = chat.connect()
            peer.say(line, "/login ann", SECRET, "/quit")
            peer.read_to_end()
        chat.signal(signal.SIGTERM)
        assert chat.exit_code() == 0
        log = chat.log()
    assert log.count("disconnected: ") == 3
    assert SECRET not in log
