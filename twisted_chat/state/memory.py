"""A store that loses everything when the process ends."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import islice
from typing import Any

from zope.interface import implementer

from twisted_chat.chat.account import AccountRecord
from twisted_chat.chat.charter import Charter
from twisted_chat.chat.events import Deed, Line, Told, Who
from twisted_chat.chat.kept import Kept, KeptRoom
from twisted_chat.chat.limits import LETTERS
from twisted_chat.chat.names import Name
from twisted_chat.chat.place import Place
from twisted_chat.histogram import Histogram
from twisted_chat.interfaces import IStore
from twisted_chat.state import record
from twisted_chat.state.matching import Matcher


@implementer(IStore)
class MemoryStore:
    """Keeps the last lines of each room, and so many of all rooms together."""

    backlog = 0
    trouble = ""
    form = "memory"

    def __init__(self, lines_per_room: int = 1000, lines: int = 100_000) -> None:
        """
        :param lines_per_room: how many are kept of one room.
        :param lines: how many are kept in all; whichever room has been silent for longest
            loses its eldest.
        """
        self._lines_per_room = lines_per_room
        self._lines = lines
        self._rooms: OrderedDict[int, deque[Line]] = OrderedDict()
        """By id, the one that has been silent for longest first."""
        self._accounts: dict[str, AccountRecord] = {}
        """By each of the keys of their names."""
        self._letters: dict[str, dict[int, Told]] = {}
        """By account and id."""
        self._deeds: deque[Deed] = deque(maxlen=lines_per_room)
        self._known: dict[int, KeptRoom] = {}
        """The rooms that are kept, by id; while this process lasts the rules know them, too."""
        self._kept = 0
        self._last = 0
        self.commits = Histogram()

    def open(self, left: Any = None) -> Kept:
        if left is None:
            return Kept()
        for line in left["lines"]:
            self.record(record.to_line(line))
        for account in map(AccountRecord.from_record, left["accounts"]):
            self._accounts.update(dict.fromkeys(Name.of(account.name).keys, account))
        for letter in left["letters"]:
            self.keep_letter(record.to_letter(letter))
        for id_, time, who, *rest in left["deeds"]:
            self.note(Deed(id_, time, Who(*who), *rest))
        rooms = [
            KeptRoom._make((*room, Charter.from_record(laid_down)))
            for *room, laid_down in left["rooms"]
        ]
        self._known = {room.id: room for room in rooms}
        return Kept(self._last, tuple(rooms))

    async def release(self) -> object:
        lines = (line for room in self._rooms.values() for line in room)
        letters = (letter for waiting in self._letters.values() for letter in waiting.values())
        return {
            "lines": [record.of_line(one) for one in sorted(lines, key=lambda line: line.id)],
            "accounts": list(set(self._accounts.values())),
            "letters": [record.of_letter(one) for one in letters],
            "deeds": list(self._deeds),
            "rooms": [(*room[:-1], room.charter.to_record()) for room in self._known.values()],
        }

    def regain(self) -> None:
        """Nothing: it is all still there."""

    def keep(self, room: KeptRoom) -> None:
        self._known[room.id] = room

    def record(self, event: Line) -> None:
        if event.id <= self._last:
            return
        self._last = event.id
        room = self._rooms.get(event.room)
        if room is None:
            room = self._rooms[event.room] = deque(maxlen=self._lines_per_room)
        self._rooms.move_to_end(event.room)
        full = len(room) == self._lines_per_room
        room.append(event)
        if full:  # its eldest made way
            return
        self._kept += 1
        if self._kept > self._lines:
            self._forget_one()

    async def history(self, room: int, limit: int, since: float = 0.0) -> Sequence[Line]:
        newest = (line for line in reversed(self._rooms.get(room, ())) if line.time >= since)
        return list(islice(newest, limit))[::-1]

    async def search(self, room: int, words: Sequence[str], limit: int) -> Sequence[Line]:
        matches = Matcher(words)
        newest = reversed(self._rooms.get(room, ()))
        return list(islice(filter(matches, newest), limit))

    def forget(self, identity: str, until: int) -> None:
        for room, lines in list(self._rooms.items()):
            left = [line for line in lines if line.who.identity != identity or line.id > until]
            self._kept -= len(lines) - len(left)
            if left:
                self._rooms[room] = deque(left, self._lines_per_room)
            else:
                del self._rooms[room]

    def erase(self, room: int) -> None:
        self._known.pop(room, None)
        self._kept -= len(self._rooms.pop(room, ()))

    async def account(self, keys: Sequence[str]) -> AccountRecord | None:
        return next((self._accounts[key] for key in keys if key in self._accounts), None)

    async def keep_account(self, account: AccountRecord) -> None:
        self._accounts.update(dict.fromkeys(Name.of(account.name).keys, account))

    async def drop_account(self, id_: str) -> None:
        for key in [key for key, account in self._accounts.items() if account.id == id_]:
            del self._accounts[key]
        self._letters.pop(id_, None)

    def keep_letter(self, event: Told) -> None:
        letters = self._letters.setdefault(event.to.account or "", {})
        if len(letters) < LETTERS:
            letters[event.id] = event

    async def letters(self, account: str) -> Sequence[Told]:
        return list(self._letters.get(account, {}).values())

    def drop_letters(self, account: str, until: int) -> None:
        letters = self._letters.pop(account, {})
        if left := {id_: one for id_, one in letters.items() if id_ > until}:
            self._letters[account] = left

    def note(self, deed: Deed) -> None:
        if not self._deeds or deed.id > self._deeds[-1].id:
            self._deeds.append(deed)

    async def deeds(self, limit: int) -> Sequence[Deed]:
        return list(self._deeds)[-limit:]

    def keep_place(self, place: Place) -> None:
        """Nothing: while this process lasts the rules know it, and so does the one after it."""

    def drop_place(self, account: str) -> None:
        """Nothing, likewise."""

    def condition(self) -> Sequence[str]:
        return ["what is said is kept in memory, and lost when the server ends"]

    async def close(self) -> None:
        """Nothing: there is nothing to let go of."""

    def _forget_one(self) -> None:
        """Drop the eldest line of the room that has been silent for longest."""
        id_, room = next(iter(self._rooms.items()))
        room.popleft()
        self._kept -= 1
        if not room:
            del self._rooms[id_]
