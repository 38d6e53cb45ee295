"""The house: who may import whom, and what belongs to whom."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import twisted_chat

HOUSE = Path(twisted_chat.__file__).parent
FLOORS = [
    {"chat", "interfaces", "histogram", "watch", "plugins"},
    {"wire", "worker", "discovery", "notify", "link"},
    {"state", "cluster", "accounts"},
    {"assembly"},
    {"doors", "node"},
    {"estate"},
    {"service", "values"},
    {"config", "commandline"},
    {"settings", "handover", "preflight"},
    {"reload", "heir"},
    {"tap", "logs"},
]
# What is public says all of it again; doubles stand beside what they double.
OUTSIDE = {"__init__", "testing"}
FILES = sorted(HOUSE.rglob("*.py"))


def floor_of(room: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS) if room in rooms)


def room_of(file: Path) -> str:
    return file.relative_to(HOUSE).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield f"{node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_imports_point_one_way(file):
    """Nothing imports upwards, and the rooms on one floor do not import each other."""
    here = room_of(file)
    if here in OUTSIDE:
        return
    for name in imports(file):
        package, _, rest = name.partition(".")
        there = rest.partition(".")[0]
        if package != "twisted_chat" or not there or there == here:
            continue
        both_at_the_bottom = floor_of(here) == floor_of(there) == 0
        assert floor_of(there) < floor_of(here) or both_at_the_bottom, f"{here} imports {name}"


@pytest.mark.parametrize(
    "file", sorted((HOUSE / "chat").rglob("*.py")), ids=lambda file: str(file.relative_to(HOUSE))
)
def test_the_rules_are_pure(file):
    """The rules import no Twisted, no sockets, no clock and no chance."""
    banned = {"twisted", "socket", "time", "random", "secrets", "os", "sys", "io", "pathlib"}
    assert {name.partition(".")[0] for name in imports(file)}.isdisjoint(banned)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_the_process_belongs_to_tap(file):
    """Signals, exits, files and the global reactor are nobody else's."""
    if file.name in ("tap.py", "heir.py", "logs.py", "watch.py", "worker.py"):
        return
    names = set(imports(file))
    assert names.isdisjoint({"signal", "sys", "resource", "twisted.internet.reactor"})
    tree = ast.parse(file.read_text())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert used.isdisjoint({"open", "SystemExit", "exit", "quit_"})


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_there_is_no_module_level_state(file):
    """What a module holds is made once and never changed: no lists, no dicts but constants."""
    for node in ast.parse(file.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        mutable = isinstance(getattr(node, "value", None), ast.List | ast.Set | ast.ListComp)
        assert not (mutable and names != ["__all__"]), f"{file}: {names}"
    assert not [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Global)]


@pytest.mark.parametrize(
    "file",
    sorted((HOUSE / "chat/commands").glob("*.py")),
    ids=lambda file: str(file.relative_to(HOUSE)),
)
def test_commands_decide_and_events_change(file):
    """No command assigns to anything of a person, a room or a session."""
    for node in ast.walk(ast.parse(file.read_text())):
        targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else []
        if isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        bases = [t.value if isinstance(t, ast.Subscript) else t for t in targets]
        assert not [base for base in bases if isinstance(base, ast.Attribute)]
