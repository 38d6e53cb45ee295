"""The dice, in a chat on a clock that is moved by hand."""

from random import Random

import pytest
from twisted_chat.plugins.dice import Dice

from twisted_chat import Session
from twisted_chat.testing import ManualClock, RecordingClient, rooms


class Table:
    """A room with ann and bob, and the dice of one seed."""

    def __init__(self, seed: int = 0) -> None:
        self._clock = ManualClock()
        self._chat = rooms(self._clock, plugins=[Dice(Random(seed))])
        self.clients: list[RecordingClient] = []
        self.ann, self.bob = map(self._enters, ("ann", "bob"))
        self.read()

    def _enters(self, name: str) -> Session:
        self.clients.append(RecordingClient())
        session = self._chat.connect(self.clients[-1])
        session.receive(f"/nick {name}")
        session.receive("/join tea")
        return session

    def read(self) -> list[list[str]]:
        """Give what ann and bob read since the last time."""
        self._clock.turn()
        return [client.lines() for client in self.clients]


def test_all_see_a_roll() -> None:
    """Both read the same line, and it tells what was rolled."""
    table = Table(seed=6)
    table.ann.receive("/roll 2d6")
    of_ann, of_bob = table.read()
    random = Random(6)
    one, other = random.randint(1, 6), random.randint(1, 6)
    assert of_ann == of_bob == [f"> ann rolled 2d6: {one} + {other} = {one + other}"]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [("/roll", "1d6"), ("/roll d20", "1d20"), ("/ROLL 3D8", "3d8"), ("/roll 100d1000", "100d1000")],
)
def test_what_can_be_rolled(typed: str, shown: str) -> None:
    """One die of six sides unless it is said otherwise, up to a hundred of a thousand."""
    table = Table()
    table.ann.receive(typed)
    [line] = table.read()[1]
    assert line.startswith(f"> ann rolled {shown}: ")


@pytest.mark.parametrize(
    "dice", ["0d6", "101d6", "2d1", "2d1001", "d", "2", "-1d6", "2d6+1", "٢d6", "9999d6", "2d6 2d6"]
)
def test_what_cannot(dice: str) -> None:
    """What is no dice is refused in one line, and nobody else reads it."""
    table = Table()
    table.ann.receive(f"/roll {dice}")
    refusal = "err: there are 1 to 100 dice of 2 to 1000 sides, as in 2d6"
    assert table.read() == [[f"{refusal}. usage: /roll [NUMBERdSIDES]"], []]


def test_nobody_forges_a_roll() -> None:
    """What is said or done by hand looks unlike a roll."""
    table = Table()
    table.ann.receive("rolled 2d6: 6 + 6 = 12")
    table.ann.receive("/me rolled 2d6: 6 + 6 = 12")
    table.ann.receive("/roll 2d6")
    *forged, real = table.read()[1]
    assert forged == ["> ann: rolled 2d6: 6 + 6 = 12", "> * ann rolled 2d6: 6 + 6 = 12"]
    assert real.startswith("> ann rolled 2d6: ")


def test_help() -> None:
    """The command is in the list, with what it does."""
    table = Table()
    table.ann.receive("/help roll")
    help_ = "> /roll [NUMBERdSIDES] - roll dice for the room to see, as in /roll 2d6"
    assert table.read()[0] == [help_]
