"""Lines of text: the words of every event, and that nothing can be forged with them."""

import re
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from town import CODE, Town

from twisted_chat.chat import names
from twisted_chat.chat.acts import (
    KINDS,
    Announced,
    Appointed,
    Invited,
    KeySet,
    Kicked,
    Locked,
    Pardoned,
    PasswordGiven,
    Sanctioned,
    Slowed,
)
from twisted_chat.chat.answers import Audit, Listing, Notice, Refusal, Replay, Sent, You
from twisted_chat.chat.charter import EVERYONE, Rank, Sanction
from twisted_chat.chat.commands import COMMANDS
from twisted_chat.chat.events import (
    ChatError,
    Emoted,
    Joined,
    Left,
    Renamed,
    Reported,
    Said,
    Told,
    TopicSet,
    Who,
)
from twisted_chat.chat.sanitize import sanitize
from twisted_chat.wire.text import PLAIN, Text

ANN, BOB = Who("1", None, "ann"), Who("2", None, "bob")
WINTER = 1795367100.0  # 2026-11-22 17:05 UTC
LOCKDOWN = Sanction("ban", EVERYONE, "guests", "ann", "", WINTER, None)
KEY = "SHA256:JzdmgZ6EVs0bhTXVkzGTFW7so1XoOyEMAUez8hfvDWY"
LISTED = Listing("available rooms", ["lobby", "tea"])


def at(event, time=WINTER):
    """Give an event a time, as the backplane does."""
    event.time = time
    return event


EVENTS = {
    "> ann: hello bob": Said(ANN, 7, "hello bob"),
    "> * ann waves": Emoted(ANN, 7, "waves"),
    "> [ann -> you] hi": Told(ANN, BOB, "hi"),
    "> [you -> ann] yes": Sent(at(Told(BOB, ANN, "yes"))),
    "> ann rolled 2d6: 3 + 5 = 8": Reported(ANN, 7, "rolled 2d6: 3 + 5 = 8"),
    "> cyd joined the room": Joined(Who("3", None, "cyd"), 7, "tea"),
    "> cyd has left the room": Left(Who("3", None, "cyd"), 7),
    "> cyd has left the room (gone home)": Left(Who("3", None, "cyd"), 7, "gone home"),
    "> ann is now known as anna": Renamed(ANN, 7, "anna"),
    "> ann set the topic: leaves": TopicSet(ANN, 7, "leaves"),
}
ACTS = {
    "> ann kicked bob (spam)": Kicked(ANN, 7, BOB, "spam"),
    "> ann banned bob for 10 minutes (spam)": Sanctioned(
        ANN, 7, Sanction("ban", "2", "bob", "ann", "spam", WINTER, WINTER + 600)
    ),
    "> ann muted bob": Sanctioned(ANN, 7, Sanction("mute", "2", "bob", "ann", "", WINTER, None)),
    "> ann locked down the server": Sanctioned(ANN, 0, LOCKDOWN),
    "> ann ended the lockdown": Pardoned(ANN, 0, LOCKDOWN),
    "> ann unbanned bob": Pardoned(ANN, 7, Sanction("ban", "2", "bob", "ann", "", WINTER, None)),
    "> ann unmuted bob": Pardoned(ANN, 7, Sanction("mute", "2", "bob", "ann", "", WINTER, None)),
    "> ann made bob an operator of the room": Appointed(ANN, 7, BOB, Rank.OPERATOR),
    "> ann made bob the owner of the room": Appointed(ANN, 7, BOB, Rank.OWNER),
    "> ann took the room out of the hands of bob": Appointed(
        ANN, 7, BOB._replace(account="@bob"), Rank.MEMBER
    ),
    "> ann gave up running the room": Appointed(ANN, 7, ANN, Rank.MEMBER),
    "> ann invited bob": Invited(ANN, 7, BOB),
    "> ann locked the room": Locked(ANN, 7, True),
    "> ann unlocked the room": Locked(ANN, 7, False),
    "> ann put a key on the room": KeySet(ANN, 7, "digest"),
    "> ann took the key off the room": KeySet(ANN, 7, ""),
    "> ann set slow mode: one line in 10 seconds": Slowed(ANN, 7, 10),
    "> ann ended slow mode": Slowed(ANN, 7, 0),
    "> ann gave bob another password": PasswordGiven(ANN, 0, "bob"),
    "> announcement by ann: at five": Announced(ANN, 0, "at five"),
}
EVENTS |= ACTS
ANSWERS = {
    "> welcome to tea": Notice("welcome to tea"),
    "err: room name is required": Refusal("room name is required"),
    "> available rooms: lobby, tea": LISTED,
}


@pytest.mark.parametrize("zone", [None, UTC, ZoneInfo("Asia/Kolkata")], ids=str)
def test_events_word_for_word(zone):
    """Every event is one line as the protocol has it, with the time before it if wished for."""
    stamp = {None: "> ", UTC: "> [17:05] "}.get(zone, "> [22:35] ")
    for words, event in EVENTS.items():
        if not isinstance(event, Sent):
            at(event)
        line = words.replace("> ", stamp, 1) + "\r\n"
        assert Text(zone).render(event).decode() == line


@pytest.mark.parametrize("text", [PLAIN, Text(UTC), Text(UTC, quiet=True)])
def test_answers_word_for_word(text):
    """What is shown to one person alone never has a time."""
    for words, answer in ANSWERS.items():
        assert text.render(answer).decode() == words + "\r\n"


def test_a_list_that_was_cut():
    """A cut list tells how many names are left out, and how to see them, if there is a way."""
    cut = Listing("available rooms", ["lobby"], 9800, "/rooms PREFIX")
    assert PLAIN.render(cut).decode() == (
        "> available rooms: lobby\r\n> … and 9,800 more: /rooms PREFIX\r\n"
    )
    assert PLAIN.render(Listing("here", ["ann"], 7)).decode() == "> here: ann\r\n> … and 7 more\r\n"


def test_the_past_has_date_and_time():
    """Replayed lines show when they were said, in UTC unless a zone is wished for."""
    past = Replay([at(Said(ANN, 7, "earlier")), at(Emoted(BOB, 7, "waves"), WINTER + 3600 * 8)])
    utc = "> [2026-11-22 17:05] ann: earlier\r\n> [2026-11-23 01:05] * bob waves\r\n"
    assert PLAIN.render(past).decode() == utc
    assert Text(UTC).render(past).decode() == utc
    tokyo = "> [2026-11-23 02:05] ann: earlier\r\n> [2026-11-23 10:05] * bob waves\r\n"
    assert PLAIN.adapted("Asia/Tokyo", quiet=False).render(past).decode() == tokyo


def test_a_zone_knows_its_summer():
    """The time in a zone is that of its clocks on that day."""
    berlin = PLAIN.adapted("Europe/Berlin", quiet=False)
    summer = WINTER - 150 * 86400
    assert berlin.render(at(Said(ANN, 7, "hi"), WINTER)) == b"> [18:05] ann: hi\r\n"
    assert berlin.render(at(Said(ANN, 7, "hi"), summer)) == b"> [19:05] ann: hi\r\n"


def test_quiet_hides_who_comes_and_goes():
    """Quiet hides joins and leaves, and nothing else."""
    quiet = PLAIN.adapted(None, quiet=True)
    for words, event in {**EVENTS, **ANSWERS}.items():
        hidden = isinstance(event, Joined | Left)
        assert quiet.render(event).decode() == ("" if hidden else words + "\r\n")


# Wishes


def test_equal_wishes_share_a_format():
    """Formats of the same wishes are one as keys, so that those who share them share bytes."""
    formats = [
        PLAIN.adapted(zone, quiet) for zone in (None, "UTC", "Asia/Tokyo") for quiet in (0, 1)
    ]
    again = [
        one.adapted(zone, quiet)
        for one, (zone, quiet) in zip(
            formats, [(z, q) for z in (None, "UTC", "Asia/Tokyo") for q in (0, 1)], strict=True
        )
    ]
    assert formats == again
    assert len({*formats, *again}) == 6
    assert formats[0] == PLAIN


@pytest.mark.parametrize(
    "zone",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "Europe",
        "Europe/",
        "",
        ".",
        "..",
        "Mars/Olympus",
        "Europe/Berlin\0",
        "\0",
        "x" * 5000,
        "x/" * 500,
        "Europe/München",
        "\ud800",
        "zone.tab",
        "zones",
        "__init__.py",
        "__pycache__",
        "tzdata.zi",
        "a..b",
        "a//b",
        "a\\b",
        " UTC",
    ],
)
def test_what_is_no_zone(zone):
    """Whatever is no time zone is refused with a ValueError, and reads no other file."""
    with pytest.raises(ValueError, match="no time zone"):
        PLAIN.adapted(zone, quiet=False)


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("aUTC./\\-\0 ~éEurope"), max_size=12))
def test_any_zone(zone):
    """Whatever is asked for is a zone or refused with a ValueError."""
    try:
        adapted = PLAIN.adapted(zone, quiet=False)
    except ValueError:
        return
    assert adapted.zone.key == zone


# What cannot be forged

DRIVEN = [
    *[
        "/nick",
        "/nick ann",
        "/nick anonymous",
        "/nick here",
        "/nick a:b",
        "/nick anna",
        "/nick anna",
    ],
    *[
        "hi",
        "/msg",
        "/msg hi",
        "//hi",
        "/me",
        "/me waves",
        "/leave",
        "/topic",
        "/history",
        "/search",
        "/who",
    ],
    *[
        "/rooms",
        "/join",
        "/join a:b",
        "/join lobby",
        "/join lobby",
        "/join tea",
        "/search tea",
        "/forget",
        "/register secret1",
        "/register secret password",
        "/passwd",
        "secret password",
        "other password",
        "/logout",
        "/login anna wrong password",
        "/login anna other password",
        "/sshkey",
        "/sshkey add",
        "other password",
        "/sshkey",
        "/sshkey add",
        "/sshkey add tea: at five",
        "/sshkey remove tea:",
        "/sshkey remove SHA256:",
        "/sshkey remove J",
        "/sshkey tea:",
        "/unregister",
        "other password",
        "/nick root",
        "/register secret password",
        "/register",
        CODE,
        "secret password",
        "/nick anna",
    ],
    *[
        "/kick bob :",
        "/kick bob",
        "/mute bob 5m tea: loud",
        "/mute bob",
        "/bans",
        "/unmute bob",
        "/unmute bob",
        "/ban 10.0.0.0/8 tea: spam",
        "/ban * 10.0.0.1 7d *",
        "/bans",
        "/bans *",
        "/bans tea:",
        "/unban 10.0.0.0/8",
        "/unban * 10.0.0.1",
        "/unban * 10.0.0.1",
        f"/ban {KEY}",
        f"/ban * {KEY} 7d",
        "/bans",
        "/bans *",
        f"/unban {KEY}",
        f"/unban * {KEY}",
        "/ban *",
        "/ban @zed",
    ],
    *[
        "/op bob",
        "/op root",
        "/deop root",
        "/deop bob",
        "/invite bob",
        "/invite zoe",
        "/lock",
        "/lock",
        "/unlock",
        "/unlock",
        "/key",
        "/key k:k",
        "/key",
        "/key off",
        "/slow x:",
        "/slow 5",
        "/slow 0",
    ],
    *[
        "/wall tea: at five",
        "/lockdown",
        "/lockdown",
        "/bans *",
        "/lockdown off",
        "/lockdown off",
        "/audit",
        "/audit x:",
        "/passwd tea:",
        "/passwd zed",
        "another password",
        "/op zed",
        "/deop zed",
        "/logout",
        "/nick anna",
        "/nick annie",
        "/nick anna",
        "/j tea",
    ],
    *[
        "/rooms",
        "/rooms t",
        "/rooms zzz",
        "/who",
        "/who tea",
        "/who none",
        "/topic",
        "/topic tea: ok",
    ],
    *["/topic", "hello: there", "/me : waves", "/history", "/history 1d", "/history 0"],
    *[
        "/tell",
        "/tell bob",
        "/tell bob hi: there",
        "/tell zoe hi",
        "/tell anna hm",
        "/reply",
        "/reply x",
    ],
    *[
        "/whois",
        "/whois bob",
        "/whois anna",
        "/whois zoe",
        "/away",
        "/away tea: soon",
        "/whois anna",
    ],
    *[
        "/who",
        "/tell anna hm",
        "/back",
        "/back",
        "/ignore",
        "/ignore bob",
        "/ignore",
        "/ignore anna",
    ],
    *[
        "/unignore zoe",
        "/unignore bob",
        "/ignore zoe",
        "/quiet",
        "/quiet on",
        "/quiet off",
        "/quiet ?",
    ],
    *["/time", "/time on", "/time off", "/time Asia/Tokyo", "/time tea", "/time off", "/motd"],
    *["/limits", "/uptime", "/version", "/help", "/foo", "/help foo", "/leave", "/leave"],
    *[f"/help {command}" for command in COMMANDS],
    *["/topic " + "x" * 391, "/away " + "x" * 201, "/quit " + "x" * 201, "/quit bye: all"],
]


@pytest.fixture(scope="module")
def shown():
    """All that is shown to anybody while every command is driven."""
    town = Town()
    chat = town.nodes[0]
    chat.motd = ["tea: at five", "* all welcome", "[x -> you] hi"]
    kept = []
    to_person, to_room = chat.delivery.to_person, chat.delivery.to_room
    release = chat.delivery.release
    chat.delivery.to_person = lambda to, one: (kept.append(one), to_person(to, one))
    chat.delivery.to_room = lambda to, one, *rest: (kept.append(one), to_room(to, one, *rest))
    chat.delivery.release = lambda to, *first: (kept.extend(first), release(to, *first))
    bob = town.enters("bob")
    bob.session.report("rolled 2d6: 3 + 5 = 8")
    town.registers("zed")
    someone = town.arrives(fingerprint=KEY)
    for line in DRIVEN:
        someone.types(line)
        bob.types("/away" if "whois" in line else "/back", "/tell anna tea")
    chat.close("the server is going down. goodbye")
    return kept


def test_every_command_was_driven():
    """The lines below use every command there is."""
    used = {
        COMMANDS[line.split()[0][1:]].name for line in DRIVEN if line[1:].split()[0] in COMMANDS
    }
    assert used | {"msg"} == {command.name for command in COMMANDS.values()}


def test_every_event_was_seen(shown):
    """Driving every command brings all kinds of things that can be shown."""
    kinds = {type(one) for one in shown}
    assert kinds == {
        type(one) for one in (*EVENTS.values(), *ANSWERS.values(), Replay([]), Audit([]), You(ANN))
    }
    assert {type(one) for one in ACTS.values()} == set(KINDS)


def could_be_said(line):
    """Tell whether a line begins as one of a person does."""
    begun = re.match(r"> (?:\* |\[|(\S+): )", line)
    if not begun or not begun[1]:
        return bool(begun)
    try:
        names.nick(begun[1])
    except ChatError:
        return False
    return True


def test_no_notice_looks_like_a_line_of_a_person(shown):
    """Nothing but what people say begins with a name and a colon, an asterisk or a bracket."""
    spoken = (Said, Emoted, Told, Sent, Replay, Audit)
    lines = [PLAIN.render(one).decode() for one in shown if not isinstance(one, spoken)]
    assert [line for line in lines if could_be_said(line)] == []
    assert len(lines) > 150
    said = [PLAIN.render(one).decode() for one in shown if isinstance(one, spoken)]
    assert all(could_be_said(line) for line in said if line)  # a past may be empty
    audits = "".join(PLAIN.render(one).decode() for one in shown if isinstance(one, Audit))
    deeds = [re.sub(r"^> \[[^]]*\] ", "> ", line) for line in audits.splitlines()]
    assert len(deeds) > 10
    assert [line for line in deeds if could_be_said(line)] == []


def nick_or_none(text):
    try:
        return names.nick(text).text
    except ChatError:
        return None


NICKS = (
    st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=8)
    .map(nick_or_none)
    .filter(bool)
)
LINE = re.compile(
    r"> (?:(?P<say>[^\s:]+): |\* (?P<emote>[^\s:]+) |\[(?:(?P<told>[^\s:]+)|you) -> )(?P<text>.*)"
)


@settings(max_examples=150, deadline=None)
@given(NICKS, st.text(max_size=30).map(sanitize))
def test_who_says_what_can_be_read_back(name, text):
    """Whatever people are called and say, a line is one line, and tells who said it, and how."""
    who = Who("1", None, name)
    for key, event in (
        ("say", Said(who, 1, text)),
        ("emote", Emoted(who, 1, text)),
        ("told", Told(who, BOB, text)),
    ):
        line = PLAIN.render(event).decode()
        assert line.count("\n") == line.count("\r") == 1
        read = LINE.fullmatch(line.removesuffix("\r\n"))
        assert read
        assert {kind: one for kind, one in read.groupdict().items() if one and kind != "text"} == {
            key: name
        }
        assert read["text"].endswith(text)
    for event in (
        Joined(who, 1, "tea"),
        Left(who, 1, "x"),
        Renamed(who, 1, "x"),
        TopicSet(who, 1, text),
        Reported(who, 1, text),
    ):
        assert not could_be_said(PLAIN.render(event).decode())
