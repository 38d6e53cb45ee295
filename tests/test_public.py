"""The public names: what is promised to those who build on the chat, and no more."""

import inspect
from enum import Enum
from importlib import import_module
from typing import Any

import pytest
from test_readme import literals, page, table
from twisted.internet.testing import MemoryReactorClock
from zope.interface.interface import InterfaceClass, Method

import twisted_chat
from twisted_chat import ChatService, testing

pytest.importorskip("autobahn")  # for the page
pytest.importorskip("prometheus_client")  # for metrics

PUBLIC = {
    "twisted_chat.ChatService": (
        "(reactor, ports=~, limits=~, store=~, backplane=~, *, json=~, web=~, "
        "web_origins=~, ssh=~, ssh_host_key=~, metrics=~, proxies=~, node=~, checkers=~, "
        "operators=~, plugins=~, code=~)"
    ),
    "twisted_chat.ChatFactory": "(reactor, rooms=~)",
    "twisted_chat.Limits": (
        "(max_line=~, flood=~, max_connections=~, max_per_address=~, sendq=~, "
        "idle_timeout=~, grace=~, drain=~, replay=~)"
    ),
    "twisted_chat.Session": "(id, client, rooms, wake, origin=~)",
    "twisted_chat.ChatPlugin": "()",
    "twisted_chat.Command": (
        "(name, run, usage, help, aliases=~, needs=~, takes=~, in_room=~, account=~, "
        "rank=~, barred=~, cost=~)"
    ),
    "twisted_chat.command": (
        "(name, *aliases, usage, help, needs=~, takes=~, in_room=~, account=~, rank=~, "
        "barred=~, cost=~)"
    ),
    "twisted_chat.Rank": "MEMBER OPERATOR OWNER SERVER",
    "twisted_chat.ChatError": "Exception",
    "twisted_chat.Notice": "(text)",
    "twisted_chat.Ending": "OVER QUIT ELSEWHERE BANNED",
    "twisted_chat.sanitize": "(text)",
    "twisted_chat.PLAIN": "Text",
    "twisted_chat.JSON": "JsonLines",
    "twisted_chat.interfaces.IChatPlugin": (
        "commands name on_join(session, room_name) on_leave(session, reason) on_say(session, text)"
    ),
    "twisted_chat.interfaces.IClient": (
        "close(reason, ending) conceal(hidden) echo exposed format send(data)"
    ),
    "twisted_chat.interfaces.IFormat": "adapted(zone, quiet) render(event)",
    "twisted_chat.interfaces.IStore": (
        "account(keys) backlog close() commits condition() deeds(limit) drop_account(id_) "
        "drop_letters(account, until) drop_place(account) erase(room) forget(identity, "
        "until) form history(room, limit, since=0.0) keep(room) keep_account(record) "
        "keep_letter(event) keep_place(place) letters(account) note(deed) open(left=None) "
        "record(event) regain() release() search(room, words, limit) trouble"
    ),
    "twisted_chat.state.memory.MemoryStore": "(lines_per_room=~, lines=~)",
    "twisted_chat.state.sqlite.SQLiteStore": (
        "(reactor, path, *, keep_seconds=~, keep_lines=~, worker=~)"
    ),
    "twisted_chat.chat.kept.StateError": "Exception",
    "twisted_chat.doors.web.Page": "(chat, origins=~)",
    "twisted_chat.doors.metrics.Collector": "(chat)",
    "twisted_chat.doors.monitor.Pulse": "(reactor, delay)",
    "twisted_chat.histogram.Histogram": "(bounds=~)",
    "twisted_chat.node.Node": (
        "(reactor, target, name=~, *, keep_seconds=~, keep_lines=~, lease=~, patience=~, token=~)"
    ),
    "twisted_chat.link.Target": "(host=~, port=~, path=~, user=~, password=~, db=~, tls=~, ca=~)",
    "twisted_chat.testing.rooms": (
        "(clock=~, backplane=~, store=~, limits=~, operators=~, *, plugins=~)"
    ),
    "twisted_chat.testing.ManualClock": "(now=~)",
    "twisted_chat.testing.RecordingClient": "(format=~, echo=~)",
    "twisted_chat.testing.ManualWorker": "(clock, name=~)",
    "twisted_chat.testing.DelayedBackplane": "(clock)",
}
"""How each is called, with ``~`` for what may be left out; or what there is of it."""
OF_A_SESSION = {
    "show": "(self, *shown)",
    "report": "(self, text)",
    "receive": "(self, line, clean=~)",
    "pause": "(self)",
    "end": "(self, reason=~)",
}
CONNECT = "(client, wake=~, origin=~, after=~, introduction=~)"


class Default:
    """A value that may change."""

    def __repr__(self) -> str:
        return "~"


def find(name: str) -> Any:
    """Give what a full name stands for."""
    module, _, word = name.rpartition(".")
    return getattr(import_module(module), word)


def signature(called: Any) -> str:
    """Tell how something is called: mypy knows the types, and what stands for them differs."""
    parameters = [
        one.replace(
            annotation=one.empty, default=one.empty if one.default is one.empty else Default()
        )
        for one in inspect.signature(called).parameters.values()
    ]
    return str(inspect.Signature(parameters))


def shape(found: Any) -> str:
    """Tell what others rely on."""
    if isinstance(found, InterfaceClass):
        members = found.namesAndDescriptions(all=True)
        return " ".join(
            name + (one.getSignatureString() if isinstance(one, Method) else "")
            for name, one in sorted(members)
        )
    if not isinstance(found, type):
        return signature(found) if inspect.isfunction(found) else type(found).__name__
    if issubclass(found, Enum):
        return " ".join(one.name for one in found)
    return "Exception" if issubclass(found, Exception) else signature(found)


def test_the_page_names_them():
    """The table of public names has these, and no others."""
    rows = table(page("docs/embedding.rst"), "name")
    assert sorted(literals(name)[0] for name, _ in rows) == sorted(PUBLIC)


def test_the_packages_name_them():
    """What is exported is public."""
    exported = {f"twisted_chat.{name}" for name in twisted_chat.__all__}
    exported |= {f"twisted_chat.testing.{name}" for name in testing.__all__}
    assert exported == {
        name for name in PUBLIC if name.count(".") == 1 or name.startswith("twisted_chat.testing.")
    }


@pytest.mark.parametrize("name", PUBLIC)
def test_how_they_are_called(name: str):
    """Each is called as it always was, and tells in words what it is."""
    found = find(name)
    assert shape(found) == PUBLIC[name]
    assert (found.__doc__ or "").strip()


def test_what_is_given():
    """What the page names of a service, of a chat and of a session is there, and called so."""
    service = ChatService(MemoryReactorClock())
    assert service.factory.rooms is service.rooms
    assert signature(service.rooms.connect) == CONNECT
    session = testing.rooms().connect(testing.RecordingClient())
    for line in ("/nick ann", "/join tea"):
        session.receive(line)
    assert (session.who.name, session.room.name.text) == ("ann", "tea")
    assert session.who.identity == session.id
    kind = twisted_chat.Session
    assert {name: signature(getattr(kind, name)) for name in OF_A_SESSION} == OF_A_SESSION
    assert all(getattr(kind, name).__doc__ for name in OF_A_SESSION)
