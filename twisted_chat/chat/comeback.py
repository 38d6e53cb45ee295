"""What those are shown who come back to their place."""

from typing import TYPE_CHECKING

from twisted_chat.chat.account import Account
from twisted_chat.chat.answers import Notice, Replay, Shown
from twisted_chat.chat.charter import Rank
from twisted_chat.chat.duration import in_words
from twisted_chat.chat.events import ChatError, Line, LoggedIn
from twisted_chat.chat.limits import REPLAYED_AT_MOST
from twisted_chat.chat.place import Gone

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session


async def log_in(session: "Session", account: Account) -> None:
    """Have someone logged in, who has proved who they are, and greet them.

    :raises ChatError: they cannot be.
    """
    begin = await be_logged_in(session, account)
    await welcome_back(session, begin, _greeting(session))
    greet_operator(session)
    await show_letters(session)


async def be_logged_in(session: "Session", account: Account) -> int:
    """Have someone logged in; give the id of the event.

    :raises ChatError: they cannot be.
    """
    login = LoggedIn(session.who, account.id, account.name)
    return (await session.rooms.backplane.claim(login)).id


def _greeting(session: "Session") -> str:
    room = session.person.room
    where = f", in {room.name.text}" if room else ""
    return f"welcome back, {session.who.name}. you are logged in{where}"


def greet_operator(session: "Session") -> None:
    """Tell an operator of the server that they are one."""
    if session.rank is Rank.SERVER:
        session.show(Notice("you are an operator of the server. /help tells what you can do"))


async def show_letters(session: "Session") -> None:
    """Show what was told to someone while they were not here."""
    store = session.rooms.store
    letters = await store.letters(session.account)
    if letters:
        session.show(Replay([one for one in letters if one.who.identity not in session.ignored]))
        store.drop_letters(session.account, letters[-1].id)


async def welcome_back(session: "Session", begin: int, words: str) -> None:
    """Greet who has come back, and show what they have missed.

    :param begin: the id of the event by which they came back.
    :param words: the greeting.
    """
    room, gone, after = session.person.room, session.absence, session.take_after()
    seen = after if after is not None or gone is None else gone.seen
    if room is None or seen is None:
        session.show(Notice(words))
    else:
        missed = await _missed(session, room.id, seen, begin)
        # What is said from now on was held back until this.
        session.rooms.delivery.release(session.person, Notice(words), *missed)
        session.rooms.delivery.settle(session.person)
    session.caught_up()


async def _missed(session: "Session", room: int, seen: int, begin: int) -> list[Shown]:
    try:
        lines = await session.rooms.store.history(room, REPLAYED_AT_MOST + 1)
    except ChatError as refused:
        return [Notice(str(refused))]
    except Exception as error:  # or the room would never be shown again
        session.rooms.trouble(error, session.client)
        return [Notice("what was said meanwhile cannot be read now")]
    since = [line for line in lines if seen < line.id < begin]
    has_gap = len(since) > REPLAYED_AT_MOST
    others = (line for line in since if line.who.identity != session.who.identity)
    missed = session.heeded(others)[-REPLAYED_AT_MOST:]
    return _told(missed, has_gap, session.absence, session.rooms.clock())


def _told(missed: list[Line], has_gap: bool, gone: Gone | None, now: float) -> list[Shown]:
    """Give what was missed, and how much that is; nothing more if it was but a moment."""
    if gone is None:
        return [Replay(missed, has_gap)] if missed else []
    span = in_words(now - gone.time)
    if not missed:
        return [Notice(f"you were gone for {span}, and missed nothing")]
    number = "1 line" if len(missed) == 1 else f"{len(missed)} lines"
    least = "at least " if has_gap else ""
    return [Notice(f"you were gone for {span}, and missed {least}{number}:"), Replay(missed)]
