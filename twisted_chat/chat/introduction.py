"""Who has told the door who they are, before they were here."""

from typing import TYPE_CHECKING, NamedTuple

from twisted_chat.chat import names
from twisted_chat.chat.account import Account
from twisted_chat.chat.answers import Refusal
from twisted_chat.chat.comeback import log_in
from twisted_chat.chat.events import ChatError, Renamed

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session


class Introduction(NamedTuple):
    """What somebody wants to be called, and the account that they have proved to have."""

    name: str
    account: Account | None = None


async def introduce(session: "Session", introduction: Introduction) -> bool:
    """Have someone be who they said they are, as far as that may be.

    :returns: whether they have been greeted.
    """
    name, account = introduction
    try:
        if account:
            await log_in(session, account)
            return True
        if name != names.STRANGER:  # or they want none
            wanted = names.nick(name).text
            await session.rooms.backplane.claim(Renamed(session.who, 0, wanted))
    except ChatError as refused:
        session.show(Refusal(str(refused)))
    return False
