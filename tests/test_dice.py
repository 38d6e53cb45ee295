"""The dice in examples/dice: their own tests, and as people would have them."""

import subprocess
import sys
import sysconfig
from pathlib import Path
from signal import SIGUSR2
from zipfile import ZipFile

import pytest
from real import Chat
from test_examples import hear

pytestmark = pytest.mark.real

ROOT = Path(__file__).parent.parent
DICE = ROOT / "examples" / "dice"


def run(*command: object, directory: Path = ROOT) -> str:
    """Run something to its end, which has to be a good one; give what it prints."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the wheel of the chat, and that of the dice."""
    built = []
    for directory in (ROOT, DICE):
        folder = tmp_path_factory.mktemp("wheel")
        build = ["-m", "hatchling", "build", "--target", "wheel", "--directory"]
        run(*build, folder, directory=directory)
        built += folder.glob("*.whl")
    chat, dice = built
    return chat, dice


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment which has what the chat needs, and neither the chat nor plugins."""
    environment = tmp_path_factory.mktemp("environment")
    run("-m", "venv", "--without-pip", environment)
    [packages] = environment.glob("lib/python*/site-packages")
    # What such a file names has no such files of its own: the checkout is not found.
    (packages / "needs.pth").write_text(sysconfig.get_path("purelib"))
    return environment / "bin" / "python"


def install(python: Path, wheel: Path) -> None:
    run("-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel)


def test_its_own_tests():
    """They pass, run where they are."""
    assert " passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", directory=DICE)


def test_its_wheel(wheels: tuple[Path, Path]):
    """It holds the module, and nothing that would hide those of the chat."""
    with ZipFile(wheels[1]) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert names == ["twisted_chat/plugins/dice.py"]


@pytest.mark.long
def test_from_a_wheel_to_a_roll(wheels: tuple[Path, Path], python: Path, tmp_path: Path):
    """They are installed while people talk, and there once the code is replaced."""
    chat, dice = wheels
    install(python, chat)
    with Chat(tmp_path, prefix=[str(python)]) as town:
        ann, bob = town.enter("ann"), town.enter("bob")
        ann.say("/roll 2d6")
        hear(ann, r"err: unknown command: /roll\. /help lists them")
        install(python, dice)
        town.signal(SIGUSR2)
        town.wait_for_log("went on with 2 connections")
        assert "plugins: dice" in town.log()
        ann.say("/roll 2d6")
        roll = hear(ann, r"> ann rolled 2d6: [1-6] \+ [1-6] = \d+")[-1]
        assert hear(bob, "> ann rolled .*")[-1] == roll
