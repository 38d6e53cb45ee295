"""The documentation: it is sound, and what it shows is what happens."""

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from docutils import nodes
from real import need_module
from shown import ROOT, Page, consoles, why_not
from test_readme import page, table
from zope.interface.interface import InterfaceClass

import twisted_chat
from twisted_chat import interfaces
from twisted_chat.chat.commands import COMMANDS
from twisted_chat.doors.metrics import METRICS
from twisted_chat.tap import Options

DOCS = ROOT / "docs"
WITH_COMMANDS = sorted(
    path.stem for path in DOCS.glob("*.rst") if ".. code:: console" in path.read_text()
)


@pytest.mark.real
@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_what_is_shown(name: str, tmp_path: Path):
    """Each command of a page does what is shown there, one after the other."""
    with Page(tmp_path) as someone:
        someone.does(page(f"docs/{name}.rst"))


@pytest.mark.long
@pytest.mark.real
def test_the_tutorial_in_an_environment_of_its_own(tmp_path: Path):
    """The tutorial can be done from its first line, with nothing but a checkout."""
    with Page(tmp_path, installs=True) as someone:
        someone.does(page("docs/tutorial.rst"))


def test_the_table_of_what_to_read():
    """There is a page for each of the eight, and it shows how."""
    rows = table(page("docs/index.rst"), "to")
    first = {what.astext(): targets(read)[0] for what, read, _ in rows}
    assert [*first] == [
        *("start", "secure", "upgrade", "back up", "scale", "watch", "script", "extend"),
    ]
    for name in first.values():
        assert any(page(f"docs/{name}").findall(nodes.literal_block)), name


def targets(entry: nodes.entry) -> list[str]:
    return [link["refuri"] for link in entry.findall(nodes.reference)]


def test_what_is_not_run():
    """Of the pages with commands nothing is left out but this, for these reasons."""
    assert {name: why for name in WITH_COMMANDS if (why := left_out(name))} == {
        "cluster": ["Redis would have to fail"],
        "encryption": ["tests/test_haproxy.py does"] * 4 + ["tests/test_page.py does"],
        "service": [*["wants root and systemd"] * 2, "wants root and Docker"],
        "upgrade": ["there is no newer version"],
        "watching": ["tests/test_logs.py does"] * 3,
    }


def left_out(name: str) -> list[str]:
    """Give the reasons for which blocks of a page are not run."""
    shown = page(f"docs/{name}.rst")
    done = [*consoles(shown)]
    return [why_not(one) for one in shown.findall(nodes.literal_block) if one not in done]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build all of it; the least thing that is wrong fails."""
    for module in ("sphinx", "furo"):
        need_module(module)
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "sphinx", "-qW", "--keep-going", "-b", "html", "-d"]
    done = subprocess.run(
        [*command, folder / "doctrees", DOCS, folder],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_the_reference_has_every_option(built: Path):
    """Each has a place of its own, to which others can link."""
    text = (built / "reference" / "options.html").read_text("utf-8")
    for name in Options().longOpt:
        assert f'id="cmdoption-tcpchat-{name.removesuffix("=")}"' in text


def test_the_reference_has_every_command(built: Path):
    """Each has its usage and its help."""
    page_ = (built / "reference" / "commands.html").read_text("utf-8")
    text = unescape(re.sub("<[^>]+>", "", page_))
    for command in COMMANDS.values():
        assert command.usage in text
        assert command.help[1:] in text


def test_the_reference_has_every_metric(built: Path):
    """Each has its name and its help."""
    page_ = (built / "reference" / "metrics.html").read_text("utf-8")
    text = unescape(re.sub("<[^>]+>", "", page_))
    for metric in METRICS:
        assert metric.name in text
        assert metric.help in text


@pytest.mark.parametrize("name", [*twisted_chat.__all__])
def test_the_reference_has_every_public_name(built: Path, name: str):
    """Each has a place of its own, with what it takes."""
    text = (built / "reference" / "python.html").read_text("utf-8")
    assert f'id="twisted_chat.{name}"' in text


def test_the_reference_has_every_interface(built: Path):
    """Each, and all that it asks for."""
    text = (built / "reference" / "python.html").read_text("utf-8")
    for name, one in vars(interfaces).items():
        if isinstance(one, InterfaceClass) and name != "Interface":
            for member in ("", *(f".{member}" for member in one.names())):
                assert f'id="twisted_chat.interfaces.{name}{member}"' in text
