"""Dice: ``/roll 2d6``."""

import re
from random import Random, SystemRandom

from twisted_chat import ChatError, ChatPlugin, Session, command

MOST_DICE = 100
MOST_SIDES = 1000
SHOWN_DICE = 10
USAGE = "/roll [NUMBERdSIDES]"

_DICE = re.compile("([0-9]{0,3})d([0-9]{1,4})", re.IGNORECASE)


class Dice(ChatPlugin):
    """Rolls dice before everybody's eyes."""

    name = "dice"

    def __init__(self, random: Random | None = None) -> None:
        """
        :param random: where the numbers come from; the operating system, if left out.
        """
        self._random = random or SystemRandom()
        roll = command(
            "roll",
            usage=USAGE,
            help="roll dice for the room to see, as in /roll 2d6",
            takes=1,
            in_room=True,
        )
        self.commands = [roll(self._roll)]

    def _roll(self, session: Session, dice: str = "d6") -> None:
        number, sides = parsed(dice)
        rolled = [self._random.randint(1, sides) for _ in range(number)]
        each = f"{' + '.join(map(str, rolled))} = " if 1 < number <= SHOWN_DICE else ""
        session.report(f"rolled {number}d{sides}: {each}{sum(rolled)}")


def parsed(dice: str) -> tuple[int, int]:
    """Give how many dice, and of how many sides, ``2d6`` means.

    :raises ChatError: it means none that there are.
    """
    found = _DICE.fullmatch(dice)
    number, sides = (int(found[1] or 1), int(found[2])) if found else (0, 0)
    if not (1 <= number <= MOST_DICE and 2 <= sides <= MOST_SIDES):
        most = f"1 to {MOST_DICE} dice of 2 to {MOST_SIDES} sides"
        raise ChatError(f"there are {most}, as in 2d6. usage: {USAGE}")
    return number, sides


dice = Dice()
