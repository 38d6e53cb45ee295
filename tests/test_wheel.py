"""What is installed."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the wheel, and give the names of the files in it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*build, str(folder)], cwd=ROOT, check=True, timeout=60)
    [wheel] = folder.glob("twisted_chat-*-py3-none-any.whl")
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_is_whole(names: set[str]):
    """The wheel has every module, the mark that it is typed, the plugin and the licence."""
    modules = {str(path.relative_to(ROOT)) for path in ROOT.glob("twisted_chat/**/*.py")}
    assert modules <= names
    assert {"twisted_chat/py.typed", "twisted/plugins/twisted_chat_plugin.py"} <= names
    assert any(name.endswith("/LICENSE") for name in names)


def test_wheel_has_nothing_else(names: set[str]):
    """The wheel has neither tests nor anything that would hide Twisted itself."""
    assert {name for name in names if name.startswith("twisted/")} == {
        "twisted/plugins/twisted_chat_plugin.py"
    }
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"twisted", "twisted_chat"}
