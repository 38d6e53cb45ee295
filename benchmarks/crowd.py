"""Those who come to a soak, do something, and go."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.doors import GoneError, Ports
from benchmarks.ledger import Ledger
from benchmarks.person import MOVES, PATIENCE, Person, source, words

ROOMS = ("tea", "coffee", "cocoa")
EVERY = 1.0
"""Seconds from one who comes to the next, in the mean."""
AT_ONCE = 25
"""Comers who may be there at a time."""
ACCOUNTS = 8
PASSWORD = "correct horse battery"
PASTED = 120
"""Lines of one who floods: flood control holds back most of them."""
HEAVY = 100
"""Lines of 900 bytes that one pastes; another asks for the history as often, and reads nothing."""

Scene = Callable[[str], Coroutine[Any, Any, None]]


class Crowd:
    """All of them, each in a scene that is played to its end."""

    def __init__(
        self, ports: Ports, ledger: Ledger, chance: random.Random, report: Callable[[str], None]
    ) -> None:
        """
        :param report: is told, in words, what went wrong.
        """
        self.here: set[Person] = set()
        self.acts: dict[str, int] = {}
        """How often each scene was played to its end."""
        self.is_restarting = False
        self._ports, self._ledger = ports, ledger
        self._chance, self._report = chance, report
        self._coming: set[asyncio.Task[None]] = set()
        self._came = 0
        self._excused: set[str] = set()
        """Those who may lose the connection by a hot restart."""
        self._heavy, self._court = asyncio.Lock(), asyncio.Lock()
        self._free_accounts = [f"acc{number}" for number in range(ACCOUNTS)]
        self._scenes: dict[Scene, int] = {
            self._visit: 60,
            self._flood: 3,
            self._read_late: 5,
            self._read_never: 2,
            self._be_cut_off: 12,
            self._keep_order: 5,
            self._look_around: 13,
        }

    async def register(self) -> None:
        """Have the accounts made to which people log in."""
        for account in self._free_accounts:
            async with self._person(account) as person:
                await self._arrive(person)
                await person.take_name()
                await person.asks(f"/register {PASSWORD}", f"> {account} is yours now")
                await person.quit()

    async def go_on(self, until: Callable[[], bool]) -> None:
        """Have people come, as long as it is not time."""
        while not until():
            await asyncio.sleep(self._chance.expovariate(1 / EVERY))
            if len(self._coming) < AT_ONCE:
                [scene] = self._chance.choices([*self._scenes], [*self._scenes.values()])
                task = asyncio.create_task(self._play(scene, f"c{self._came}"))
                self._coming.add(task)
                task.add_done_callback(self._coming.discard)
                self._came += 1

    @contextmanager
    def restart(self) -> Iterator[None]:
        """Meanwhile whoever has a connection that cannot move may lose it."""
        self._excused |= {person.name for person in self.here if not person.moves}
        self.is_restarting = True
        try:
            yield
        finally:
            self.is_restarting = False

    async def end(self) -> None:
        """Wait until all have gone."""
        if self._coming:
            await asyncio.wait(self._coming, timeout=3 * PATIENCE)

    async def _play(self, scene: Scene, name: str) -> None:
        """Play a scene to its end, unless it loses its connection at a restart."""
        what = scene.__name__.strip("_").replace("_", " ")
        try:
            await scene(name)
        except GoneError:
            if name not in self._excused:
                self._report(f"{name} lost the connection ({what})")
        except (TimeoutError, OSError) as error:
            self._report(f"{name} ({what}): {error!r}")
        else:
            self.acts[what] = self.acts.get(what, 0) + 1
        self._excused.discard(name)

    # The scenes

    async def _visit(self, name: str) -> None:
        """Come by any door, say a few lines, and go in any way."""
        door = self._chance.choices(("text", "json", "tls", "web", "ssh"), (40, 20, 20, 15, 5))[0]
        async with self._person(name) as person:
            await self._arrive(person, door)
            await person.take_name()
            await person.enter(self._chance.choice(ROOMS))
            for _ in range(self._chance.randrange(8)):
                await asyncio.sleep(self._chance.expovariate(1))
                person.talks(self._words())
            leave = self._chance.choice((person.quit, person.quit, person.finish, person.drop))
            await leave()

    async def _look_around(self, name: str) -> None:
        """Come, and ask for all kinds of things."""
        async with self._person(name) as person:
            await self._arrive(person, self._chance.choice(("text", "tls")))
            await person.asks("/rooms", "> available rooms: ")
            await person.asks("/who tea", "> in tea: ")
            await person.take_name()
            await person.enter(self._chance.choice(ROOMS))
            person.says("/history 100", "/time Europe/Berlin", "/whois tea0", "/ignore tea1")
            person.says("/topic about " + self._words(), "/me looks around", "/away")
            person.says("/search kettle")
            await person.asks("/nonsense", "err: unknown command: /nonsense")
            await person.quit(f"/quit {self._words()}")

    async def _flood(self, name: str) -> None:
        """Paste more than is taken at once, and go: all of it must be heard."""
        async with self._person(name) as person:
            await self._arrive(person)
            await person.take_name()
            await person.enter(self._chance.choice(ROOMS))
            person.pastes(*(self._words() for _ in range(PASTED)))
            await person.quit()

    async def _read_late(self, name: str) -> None:
        """Read nothing for a while, and then all of it."""
        async with self._person(name) as person:
            await self._arrive(person, receive_buffer=4096)
            await person.take_name()
            await person.enter(self._chance.choice(ROOMS))
            person.pauses()
            await asyncio.sleep(self._chance.uniform(2, 10))
            await person.reads_on()
            await person.quit()

    async def _read_never(self, name: str) -> None:
        """Be cut, for reading nothing of what somebody pastes, nor of what one has asked for."""
        has_left = asyncio.Event()
        async with self._heavy, self._person(name) as person, self._person(f"{name}b") as other:
            other.also_to(lambda heard: has_left.set() if heard.kind == "left" else None)
            for one, receive_buffer in ((person, 4096), (other, 0)):
                await self._arrive(one, receive_buffer=receive_buffer)
                await one.take_name()
                await one.enter("heavy")
            person.pauses()
            other.pastes(*["x" * 900] * HEAVY)
            person.says(*["/history 200"] * HEAVY)
            async with asyncio.timeout(PATIENCE):
                await has_left.wait()
            await other.quit()

    async def _be_cut_off(self, name: str) -> None:
        """Log in, talk, lose the connection, and go on in the place that was kept."""
        if not self._free_accounts:
            return
        account = self._free_accounts.pop(0)
        try:
            async with self._person(account) as person:
                await self._log_in(person, f"> welcome back, {account}")
                await person.enter(self._chance.choice(ROOMS))
                for _ in range(self._chance.randrange(1, 4)):
                    room = person.room
                    person.talks(self._words())
                    await asyncio.sleep(self._chance.uniform(0.5, 3))
                    await self._chance.choice((person.drop, person.finish))()
                    await asyncio.sleep(self._chance.uniform(0.5, 10))
                    await self._log_in(
                        person, f"> welcome back, {account}. you are logged in, in {room}"
                    )
                    person.room = room
                await person.quit()
        finally:
            self._free_accounts.append(account)

    async def _log_in(self, person: Person, answer: str) -> None:
        await self._arrive(person)
        await person.asks(f"/login {person.name} {PASSWORD}", answer)

    async def _keep_order(self, name: str) -> None:
        """Run a room, and someone out of it."""
        account = "acc-judge"
        async with self._court, self._person(name) as person, self._person(account) as judge:
            await self._arrive(judge)
            if account in self._ledger.said:
                await judge.asks(f"/login {account} {PASSWORD}", "> ")
            else:
                await judge.take_name()
                await judge.asks(f"/register {PASSWORD}", f"> {account} is yours now")
            await judge.enter("court")
            await self._arrive(person)
            await person.take_name()
            await person.enter("court")
            person.talks("unheard of")
            await judge.asks(f"/mute {name} 1m loud", f"> {account} muted {name}")
            await person.asks("is anybody there?", "err: ")
            await judge.asks(f"/unmute {name}", f"> {account} ")
            await judge.asks(f"/ban {name} 1m enough", f"> {account} banned {name}")
            await person.asks("/join court", "err: ")
            await judge.asks(f"/unban {name}", f"> {account} ")
            await person.enter("court")
            await judge.asks(f"/kick {name}", f"> {account} kicked {name}")
            await person.quit()
            await judge.quit()

    # What they have in common

    def _person(self, name: str) -> "_Here":
        return _Here(self.here, Person(name, self._ledger, self._wrong))

    async def _arrive(self, person: Person, door: str = "text", receive_buffer: int = 0) -> None:
        if self.is_restarting and door not in MOVES:
            self._excused.add(person.name)
        await person.come(self._ports, door, source(self._chance), receive_buffer)

    def _words(self) -> str:
        return words(self._chance)

    def _wrong(self, error: Exception) -> None:
        self._report(str(error) or repr(error))


class _Here:
    """Someone is here, and leaves nothing behind."""

    def __init__(self, here: set[Person], person: Person) -> None:
        self._all, self._person = here, person

    async def __aenter__(self) -> Person:
        self._all.add(self._person)
        return self._person

    async def __aexit__(self, *_: object) -> None:
        await self._person.go()
        self._all.discard(self._person)
