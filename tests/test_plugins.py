"""Plugins: what they add, what they may decide, and what becomes of those that are broken."""

import sys
from collections.abc import Callable, Sequence
from importlib import invalidate_caches
from pathlib import Path

import pytest
from conftest import LoggedFailures
from town import Guest, Town
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger
from zope.interface import implementer

from twisted_chat import ChatError, ChatPlugin, ChatService, Limits, Notice, command, plugins
from twisted_chat.chat.commands import COMMANDS
from twisted_chat.chat.plugins import Hooks, commands_with
from twisted_chat.discovery import installed
from twisted_chat.interfaces import IChatPlugin
from twisted_chat.testing import DelayedBackplane, ManualClock, RecordingClient, rooms


class Plugin(ChatPlugin):
    """Is asked, and answers as it was told to."""

    def __init__(self, name: str = "any", **answers: Callable[[str], object]) -> None:
        self.name = name
        self.asked: list[tuple[str, str, str]] = []
        for hook, answer in answers.items():
            setattr(self, hook, self._answering(hook, answer))

    def _answering(self, hook: str, answer: Callable[[str], object]) -> object:
        def asked(session: object, text: str) -> object:
            self.asked.append((hook, session.who.name, text))
            return answer(text)

        return asked


def refuses(why: str) -> Callable[[str], object]:
    def answer(_text: str) -> object:
        raise ChatError(why)

    return answer


def fails(_text: str) -> object:
    raise RuntimeError("not its day")


@command("poke", "prod", usage="/poke", help="poke the room", in_room=True)
def poke(session) -> None:
    session.show(Notice("you poke"))
    session.report("pokes you all")


class Poker(ChatPlugin):
    name = "poker"
    commands = (poke,)


def hooked(town: Town, *asked: IChatPlugin) -> list[tuple[str, str, Exception]]:
    """Have plugins asked on every node; give the list of what fails."""
    failed: list[tuple[str, str, Exception]] = []
    for node in town.nodes:
        node.hooks = Hooks(asked, lambda *one: failed.append(one))
    return failed


def two(town: Town) -> tuple[Guest, Guest]:
    """Have ann and bob in a room, who have read all there was."""
    ann, bob = town.enters("ann"), town.enters("bob")
    ann.reads()
    bob.reads()
    return ann, bob


# What is said


def test_what_is_said_can_be_rewritten(town: Town):
    """Lines, /msg and /me are said as the plugin has it; what is told to one person is left."""
    ann, bob = two(town)
    loud = Plugin(on_say=str.upper)
    hooked(town, loud)
    ann.types("hello", "/msg again", "//help", "/me waves", "/tell bob quietly")
    assert bob.reads() == [
        "> ann: HELLO",
        "> ann: AGAIN",
        "> ann: /HELP",
        "> * ann WAVES",
        "> [ann -> you] quietly",
    ]
    assert loud.asked == [("on_say", "ann", said) for said in ("hello", "again", "/help", "waves")]


def test_what_is_said_can_be_refused(town: Town):
    """Who says it is told why, and nobody else hears of it."""
    ann, bob = two(town)
    hooked(town, Plugin(on_say=refuses("no tea before five")))
    assert [*ann.asks("tea"), *ann.asks("/me pours tea")] == ["err: no tea before five"] * 2
    assert bob.reads() == []


def test_what_plugins_rewrite_is_held_to_what_is_typed(town: Town):
    """It can be no control, no second line, not too long, and not nothing."""
    ann, bob = two(town)
    hooked(
        town, Plugin(on_say={"\r": "", "a": "\x1b[2J\r\n> bob: hi", "b": "x" * 1025, "c": " "}.get)
    )
    ann.types("a")
    assert bob.reads() == ["> ann: \ufffd[2J\ufffd\ufffd> bob: hi"]
    assert ann.asks("b") == ["err: a line holds at most 1024 bytes"]
    assert ann.asks("c") == ["err: not said: nothing is left of it"]
    assert bob.reads() == []


def test_plugins_are_asked_in_their_order(town: Town):
    """Each is given what the one before it has made of the text."""
    ann, bob = two(town)
    hooked(
        town, Plugin(on_say=lambda text: f"{text}, one"), Plugin(on_say=lambda text: f"{text}, two")
    )
    ann.types("zero")
    assert bob.reads() == ["> ann: zero, one, two"]


def test_a_plugin_that_fails_counts_as_if_it_were_not_there(town: Town):
    """Its name is told with what it raised, and the others are asked all the same."""
    ann, bob = two(town)
    failed = hooked(
        town,
        Plugin("broken", on_say=fails, on_join=fails, on_leave=fails),
        Plugin("mute", on_say=lambda _text: None),
        Plugin("loud", on_say=str.upper),
    )
    ann.types("hello", "/leave", "/join tea", "/quit bye")
    assert bob.reads() == [
        "> ann: HELLO",
        "> ann has left the room",
        "> ann joined the room",
        "> ann has left the room (bye)",
    ]
    assert [(name, hook, type(error)) for name, hook, error in failed] == [
        ("broken", "on_say", RuntimeError),
        ("mute", "on_say", TypeError),
        ("broken", "on_leave", RuntimeError),
        ("broken", "on_join", RuntimeError),
        ("broken", "on_leave", RuntimeError),
    ]


def test_what_failed_is_logged(logged_failures: LoggedFailures):
    """The log names the plugin and the hook, and has what was raised."""
    clock = ManualClock()
    chat = rooms(clock, plugins=[Plugin("broken", on_say=fails)])
    session = chat.connect(RecordingClient())
    for line in ("/join tea", "hello"):
        session.receive(line)
    clock.turn()
    [event] = logged_failures.events
    assert event["log_format"].format(**event) == "plugin broken: on_say failed"
    assert str(*logged_failures.flush(RuntimeError)) == "not its day"


# Who comes and goes


def test_a_room_can_be_another(town: Town):
    """Who wants to enter one room may be led to another, or to where they are, or to none."""
    ann, bob = two(town)
    ways = {"bar": "tea", "pub": "Tea House", "den": "a b", "sea": "sea", "Tea": "Tea"}
    hooked(town, Plugin(on_join=ways.get))
    assert ann.asks("/join bar") == ["> you are in tea already"]
    assert ann.asks("/join den") == ["err: a room name holds no blank"]
    assert "> welcome to sea" in ann.asks("/join sea")
    assert bob.reads() == ["> ann has left the room"]
    assert "> welcome to tea" in ann.asks("/join bar")


def test_a_room_can_be_refused(town: Town):
    """Who may not enter stays where they are, and is told why."""
    ann, bob = two(town)
    hooked(town, Plugin(on_join=refuses("coffee is closed")))
    assert ann.asks("/join coffee") == ["err: coffee is closed"]
    ann.types("still here")
    assert bob.reads() == ["> ann: still here"]


def test_a_plugin_is_asked_for_no_name_that_cannot_be(town: Town):
    """What is typed is known to be the name of a room."""
    door = Plugin(on_join=str)
    ann, _bob = two(town)
    hooked(town, door)
    ann.types("/join a:b")
    assert door.asked == []


@pytest.mark.parametrize(("line", "farewell"), [("/leave", ""), ("/quit bye", "bye")])
def test_who_leaves_can_be_given_a_reason(town: Town, line: str, farewell: str):
    """It is asked once, with what was typed; what is too long is cut, and nothing of it acts."""
    ann, bob = two(town)
    usher = Plugin(on_leave=lambda reason: reason + "\x1b" + "y" * 300)
    hooked(town, usher)
    ann.types(line)
    shown = (farewell + "\ufffd" + "y" * 300)[:200]
    assert bob.reads() == [f"> ann has left the room ({shown})"]
    assert usher.asked == [("on_leave", "ann", farewell)]


@pytest.mark.parametrize("line", ["/leave", "/quit bye"])
def test_nobody_is_kept_in(town: Town, line: str):
    """A plugin that refuses has no reason shown; they leave all the same."""
    ann, bob = two(town)
    hooked(town, Plugin(on_leave=refuses("stay")))
    ann.types(line)
    assert bob.reads() == ["> ann has left the room"]


def test_who_gives_no_reason_is_not_asked_about(town: Town):
    """Who quits from no room, goes to another, or is cut off, has no last words."""
    ann, bob = two(town)
    cyd = town.arrives("/nick cyd")
    usher = Plugin(on_leave=lambda _reason: "words")
    hooked(town, usher)
    ann.types("/join coffee")
    cyd.types("/quit bye")
    ann.drops()
    assert bob.reads() == ["> ann has left the room"]
    assert usher.asked == []


def test_only_the_node_of_a_person_asks():
    """What one node's plugin has decided holds on the other, which has none."""
    clock = ManualClock()
    backplane = DelayedBackplane(clock)
    loud = Plugin(on_say=str.upper)
    here, there = (rooms(clock, backplane, plugins=found) for found in ([loud], []))
    clients = [RecordingClient(), RecordingClient()]
    ann, bob = (node.connect(client) for node, client in zip((here, there), clients, strict=True))
    for line in ("/join tea", "hello"):
        for session in (ann, bob):
            session.receive(line)
            clock.turn()
    assert "> anonymous: HELLO" in clients[1].lines()
    assert "> anonymous-2: hello" in clients[0].lines()
    assert len(loud.asked) == 1


# What is reported


def test_a_report_is_seen_by_all(town: Town):
    """Whoever did it reads it as well; who ignores them does not."""
    ann, bob = two(town)
    cyd = town.enters("cyd")
    cyd.types("/ignore ann")
    for one in (ann, bob, cyd):
        one.reads()
    ann.session.report("rolled a die: 6\r\n> bob: hi")
    line = "> ann rolled a die: 6\ufffd\ufffd> bob: hi"
    assert (ann.reads(), bob.reads(), cyd.reads()) == ([line], [line], [])
    assert bob.asks("/history") == ann.asks("/history")
    with pytest.raises(ChatError, match="a line holds at most 1024 bytes"):
        ann.session.report("x" * 1025)


def test_who_is_muted_reports_nothing(town: Town):
    """A mute and slow mode hold for what a plugin tells of someone."""
    ann = town.registers("ann", "tea")
    bob = town.enters("bob")
    ann.types("/mute bob")
    ann.reads()
    bob.reads()
    bob.session.report("rolled a die: 6")
    assert bob.reads() == ["err: not said: you are muted"]
    assert ann.reads() == []


# Commands


def test_commands_of_plugins():
    """They are typed, listed and guarded as any other."""
    clock, client = ManualClock(), RecordingClient()
    session = rooms(clock, plugins=[Poker()]).connect(client)

    def asks(line: str) -> list[str]:
        clock.turn()
        client.lines()
        session.receive(line)
        clock.turn()
        return client.lines()

    assert asks("/POKE") == ["err: you are in no room. usage: /join ROOM_NAME"]
    asks("/join tea")
    assert asks("/prod") == ["> you poke", "> anonymous pokes you all"]
    assert asks("/help")[-1] == "> /poke - poke the room"
    assert asks("/help poke") == ["> /poke - poke the room", "> also called /prod"]


def test_without_plugins_nothing_is_asked():
    """There are no hooks then, and the commands are those of the chat."""
    chat = rooms()
    assert chat.hooks is None
    assert dict(chat.commands) == dict(COMMANDS)


def named(word: str, *aliases: str) -> ChatPlugin:
    """Make a plugin with one command."""
    plugin = Plugin("other")
    plugin.commands = (command(word, *aliases, usage="/x", help="x")(lambda session: None),)
    return plugin


class Late(ChatPlugin):
    name = "late"

    async def on_say(self, session: object, text: str) -> str:
        return text


class Trap(ChatPlugin):
    @property
    def name(self) -> str:
        raise OSError("two\nlines")


@implementer(IChatPlugin)
class Half:
    name = "half"
    commands = ()

    def on_join(self, session: object) -> str:
        return ""


UNUSABLE = {
    "nothing": (object(), "Does not declaratively implement"),
    "half": (Half(), "on_say"),
    "no name": (ChatPlugin(), "its name is ''. takes 1 to 32 of a-z, 0-9 and -"),
    "a wild name": (Plugin("a\x1b[2Jb"), r"its name is 'a\\x1b\[2Jb'"),
    "a trap": (Trap(), "two lines"),
    "late": (Late(), "on_say is a coroutine; it has to answer at once"),
    "no command": (type("None", (Poker,), {"commands": ("poke",)})(), "'poke' among its commands"),
    "no commands": (type("No", (Poker,), {"commands": 7})(), "not iterable"),
    "capitals": (named("Roll"), "a command is 'Roll'"),
    "a command of the chat": (named("join"), "two commands called /join"),
    "an alias of the chat": (named("fine", "w"), "two commands called /w"),
    "one command twice": (named("twice", "twice"), "two commands called /twice"),
    "a command of another": (named("prod"), "two commands called /prod"),
    "the name of another": (Plugin("poker"), "two plugins called poker"),
}


@pytest.mark.parametrize(("plugin", "why"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used(plugin: object, why: str):
    """A plugin that is broken or clashes is refused, in one line that names it."""
    with pytest.raises(ValueError, match=why) as refused:
        commands_with([Poker(), plugin])
    words = str(refused.value)
    assert words.startswith(f"plugin {type(plugin).__module__}.{type(plugin).__qualname__}: ")
    assert words.isprintable()


def test_a_service_takes_a_list():
    """What is given is used, or the mistake raised."""
    reactor = MemoryReactorClock()
    assert "poke" in ChatService(reactor, plugins=[Poker()]).rooms.commands
    assert "poke" not in ChatService(reactor, limits=Limits()).rooms.commands
    with pytest.raises(ValueError, match="two plugins called poker"):
        ChatService(reactor, plugins=[Poker(), Poker()])


# Those that are installed

GOOD = """
from twisted_chat import ChatPlugin, command

@command({word!r}, usage="/{word}", help="do it")
def run(session): ...

class Good(ChatPlugin):
    name = {name!r}
    commands = [run]

good = Good()
"""


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]):
    """Install modules, and give the names of the plugins that are found, and what is logged."""

    def find(**modules: str) -> tuple[Sequence[str], list[str]]:
        monkeypatch.setattr(plugins, "__path__", [str(tmp_path), str(tmp_path / "missing")])
        for name, code in modules.items():
            (tmp_path / f"{name}.py").write_text(code)
        invalidate_caches()
        names = [plugin.name for plugin in installed(Logger())]
        for name in modules:
            sys.modules.pop(f"twisted_chat.plugins.{name}", None)
        return names, log_lines

    return find


def test_those_that_are_installed_are_found(found):
    """They come in the order of the names of their modules, and the log tells which there are."""
    second = GOOD.format(word="second", name="second")
    first = GOOD.format(word="first", name="first")
    assert found(b=second, a=first) == (["first", "second"], ["plugins: first, second"])


def test_without_any_nothing_is_logged(found):
    """Most chats have none."""
    assert found() == ([], [])


def test_broken_ones_are_skipped(found):
    """Each is named, in one line without a traceback, and the others are there."""
    names, log = found(
        a="import nothing_like_that",
        b="1 +",
        c="raise SystemExit",
        d="x = 1",
        e=GOOD.format(word="Poke", name="loud"),
        f=GOOD.format(word="poke", name="good"),
        g=GOOD.format(word="poke", name="late"),
        h=GOOD.format(word="join", name="bold"),
        i="raise ValueError('one\\nother \\x1b[2J')",
    )
    assert names == ["good"]
    prefix = "skipped plugin twisted_chat.plugins."
    assert log == [
        f"{prefix}a: ModuleNotFoundError: No module named 'nothing_like_that'",
        f"{prefix}b: SyntaxError: invalid syntax (b.py, line 1)",
        f"{prefix}c: SystemExit:",
        f"{prefix}d: nothing in it provides IChatPlugin",
        f"{prefix}e.Good: a command is 'Poke'. takes 1 to 32 of a-z, 0-9 and -",
        f"{prefix}g.Good: two commands called /poke",
        f"{prefix}h.Good: two commands called /join",
        f"{prefix}i: ValueError: one other \ufffd[2J",
        "plugins: good",
    ]
