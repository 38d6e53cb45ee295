"""Commands for what was said before."""

import re
from typing import TYPE_CHECKING

from twisted_chat.chat import duration
from twisted_chat.chat.answers import Notice, Replay
from twisted_chat.chat.commands.command import command
from twisted_chat.chat.events import ChatError, Forgot
from twisted_chat.chat.limits import FOUND_AT_MOST, REPLAYED, REPLAYED_AT_MOST, SEARCHED_WORDS

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session


@command(
    "history",
    usage="/history [N or 10m]",
    help="show the last lines of the room: how many, or since when",
    takes=1,
    in_room=True,
)
async def history(session: "Session", span: str = "") -> None:
    room = session.room
    limit, since = _span(span, session.rooms.clock())
    lines = session.heeded(await session.rooms.store.history(room.id, limit, since))
    session.show(Replay(lines) if lines else Notice("nothing was said then"))


def _span(span: str, now: float) -> tuple[int, float]:
    """Read how much history is wanted: how many lines at most, and since when."""
    if not span:
        return REPLAYED, 0.0
    if re.fullmatch("0*[1-9][0-9]{0,17}", span):
        return min(int(span), REPLAYED_AT_MOST), 0.0
    try:
        return REPLAYED_AT_MOST, now - duration.parse(span)
    except ValueError:
        why = f"{span} is no number and no time. usage: /history [N or 10m]"
        raise ChatError(why) from None


@command(
    "search",
    usage="/search WORDS",
    help="show what was said in the room with all these words in it, newest first",
    needs=("what to look for",),
    takes=1,
    in_room=True,
    cost=3,
)
async def search(session: "Session", text: str) -> None:
    words = text.split()
    if len(words) > SEARCHED_WORDS:
        raise ChatError(f"a search takes at most {SEARCHED_WORDS} words")
    # One more than is shown tells whether there are more.
    found = await session.rooms.store.search(session.room.id, words, FOUND_AT_MOST + 1)
    lines = session.heeded(found[:FOUND_AT_MOST])
    session.show(Replay(lines) if lines else Notice("nothing was found"))
    if len(found) > FOUND_AT_MOST:
        session.show(Notice("… and more: another word narrows it"))


@command(
    "forget",
    usage="/forget",
    help="erase what you have said; without an account, in this connection",
    cost=10,
)
async def forget(session: "Session") -> None:
    await session.rooms.backplane.claim(Forgot(session.who))
    session.show(Notice("what you have said is erased from the history"))
