"""The door for programs: what they say, what they hear, and that nothing they send hurts."""

import json

import pytest
from docutils import nodes
from hypothesis import given
from hypothesis import strategies as st
from test_readme import literals, page
from test_tcp import House, Peer
from test_text import ACTS, ANN, ANSWERS, BOB, EVENTS

from twisted_chat.chat.answers import Audit, Done, Replay, You
from twisted_chat.chat.events import Deed, Joined, Said, Told, Who
from twisted_chat.doors.json import JsonProtocol
from twisted_chat.doors.moving import Move, to_record
from twisted_chat.doors.tcp import Door
from twisted_chat.wire.jsonlines import JSON, LARGEST, MESSAGE_BYTES, TAG_LENGTH, Message

USAGE = 'usage: {"line": "/join tea"}'
KNOWN = "a message has line, tag and after"


class Program(Peer):
    """A program at the other end of a wire."""

    def __init__(self, house):
        chat, house.factory = house.factory, Door(house.factory, JsonProtocol)
        super().__init__(house)
        house.factory = chat

    def says(self, *messages):
        """Send messages in one segment, and let the turn end."""
        self.sends(b"".join(json.dumps(one).encode() + b"\n" for one in messages))
        self.house.clock.turn()

    def hears(self):
        """Give the messages that came since the last time."""
        self.house.clock.turn()
        *lines, rest = self.wire.value().split(b"\n")
        self.wire.clear()
        assert rest == b""
        return [json.loads(line) for line in lines]

    def asks(self, *messages):
        self.hears()
        self.says(*messages)
        return self.hears()


def program(house, *lines):
    """Have a program connect and say lines, and hear what comes of it."""
    one = Program(house)
    one.says(*({"line": line} for line in lines))
    one.hears()
    return one


@pytest.fixture
def house():
    return House()


def kinds(messages):
    return [message["type"] for message in messages]


# What programs say


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{}", Message()),
        (b' {"line": "/join tea"}\t', Message("/join tea")),
        (b'{"tag":0,"line":"","after":0}', Message("", 0, 0)),
        ('{"line":"h\u00e4","tag":"\u00e4"}'.encode(), Message("h\u00e4", "\u00e4")),
        (b'{"after":%d}' % LARGEST, Message("", None, LARGEST)),
        (b'{"line":"a","line":"b"}', Message("b")),
        (b'{"tag":"%s"}' % (b"x" * TAG_LENGTH), Message("", "x" * TAG_LENGTH)),
    ],
)
def test_a_message(data, message):
    """Each part of it may be left out."""
    assert Message.of(data) == message


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"hello", f"that is no JSON. {USAGE}"),
        (b"", f"that is no JSON. {USAGE}"),
        (b'{"line": "x"', f"that is no JSON. {USAGE}"),
        (b'{"line": "\xff"}', f"that is no JSON. {USAGE}"),
        (b"[" * MESSAGE_BYTES, f"that is no JSON. {USAGE}"),
        (b"1" * MESSAGE_BYTES, f"that is no JSON. {USAGE}"),
        (b'"hello"', f"that is no object. {USAGE}"),
        (b"[]", f"that is no object. {USAGE}"),
        (b"null", f"that is no object. {USAGE}"),
        (b'{"line": 1}', f"line: takes a text. {KNOWN}"),
        (b'{"line": null}', f"line: takes a text. {KNOWN}"),
        (b'{"after": "1"}', f"after: takes the id of an event. {KNOWN}"),
        (b'{"after": -1}', f"after: takes the id of an event. {KNOWN}"),
        (b'{"after": true}', f"after: takes the id of an event. {KNOWN}"),
        (b'{"after": %d}' % (LARGEST + 1), f"after: takes the id of an event. {KNOWN}"),
        (b'{"lines": "x"}', f'"lines": unknown. {KNOWN}'),
        (b'{"\\u001b[2J": 1}', f'"\\u001b[2J": unknown. {KNOWN}'),
        (b'{"%s": 1}' % (b"x" * 999), f'"{"x" * TAG_LENGTH}": unknown. {KNOWN}'),
    ],
)
def test_what_is_no_message(data, why):
    """It is refused, in words for whoever wrote the program."""
    with pytest.raises(ValueError, match=r".") as error:
        Message.of(data)
    assert str(error.value) == why


def test_what_is_nested_too_deep():
    """It is refused; with which words depends on how deep Python reads, which has changed."""
    with pytest.raises(ValueError, match=r'that is no JSON|"a": unknown'):
        Message.of(b'{"a":' * 3000 + b"1" + b"}" * 3000)


@pytest.mark.parametrize(
    "tag", [b"1.5", b"[]", b"{}", b"true", b'"%s"' % (b"x" * 65), b"-1", b"NaN"]
)
def test_what_is_no_tag(tag):
    """It has to be what any program can compare."""
    with pytest.raises(ValueError, match="tag: takes a number, or a text of at most 64 characters"):
        Message.of(b'{"tag": %s}' % tag)


def why_not(data):
    """Give why something is no message; an empty text if it is one."""
    try:
        Message.of(data)
    except ValueError as error:
        return str(error)
    return ""


objects = st.text(max_size=90).map(lambda name: json.dumps({name: 1}).encode())


@given(st.binary(max_size=200) | objects)
def test_anything_is_a_message_or_refused(data):
    """Whatever comes, nothing else is raised, and the refusal has no control in it."""
    why = why_not(data)
    assert why == "" or why.isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["line", "tag", "after", "x"]), json_values, max_size=3)
        | json_values
        | st.builds(lambda line: {"line": line, "tag": 1}, st.text(max_size=90)),
        max_size=8,
    )
)
def test_whatever_a_program_says_it_goes_on(messages):
    """No JSON ends a connection that has not asked for it, and what is heard is JSON."""
    house = House()
    bob, other = program(house, "/nick bob", "/join tea"), program(house, "/join tea")
    for message in messages:
        if isinstance(message, dict) and str(message.get("line")).strip().lower() in (
            "/quit",
            "/exit",
        ):
            continue
        bob.says(message)
        bob.hears()
        other.hears()
    assert "done" in kinds(bob.asks({"tag": "still here"}))


# What programs hear


def test_every_kind_of_event_word_for_word():
    """Each is an object with what it is called, and all that a person would be shown."""
    said = Said(ANN, 7, "hello")
    said.id, said.time = 41, 1_700_000_000.1234
    assert json.loads(JSON.render(said)) == {
        "type": "said",
        "id": 41,
        "time": 1_700_000_000.123,
        "who": {"person": ANN.person, "account": ANN.account and ANN.account[1:], "name": "ann"},
        "room": 7,
        "text": "hello",
    }
    assert json.loads(JSON.render(You(Who("1", "@ann", "Ann"), 7, "tea", "leaves"))) == {
        "type": "you",
        "who": {"person": "1", "account": "ann", "name": "Ann"},
        "room": {"id": 7, "name": "tea", "topic": "leaves"},
    }
    assert json.loads(JSON.render(Done("x"))) == {"type": "done", "tag": "x"}
    replay = json.loads(JSON.render(Replay([said, Told(ANN, BOB, "psst")], has_gap=True)))
    assert kinds(replay["lines"]) == ["said", "told"]
    assert replay["gap"] is True
    audit = json.loads(JSON.render(Audit([Deed(3, 1.0, ANN, "tea", "kicked bob")])))
    assert audit["deeds"][0]["text"] == "kicked bob"


@pytest.mark.parametrize("shown", [*EVENTS.values(), *ANSWERS.values(), *ACTS.values()], ids=repr)
def test_whatever_is_shown_is_one_line(shown):
    """Whatever is in it, a line break ends it, and there is no other."""
    data = JSON.render(shown)
    assert data.count(b"\n") == 1
    assert data.endswith(b"}\n")
    assert json.loads(data)["type"]


def test_the_protocol_names_all_that_there_is():
    """Each type that a program may hear is in the tables of the protocol, with all its fields."""
    said = Said(ANN, 7, "hello")
    some = [*EVENTS.values(), *ANSWERS.values(), *ACTS.values(), said, You(ANN), Done(1)]
    records = [json.loads(JSON.render(one)) for one in (*some, Replay([said]), Audit([]))]
    fields = {"conceal": {"on"}}
    for record in records:
        fields.setdefault(record.pop("type"), set()).update(record)
    always = {"id", "time", "who"}
    told = {}
    for found in page("docs/protocol.rst").findall(nodes.table):
        heading, *rows = ([*row.findall(nodes.entry)] for row in found.findall(nodes.row))
        if heading[0].astext() == "type":
            more = always if "beside" in heading[1].astext() else set()
            for types, has, _ in rows:
                told |= {one: more | {*literals(has)} for one in literals(types)}
    assert told == fields


def test_programs_that_wish_for_the_same_share_the_bytes():
    """Who wants to hear nothing of joins hears nothing of them; a zone brings a stamp."""
    assert JSON.adapted(None, False) == JSON
    quiet = JSON.adapted(None, True)
    assert hash(quiet) == hash(JSON.adapted(None, True))
    assert quiet.render(Joined(ANN, 7, "tea")) == b""
    said = Said(ANN, 7, "hello")
    said.time = 1_700_000_000.0
    assert json.loads(JSON.adapted("Asia/Tokyo", False).render(said))["stamp"] == "07:13"
    with pytest.raises(ValueError, match="no time zone"):
        JSON.adapted("Nowhere", False)


# A connection


def test_a_program_and_a_person(house):
    """They are in one room, and hear each other; a program hears itself, and is seen to be one."""
    ann = house.enters("ann")
    bot = program(house, "/nick bot", "/join tea")
    assert ann.reads() == ["> bot joined the room"]
    ann.types("hello")
    [heard] = bot.hears()
    assert (heard["type"], heard["who"]["name"], heard["text"]) == ("said", "ann", "hello")
    [own] = bot.asks({"line": "good evening"})
    assert own["type"] == "said"
    assert own["id"] > heard["id"]
    assert ann.reads() == ["> bot: good evening"]
    assert ann.asks("/who") == ["> here: ann, bot (bot)"]
    assert "bot is a bot in tea" in ann.asks("/whois bot")[0]


def test_who_a_program_is(house):
    """It is told at the start, and whenever that changes."""
    bot = Program(house)
    you, welcome = bot.hears()
    assert (you["type"], you["who"]["name"], you["room"]) == ("you", "anonymous", None)
    assert welcome["text"].startswith("welcome. ")
    me = you["who"]["person"]
    heard = [one for one in bot.asks({"line": "/nick bot"}) if one["type"] == "you"]
    assert heard == [{"type": "you", "who": {**you["who"], "name": "bot"}, "room": None}]
    heard = [one for one in bot.asks({"line": "/join tea"}) if one["type"] == "you"]
    assert [(one["who"]["person"], one["room"]["name"]) for one in heard] == [(me, "tea")]
    heard = [one for one in bot.asks({"line": "/leave"}) if one["type"] == "you"]
    assert [one["room"] for one in heard] == [None]


def test_a_line_that_was_obeyed():
    """With a tag, its end is told after all its answers, also if it takes a while."""
    house = House(delayed=True)
    bot = Program(house)
    bot.says({"line": "/nick bot", "tag": 1}, {"line": "/join tea", "tag": "two"}, {"line": "/who"})
    heard = bot.hears()
    told = [one.get("tag") or one.get("text") or one["type"] for one in heard]
    assert (
        told.index("all right, I will call you bot") < told.index(1) < told.index("welcome to tea")
    )
    assert told.index("welcome to tea") < told.index("two")
    assert told[-1] == "listing"
    assert kinds(bot.asks({"line": "/foo", "tag": 3})) == ["refusal", "done"]
    assert kinds(bot.asks({"line": "/quit", "tag": 4})) == ["notice"]


def test_a_tag_alone(house):
    """It is answered once all before it has been: a way to wait."""
    bot = program(house)
    assert bot.asks({"tag": 0}) == [{"type": "done", "tag": 0}]


def test_no_past_unless_it_is_asked_for(house):
    """A program that enters is shown what was said after an event, or nothing."""
    ann = house.enters("ann")
    ann.types("one", "two")
    bot = Program(house)
    replay = next(one for one in bot.asks({"line": "/join tea"}) if one["type"] == "replay")
    assert replay["lines"] == []
    ann.types("three")
    last = bot.hears()[-1]["id"]
    bot.hangs_up()
    ann.types("four", "five")
    again = Program(house)
    again.says({"after": last, "line": "/nick again"})
    heard = again.asks({"line": "/join tea"})
    replay = next(one for one in heard if one["type"] == "replay")
    assert [line["text"] for line in replay["lines"]] == ["four", "five"]
    assert replay["gap"] is False
    assert [line["id"] > last for line in replay["lines"]] == [True, True]
    again.asks({"line": "/leave"})
    replay = next(one for one in again.asks({"line": "/join tea"}) if one["type"] == "replay")
    assert replay["lines"] == []  # it was asked for once


@pytest.mark.parametrize(("missed", "has_gap"), [(199, False), (200, False), (201, True)])
@pytest.mark.parametrize("from_the_beginning", [False, True])
def test_more_was_said_than_is_shown(house, missed, has_gap, from_the_beginning):
    """Then it is told that there is a gap, and only then."""
    ann = house.enters("ann")
    last = 0
    if not from_the_beginning:
        bot = program(house, "/join tea")
        ann.types("before")
        last = bot.hears()[-1]["id"]
        bot.hangs_up()
    for number in range(missed):
        ann.types(str(number))
    again = Program(house)
    heard = again.asks({"line": "/join tea", "after": last})
    replay = next(one for one in heard if one["type"] == "replay")
    shown = [line["text"] for line in replay["lines"]]
    assert shown == [str(number) for number in range(missed - len(shown), missed)]
    assert len(shown) == min(missed, 200)
    assert replay["gap"] is has_gap


def test_what_is_asked_of_a_program(house):
    """A password is asked for as of people; that it would be hidden is told."""
    bot = program(house, "/nick bot")
    conceal, warning, asked = bot.asks({"line": "/register"})
    assert conceal == {"type": "conceal", "on": True}
    assert "not encrypted" in warning["text"]
    assert asked["text"].startswith("type the password")
    heard = bot.asks({"line": "correct horse"})
    assert heard[0] == {"type": "conceal", "on": False}
    assert [one["who"]["account"] for one in heard if one["type"] == "you"] == ["bot"]


def test_what_is_no_message_is_refused(house):
    """The connection lives, and the flood allowance pays for it."""
    bot = program(house)
    bot.sends(b"hello\n\n[1]\n")
    assert [one["text"] for one in bot.hears()] == [
        f"that is no JSON. {USAGE}",
        f"that is no object. {USAGE}",
    ]
    assert kinds(bot.asks({"tag": 1})) == ["done"]


def test_a_message_that_is_too_long(house):
    """It is skipped; a line in one is bound as at every door."""
    bot = program(house)
    bot.sends(b'{"line": "' + b"x" * 2 * MESSAGE_BYTES + b'"}\n')
    assert [one["text"] for one in bot.hears()] == [f"a line holds at most {MESSAGE_BYTES} bytes"]
    [refused] = bot.asks({"line": "x" * 1025})
    assert refused["text"] == "a line holds at most 1024 bytes"
    assert kinds(bot.asks({"line": "x" * 1024})) == ["refusal"]  # it is in no room


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "\x1b[2J", "\ud800", "\0", "\u2028", "\u202e"])
def test_nothing_typed_is_a_control(house, text):
    """What could be one at a terminal is shown as U+FFFD to everybody."""
    ann, bot = house.enters("ann"), program(house, "/nick bot", "/join tea")
    ann.reads()
    [own] = bot.asks({"line": f"x{text}y"})
    [line] = ann.reads()
    assert line == f"> bot: {own['text']}"
    assert "\ufffd" in line
    assert line.isprintable()


def test_a_tag_may_be_any_text(house):
    """It comes back as it was, whatever is in it."""
    bot = program(house)
    for tag in ("\ud7ff\U0001f375", "\n", "\u2028", "</script>", "\x1b"):
        assert bot.asks({"tag": tag}) == [{"type": "done", "tag": tag}]


def test_a_web_page_cannot_talk(house):
    """What looks like HTTP is refused in words, and the connection ends."""
    bot = program(house)
    bot.sends(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + b'{"line": "/join tea"}\n')
    [refused] = bot.hears()
    assert refused["type"] == "refusal"
    assert bot.wire.disconnecting
    assert not house.rooms.rooms


def test_who_may_not_come_in_is_told_so_in_json():
    """All doors are counted together."""
    house = House(max_connections=1)
    house.comes()
    [refused] = Program(house).hears()
    assert refused == {"type": "refusal", "text": "the chat is full. try again later"}


def test_a_slow_program_is_cut_with_last_words():
    """They are JSON like all else."""
    house = House(sendq=4096)
    ann, bot = house.enters("ann"), program(house, "/join tea")
    bot.door._outbox._paused = True
    for number in range(10):
        ann.types(f"{number} {'x' * 1000}")
    assert house.rooms.sessions.keys() == {ann.door._session.id}
    bot.door._outbox.resumeProducing()
    assert bot.hears()[-1]["text"].startswith("you read too slowly: more than 4096 bytes")


def test_going_on_in_another_process(house):
    """A program that moves hears on, says on in the middle of a message, and keeps its wishes."""
    bot = program(house, "/nick bot", "/join tea", "/quiet on")
    bot.sends(b'{"line": "hel')
    record = json.loads(json.dumps(to_record(bot.door)))
    house.factory.protocols.discard(bot.door)
    moved = Move(house.factory, record, ([], False)).buildProtocol(bot.address)
    assert isinstance(moved, JsonProtocol)
    bot.door = moved
    bot.wire.producer = None
    moved.makeConnection(bot.wire)
    bot.sends(b'lo", "tag": 1}\n')
    assert kinds(bot.hears()) == ["said", "done"]
    house.enters("ann")
    assert bot.hears() == []
