"""Mixed life: people who stay and talk, and others who come, do something, and go."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

from benchmarks.crowd import ROOMS, Crowd
from benchmarks.doors import GoneError, Heard, Ports
from benchmarks.ledger import Ledger, Witnesses
from benchmarks.person import PATIENCE, Person, source, words

STAYING = 7
"""Who stay in each room and talk, beside two who say nothing."""
PAUSE = 1.5
"""Seconds from one line of each to the next, in the mean."""
QUESTIONS = ("/history 20", "/who", "/search kettle", "/uptime")


class Life:
    """All of them, by the seed: the same acts in the same order, as far as time allows."""

    def __init__(self, ports: Ports, seed: int, report: Callable[[str], None]) -> None:
        """
        :param report: is told, in words, what went wrong.
        """
        self.ledger = Ledger()
        self._ports, self._report = ports, report
        self._chance = random.Random(seed)
        self.crowd = Crowd(ports, self.ledger, self._chance, report)
        self._staying: list[Person] = []
        self._talking: list[asyncio.Task[None]] = []

    @property
    def people(self) -> int:
        return len(self._staying) + len(self.crowd.here)

    async def begin(self) -> None:
        """Have those come who stay."""
        await self.crowd.register()
        for room in ROOMS:
            await self._settle(room)
        for place, person in enumerate(self._staying):
            if not person.name.startswith("witness"):
                self._talking.append(asyncio.create_task(self._talk(person, place)))

    async def end(self) -> None:
        """Have all comers go, see that those who stay have heard everything, and have them go."""
        await self.crowd.end()
        for task in self._talking:
            task.cancel()
        await asyncio.gather(*self._talking, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while self._missing():
                    await asyncio.sleep(0.05)
        for missing in self._missing()[:10]:
            self._report(missing)
        for person in self._staying:
            await person.quit()

    def _missing(self) -> list[str]:
        return [
            f"{one.name} never heard the last {number} lines of {other.name}"
            for one in self._staying
            for other in self._staying
            if one is not other and one.room == other.room and (number := one.misses(other))
        ]

    async def _settle(self, room: str) -> None:
        """Have a room's own people come: the witnesses before all others."""
        witnesses = Witnesses()
        for door in ("text", "json"):
            person = await self._stay(f"witness-{room}-{door}", room, door)
            person.also_to(self._to(witnesses, person))
        for number in range(STAYING):
            await self._stay(f"{room}{number}", room, "json" if number % 3 == 2 else "text")

    def _to(self, witnesses: Witnesses, person: Person) -> Callable[[Heard], object]:
        def hears(heard: Heard) -> None:
            is_live = heard.kind in ("said", "joined", "left") and not heard.is_past
            if is_live and not heard.who.startswith("witness"):
                text = heard.text if heard.kind == "said" else ""
                witnesses.hears(person.name, Heard(heard.kind, heard.who, text))

        return hears

    async def _stay(self, name: str, room: str, door: str) -> Person:
        person = Person(name, self.ledger, self._wrong, is_prompt=True)
        await person.come(self._ports, door, source(self._chance))
        await person.take_name()
        await person.enter(room)
        self._staying.append(person)
        return person

    async def _talk(self, person: Person, place: int) -> None:
        """Say something, for ever; now and then to one alone."""
        chance = random.Random(self._chance.random())
        buddy = self._staying[place - 1]
        try:
            while True:
                await asyncio.sleep(chance.expovariate(1 / PAUSE))
                if chance.random() < 0.1:
                    person.tells(buddy, words(chance))
                else:
                    person.talks(words(chance), chance.choice(("", "", "", "/msg ")))
                if chance.random() < 0.02:
                    person.says(chance.choice(QUESTIONS))
        except GoneError:
            self._report(f"{person.name}, who stays, lost the connection")

    def _wrong(self, error: Exception) -> None:
        self._report(str(error) or repr(error))
