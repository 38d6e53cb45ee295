"""What a chat that runs obeys anew, without a restart: all of it, or nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple

from twisted.logger import Logger

from twisted_chat.chat.answers import Notice
from twisted_chat.chat.limits import Limits
from twisted_chat.chat.sanitize import sanitize
from twisted_chat.service import ChatService
from twisted_chat.settings import Settings
from twisted_chat.state.redis import RedisStore
from twisted_chat.state.sqlite import SQLiteStore

RELOADED = frozenset({"motd", "keep", "keep-lines", "operator"}).union(
    field.name.replace("_", "-") for field in fields(Limits)
)
"""The options that a reload changes; the others wait for a restart."""


class Change(NamedTuple):
    """Something that is ready to be done without a restart; doing it will not fail."""

    words: Sequence[str]
    """What is told of it, for each thing that is new."""
    make: Callable[[], None]


class Reload:
    """Reads what the chat was told once more, and has it obeyed."""

    log = Logger()

    def __init__(
        self, chat: ChatService, settings: Settings, within: Callable[[Limits], Limits]
    ) -> None:
        """
        :param settings: those with which the chat starts.
        :param within: keeps limits within what the system allows.
        """
        self._chat = chat
        self._started = self._settings = settings
        self._within = within
        self.parts: list[Callable[[Settings], Change]] = [
            self._prepare,
            self._prepare_certificates,
        ]
        """Each makes a part of the reload ready, or raises; it changes nothing yet."""

    def run(self) -> None:
        """Obey what the files say now, and tell what is new, or what is wrong."""
        try:
            settings = self._settings.again()
            changes = [prepare(settings) for prepare in self.parts]
        except Exception as error:  # each part fails in its own way
            why = f"not reloaded, all stays as it was: {sanitize(str(error) or repr(error))}"
            self.log.error("{why}", why=why)
            self._tell_operators(why)
            return
        for change in changes:
            change.make()
        words = f"reloaded: {self._words(changes, settings)}"
        self.log.info("{words}", words=words)
        self._tell_operators(words)

    def _words(self, changes: Sequence[Change], settings: Settings) -> str:
        words = ", ".join(word for change in changes for word in change.words) or "nothing is new"
        waiting = differences(self._started, settings, settings.settable().keys() - RELOADED)
        if waiting:  # only their names: a value may be a password
            words += f". after a restart: {', '.join(sorted(waiting))}"
        return words

    def _tell_operators(self, words: str) -> None:
        self._chat.rooms.order.tell_operators(Notice(f"the server was {words}"))

    def _prepare(self, settings: Settings) -> Change:
        """Make the options ready that can be changed."""
        new = differences(self._settings, settings, sorted(RELOADED - {"motd"}))
        words = [f"{name} {change}" for name, change in new.items()]
        if settings.motd != self._chat.rooms.motd:
            words.append("motd")
        return Change(words, partial(self._obey, settings))

    def _prepare_certificates(self, settings: Settings) -> Change:
        """Read the certificates of the ports anew."""
        prepared = [one.prepare_certificate() for one in self._chat.listeners]
        renewals = [renew for renew in prepared if renew]
        return Change(["certificates"] if renewals else [], lambda: _do_all(renewals))

    def _obey(self, settings: Settings) -> None:
        self._settings = settings
        rooms = self._chat.rooms
        rooms.motd = settings.motd
        self._chat.obey(self._within(settings.limits))
        self._chat.appoint(settings["operator"])
        if isinstance(rooms.store, SQLiteStore | RedisStore):
            rooms.store.keep_for(settings.keep_seconds, settings.keep_lines)


def _do_all(tasks: Iterable[Callable[[], None]]) -> None:
    for do in tasks:
        do()


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], names: Iterable[str]
) -> dict[str, str]:
    """Tell of each option that is not what it was: ``512 -> 600``."""
    shown = {name: (_shown(old[name]), _shown(new[name])) for name in names}
    return {name: f"{one} -> {other}" for name, (one, other) in shown.items() if one != other}


def _shown(value: object) -> str:
    if isinstance(value, list | dict):
        value = " ".join(value)
    return "none" if value in (None, "") else sanitize(str(value))
