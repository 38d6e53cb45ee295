"""One of the people of a soak: comes, hears, and is asked to say things."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

from benchmarks.doors import Door, GoneError, Heard, Ports
from benchmarks.ledger import Ear, Ledger

PATIENCE = 60.0
"""Seconds for an answer: of those whom flood control holds back, too."""

MOVES = ("text", "json")
"""The doors whose connections outlive a hot restart."""
SENTENCE = "the kettle sings and rain runs down while somebody warms a cup for you"


def words(chance: random.Random) -> str:
    """Give something to say."""
    return " ".join(chance.choices(SENTENCE.split(), k=chance.randrange(1, 20)))


def source(chance: random.Random) -> str:
    """Give the address that someone comes from."""
    return f"127.0.{chance.randrange(1, 5)}.{chance.randrange(1, 255)}"


class Person:
    """Someone by a name, who keeps it over many connections."""

    def __init__(
        self,
        name: str,
        ledger: Ledger,
        report: Callable[[Exception], None],
        *,
        is_prompt: bool = False,
    ) -> None:
        """
        :param report: is told what is wrong with what was heard.
        :param is_prompt: whether they always hear at once what comes.
        """
        self.name = name
        self.room = ""
        self.moves = True
        """Whether the connection outlives a hot restart."""
        self.is_gone = asyncio.Event()
        self._ledger, self._report = ledger, report
        self._ear = Ear(name, ledger, is_prompt=is_prompt)
        self._answers: asyncio.Queue[str] = asyncio.Queue()
        self._listeners: list[Callable[[Heard], object]] = [self._ear.hears]
        self._door: Door | None = None
        self._listening: asyncio.Task[None] | None = None

    def also_to(self, listener: Callable[[Heard], object]) -> None:
        """Have somebody else be told all that is heard."""
        self._listeners.append(listener)

    def misses(self, other: "Person") -> int:
        """Tell how many lines of somebody who was always there have not come yet."""
        return self._ear.misses(other.name)

    async def come(self, ports: Ports, door: str, source: str, receive_buffer: int = 0) -> None:
        """Connect, and be greeted."""
        self.moves = door in MOVES
        self.is_gone.clear()
        self._answers = asyncio.Queue()
        self._door = await ports.open(door, source, receive_buffer)
        self._listening = asyncio.create_task(self._listen(self._door))
        await self.answer("> welcome. ")

    async def take_name(self) -> None:
        await self.asks(f"/nick {self.name}", f"> all right, I will call you {self.name}")

    async def enter(self, room: str) -> None:
        self._ledger.enters(self.name)
        self.room = room
        await self.asks(f"/join {room}", f"> welcome to {room}")

    async def asks(self, line: str, answer: str) -> str:
        """Say a line, and wait for an answer that begins so; give it."""
        self.says(line)
        return await self.answer(answer)

    def says(self, *lines: str) -> None:
        """
        :raises GoneError: nobody hears it.
        """
        if self._door is None or self.is_gone.is_set():
            raise GoneError
        self._door.say(*lines)

    def talks(self, words: str, mark: str = "") -> None:
        """Say a line that is counted.

        :param mark: a command before it.
        """
        self.says(mark + self._ledger.next_line(self.name, words))

    def pastes(self, *lines: str) -> None:
        """Say many at once, which flood control may hold back."""
        self.says(*(self._ledger.next_line(self.name, one, is_timed=False) for one in lines))

    def tells(self, other: "Person", words: str) -> None:
        """Tell somebody alone something that is counted."""
        voice = f"{self.name} to {other.name}"
        self._ledger.said.setdefault(voice, 0)
        self.says(f"/tell {other.name} {self._ledger.next_line(voice, words)}")

    async def answer(self, begin: str) -> str:
        """Wait for an answer that begins so, and give it.

        :raises GoneError: the connection ends before.
        :raises TimeoutError: it does not come.
        """
        seen = []
        try:
            async with asyncio.timeout(PATIENCE):
                while not (found := await self._answers.get()).startswith(begin):
                    seen.append(found)
                    if not found:
                        raise GoneError
        except TimeoutError:
            raise TimeoutError(f"{self.name} waits for {begin!r} after {seen!r:.300}") from None
        return found

    async def quit(self, leave: str = "/quit") -> None:
        """Go in order."""
        if self.moves:
            self._ledger.leaves(self.name)
        await self.asks(leave, "> sad to see you go =(")
        await self.go()

    async def finish(self) -> None:
        """Go by closing the half that writes, and hear all until the end."""
        if self._door:
            self._door.finish()
            async with asyncio.timeout(PATIENCE):
                await self.is_gone.wait()
        await self.go()

    async def drop(self) -> None:
        """Go as one whose connection breaks, and what was on its way is lost."""
        if self._door:
            self._door.drop()
        self._ear.is_cut_off()
        await self.go()

    async def go(self) -> None:
        """Leave nothing behind."""
        if self._listening:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening
        if self._door:
            await self._door.close()
        self._door, self.room = None, ""

    def pauses(self) -> None:
        """Read nothing from now on."""
        if self._listening:
            self._listening.cancel()

    async def reads_on(self) -> None:
        """Read again what has come meanwhile."""
        if self._listening and self._door:
            with suppress(asyncio.CancelledError):
                await self._listening
            self._listening = asyncio.create_task(self._listen(self._door))

    async def _listen(self, door: Door) -> None:
        with suppress(GoneError):
            while True:
                for heard in await door.hear():
                    self._take(heard)
        self.is_gone.set()
        self._answers.put_nowait("")

    def _take(self, heard: Heard) -> None:
        if heard.kind == "answer":
            self._answers.put_nowait(heard.text)
            while self._answers.qsize() > 1000:
                self._answers.get_nowait()
        for listener in self._listeners:
            try:
                listener(heard)
            except Exception as error:
                self._report(error)
