"""What the pages say is true."""

import re
import subprocess
from pathlib import Path

import pytest
from docutils import nodes
from docutils.core import publish_doctree
from docutils.parsers.rst import Directive, directives
from town import Town
from twisted.application.service import Application, IServiceCollection
from twisted.internet.testing import MemoryReactorClock

from twisted_chat import ChatService
from twisted_chat.chat.commands import COMMANDS
from twisted_chat.chat.limits import Limits
from twisted_chat.service import HOST_KEY
from twisted_chat.tap import STATE, Options
from twisted_chat.testing import ManualClock, RecordingClient, rooms

ROOT = Path(__file__).parent.parent
PAGES = sorted(path.relative_to(ROOT) for path in (*ROOT.glob("*.rst"), *ROOT.glob("docs/*.rst")))


class Contents(Directive):
    """What Sphinx makes of a ``toctree`` is nothing on the page itself."""

    has_content = True
    option_spec = {"hidden": directives.flag, "caption": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        return []


directives.register_directive("toctree", Contents)


def page(name: str | Path) -> nodes.document:
    """Parse a page; the least thing that is wrong with it raises an exception."""
    return publish_doctree(
        (ROOT / name).read_text("utf-8"),
        source_path=str(ROOT / name),
        settings_overrides={"report_level": 1, "halt_level": 1, "warning_stream": False},
    )


def blocks(document: nodes.document, language: str) -> list[str]:
    """Give the blocks of code in one language."""
    return [
        block.astext()
        for block in document.findall(nodes.literal_block)
        if language in block["classes"]
    ]


def table(document: nodes.document, heading: str) -> list[list[nodes.entry]]:
    """Give the rows of the table whose first column has that heading."""
    for found in document.findall(nodes.table):
        first, *rows = ([*row.findall(nodes.entry)] for row in found.findall(nodes.row))
        if first[0].astext() == heading:
            return rows
    raise AssertionError(f"no table of {heading}")


def literals(entry: nodes.entry) -> list[str]:
    return [literal.astext() for literal in entry.findall(nodes.literal)]


@pytest.mark.parametrize("name", PAGES, ids=str)
def test_pages(name: Path):
    """Each page is sound, and each file and heading that it links to is there."""
    for link in page(name).findall(nodes.reference):
        target, _, heading = link["refuri"].partition("#")
        if target.startswith("https://"):
            continue
        there = (ROOT / name).parent.joinpath(target)
        assert there.exists()
        assert not heading or heading in page(there).ids


def test_commands_to_begin_with():
    """The README opens with two commands, each of one line; CI runs the second as it stands."""
    start, test = [block.astext() for block in page("README.rst").findall(nodes.literal_block)][:2]
    assert start.endswith(" && .venv/bin/twistd -n tcpchat --port 8888")
    assert test.endswith(" && .venv/bin/pytest")
    assert "\n" not in start + test
    [found] = re.findall(r"^test_command=.*$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert bash(f'{found}; printf %s "$test_command"') == test


def bash(script: str) -> str:
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def test_options():
    """The table of options names those that there are, with their defaults."""
    options = Options()
    options.parseOptions([])
    real = {f"--{name}": options[name] for name, *_ in options.optParameters}
    real["--port"] = options["port"][0].removeprefix("tcp:")
    real["--state"] = STATE  # which is relative to a directory that is not known yet
    real["--ssh-host-key"] = HOST_KEY
    real["--auth"] = "own accounts"
    real |= dict.fromkeys(
        ("--json", "--web", "--web-origin", "--ssh", "--metrics", "--proxy-from", "--operator")
    )
    real |= {f"--{name}": "off" for name, *_ in options.optFlags}
    said = {}
    for option, default, _ in table(page("README.rst"), "option"):
        said[literals(option)[0].split()[0]] = default.astext()
    assert said == {name: "none" if value is None else str(value) for name, value in real.items()}


def test_the_file_of_options(tmp_path: Path):
    """The file in the page on configuration is taken as it stands."""
    [text] = blocks(page("docs/configuration.rst"), "toml")
    (tmp_path / "chat.toml").write_text(text, "utf-8")
    (tmp_path / "motd.txt").write_text("be kind")
    options = Options()
    options.parseOptions(["--config", str(tmp_path / "chat.toml")])
    assert options["port"] == ["tcp:8888", "unix:/run/tcpchat/chat.sock"]
    assert (options["state"], options.motd) == (str(tmp_path / "chat.sqlite"), ["be kind"])
    assert (options["operator"], options.keep_seconds) == (["root"], 90 * 24 * 3600)
    assert options.limits == Limits(max_line=512, idle_timeout=3600)


def test_commands():
    """The table of commands has every one, with its usage and its other names, in order."""
    real = [
        (command.usage, [f"/{alias}" for alias in command.aliases])
        for command in dict.fromkeys(COMMANDS.values())
    ]
    rows = table(page("docs/protocol.rst"), "usage")
    assert [(literals(usage)[0], literals(also)) for usage, also, _ in rows] == real


def test_conversation():
    """The conversation in the README goes as it is told."""
    clock = ManualClock()
    chat = rooms(clock)
    window = RecordingClient()
    bob, ann = chat.connect(window), chat.connect(RecordingClient())
    for line in ("/nick ann", "/join tea", "/topic leaves"):
        ann.receive(line)
    told: list[str] = []
    for line in blocks(page("README.rst"), "text")[0].splitlines():
        if not line.startswith(("> ", "err: ")):
            bob.receive(line)
            continue
        if heard := re.fullmatch(r"> (?:(ann:)|(\* ann)|(\[ann -> you\])) (.*)", line):
            said, done, _, text = heard.groups()
            ann.receive(("" if said else "/me " if done else "/tell bob ") + text)
        clock.turn()
        told = told or window.lines()
        assert told.pop(0) == line
    assert told == []


def test_the_first_bad_evening():
    """What the page on keeping order has an operator type is answered as it says."""
    town = Town()
    town.registers("ann", "tea")
    town.enters("bob")
    root = town.arrives()
    people = {}

    def eve_shouts():
        people["eve"] = town.enters("eve", address="203.0.113.7")

    def adam_comes():
        people["eve"].drops()
        mallory = town.enters("mallory", address="203.0.113.7")
        assert mallory.asks("still here")[0].startswith("err: not said: you are muted")
        root.reads()
        town.enters("adam", address="192.0.2.9").types("LOUD")

    def more_come():
        town.enters("zed", address="198.51.100.23")
        root.reads()

    scenes = {
        1: eve_shouts,
        2: adam_comes,
        4: more_come,
        5: lambda: town.clock.advance(130),
        6: lambda: town.clock.advance(6 * 3600 - 200),
    }
    told = []
    for number, block in enumerate(blocks(page("docs/moderation.rst"), "text")):
        scenes.get(number, root.reads)()
        for line in block.splitlines():
            if line.startswith(("> ", "err: ")):
                told = told or root.reads()
                assert told.pop(0) == line
            else:
                root.types(line)
    assert (number, told) == (6, [])


def test_embedding_in_three_lines(monkeypatch: pytest.MonkeyPatch):
    """The three lines in the README give an application a chat."""
    monkeypatch.setattr("twisted.internet.reactor", MemoryReactorClock())
    application = Application("any")
    exec(blocks(page("README.rst"), "python")[0], {"application": application})
    [service] = IServiceCollection(application)
    assert isinstance(service, ChatService)


def test_embedding(monkeypatch: pytest.MonkeyPatch):
    """The code in the page about embedding runs, one block after the other."""
    monkeypatch.setattr("twisted.internet.reactor", reactor := MemoryReactorClock())
    names = {"application": Application("any")}
    exec("from twisted.internet import reactor", names)
    for block in blocks(page("docs/embedding.rst"), "python"):
        exec(block, names)
    assert [port for port, *_ in reactor.tcpServers] == [8888]
