"""A session by itself: what waits, what is charged, what goes wrong, what moves."""

import json
from math import inf

import pytest
from town import Town
from twisted.internet.defer import Deferred

from twisted_chat.chat.commands import COMMANDS, Command, table
from twisted_chat.chat.commands.command import command
from twisted_chat.chat.limits import BACKLOG, PENDING_LINES, Limits
from twisted_chat.chat.session import Session
from twisted_chat.testing import ManualClock, RecordingClient, rooms


@pytest.fixture
def clock():
    return ManualClock()


def chat_with(clock, *commands: Command, **options):
    """Make a chat that has some more commands."""
    chat = rooms(clock, **options)
    chat.commands = {**COMMANDS, **{one.name: one for one in commands}}
    return chat


# Flood control


def test_a_burst_is_free_and_then_lines_wait(clock):
    """After the burst each line has to wait for its token."""
    session = rooms(clock, limits=Limits(flood=(5, 20))).connect(RecordingClient())
    assert [session.receive("/uptime") for _ in range(20)] == [0] * 19 + [0.2]
    clock.advance(0.2)
    assert session.pause() == 0
    assert session.receive("/uptime") == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("line", "cost"),
    [
        ("/nick bob", 3),
        ("/join tea", 3),
        ("/who", 1),
        ("/foo", 1),
        ("hi", 1),
        ("", 0),
        ("/nick", 3),
    ],
)
def test_what_a_line_costs(clock, line, cost):
    """Names and rooms cost three, all else one, whether obeyed or refused."""
    session = rooms(clock, limits=Limits(flood=(1, 10))).connect(RecordingClient())
    session.receive(line)
    assert session.to_record()["allowance"] == 10 - cost


def test_those_who_talk_wait_for_a_store_that_is_behind(clock):
    """While more waits to be kept than is good, every line is followed by a pause."""
    chat = rooms(clock)
    session = chat.connect(RecordingClient())
    assert session.receive("/uptime") == 0
    chat.store.backlog = BACKLOG + 1
    assert session.receive("/uptime") > 0
    chat.store.backlog = 0
    assert session.pause() == 0


# Commands that wait


def test_lines_wait_for_a_command_that_waits(clock):
    """Meanwhile the giver is held back, and what comes all the same keeps its order."""
    answers: list[Deferred[None]] = []

    @command("slow", usage="/slow", help="wait")
    async def slow(session: Session) -> None:
        answers.append(Deferred())
        await answers[-1]

    chat = chat_with(clock, slow)
    woken = []
    client = RecordingClient()
    session = chat.connect(client, lambda: woken.append(True))
    woken.clear()
    assert session.receive("/slow") == inf
    assert session.receive("/nick bob") == inf
    assert session.receive("/slow") == inf
    session.receive("/nick eve")
    clock.turn()
    assert len(client.lines()) == 1
    answers.pop().callback(None)
    clock.turn()
    assert client.lines() == ["> all right, I will call you bob"]
    assert woken == []
    answers.pop().callback(None)
    clock.turn()
    assert client.lines() == ["> all right, I will call you eve"]
    assert woken
    assert session.pause() == 0


def test_what_waits_is_bounded(clock):
    """Who gives lines without regard for the pause has them refused past a bound."""
    waiting: Deferred[None] = Deferred()

    @command("slow", usage="/slow", help="wait")
    async def slow(session: Session) -> None:
        await waiting

    client = RecordingClient()
    session = chat_with(clock, slow).connect(client)
    session.receive("/slow")
    clock.turn()
    client.lines()
    for _ in range(PENDING_LINES + 5):
        session.receive("/version")
    waiting.callback(None)
    clock.turn()
    lines = client.lines()
    assert lines.count("err: not obeyed: too many lines are waiting") == 5
    assert len(lines) == PENDING_LINES + 5


def test_who_has_gone_is_not_obeyed_any_more(clock):
    """What waited behind a command is dropped with its connection."""
    waiting: Deferred[None] = Deferred()

    @command("slow", usage="/slow", help="wait")
    async def slow(session: Session) -> None:
        await waiting

    chat = chat_with(clock, slow)
    session = chat.connect(RecordingClient())
    session.receive("/slow")
    session.receive("/nick bob")
    session.end()
    waiting.callback(None)
    clock.turn()
    assert chat.people == {}
    assert session.receive("/nick bob") == 0


# What should not happen


@pytest.mark.parametrize("waits", [False, True])
def test_a_bug_is_logged_and_the_connection_lives(clock, logged_failures, waits):
    """An exception that is no refusal is logged; the person is told, and goes on."""

    @command("now", usage="/now", help="fail")
    def now(session: Session) -> None:
        raise ZeroDivisionError

    @command("later", usage="/later", help="fail")
    async def later(session: Session) -> None:
        raise ZeroDivisionError

    client = RecordingClient()
    session = chat_with(clock, now, later).connect(client)
    session.receive("/later" if waits else "/now")
    session.receive("/nick bob")
    clock.turn()
    assert client.lines()[1:] == [
        "err: something went wrong here; it is not your fault, and is logged",
        "> all right, I will call you bob",
    ]
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


def test_two_commands_of_one_name_are_found_out():
    """A table does not let one command hide another."""
    from twisted_chat.chat.commands import talking

    with pytest.raises(ValueError, match="two commands called /msg"):
        table([talking.msg, talking.msg])


def test_a_closing_chat_says_goodbye_and_nothing_else():
    """Everybody is told and let go; nobody sees the others leave."""
    town = Town()
    guests = [town.enters(name) for name in ("ann", "bob", "cyd")]
    for guest in guests:
        guest.reads()
    town.nodes[0].close("closing time")
    assert town.nodes[0].people == {}
    for guest in guests:
        guest.session.end()
        assert guest.reads() == ["> closing time"]
        assert guest.client.closed == "closing time"


# Moving


def test_a_record_holds_all_that_is_the_sessions_own(clock):
    """A session made from a record goes on as if nothing had been."""
    town = Town(limits=Limits(flood=(1, 30)))
    ann, bob = town.enters("ann"), town.enters("bob")
    ann.types("/time Asia/Tokyo", "/quiet on", "/ignore bob", "/tell ann note")
    record = ann.session.to_record()
    assert record == json.loads(json.dumps(record))
    ann.client = RecordingClient()
    ann.moves_to_another_process()
    assert ann.session.to_record() == record
    bob.types("not heard", "/leave", "/tell ann not heard")
    assert ann.reads() == []
    assert ann.asks("/reply hi") == ["> [07:13] [ann -> you] hi"]
    assert ann.asks("/time") == ["> times are not shown"]
    assert ann.asks("/quiet") == ["> joins and leaves are shown"]
    assert ann.session.to_record()["allowance"] == record["allowance"] - 3
    bob.types("/join tea")
    assert ann.reads() == ["> bob joined the room"]


def test_what_a_program_knows_moves_along():
    """The next room begins after that, in whichever process."""
    town = Town()
    bob = town.enters("bob")
    bob.types("one", "two")
    room = bob.session.room.id
    first, _ = town.settles(bob.session.rooms.store.history(room, 9))
    program = town.arrives(after=first.id)
    program.moves_to_another_process()
    program.types("/join tea")
    shown = [line for line in program.reads() if "bob: " in line]
    assert [line.partition("] ")[2] for line in shown] == ["bob: two"]


def test_a_record_of_another_version_is_refused():
    """What cannot be understood is not guessed at."""
    ann = Town().enters("ann")
    record = {**ann.session.to_record(), "version": 0}
    with pytest.raises(ValueError, match="version 0"):
        Session.from_record(record, ann.client, ann.session.rooms)
