"""Commands for those who run the server."""

from typing import TYPE_CHECKING

from twisted_chat.chat.acts import Announced, Pardoned, Sanctioned
from twisted_chat.chat.answers import Audit, Notice
from twisted_chat.chat.charter import EVERYONE, Rank, Sanction
from twisted_chat.chat.commands.command import command
from twisted_chat.chat.events import ChatError
from twisted_chat.chat.limits import AUDITED, AUDITED_AT_MOST

if TYPE_CHECKING:
    from twisted_chat.chat.session import Session


@command(
    "wall",
    usage="/wall TEXT",
    help="tell everyone on the server something",
    needs=("text",),
    rank=Rank.SERVER,
)
async def wall(session: "Session", text: str) -> None:
    await session.rooms.backplane.claim(Announced(session.who, 0, text))


@command(
    "lockdown",
    usage="/lockdown [off]",
    help="let nobody new in but those who have an account, until it is off",
    takes=1,
    rank=Rank.SERVER,
)
async def lockdown(session: "Session", off: str = "") -> None:
    if off.lower() not in ("", "off"):
        raise ChatError(f"{off} is not off. usage: /lockdown [off]")
    rooms = session.rooms
    now = rooms.clock()
    sanctions = rooms.rights.everywhere.charter.sanctions
    in_force = next((one for one in sanctions if one.subject == EVERYONE), None)
    if not off and in_force:
        raise ChatError("the server is locked down already. usage: /lockdown off")
    if not off:
        begun = Sanction("ban", EVERYONE, "guests", session.account[1:], "", now, None)
        await rooms.backplane.claim(Sanctioned(session.who, 0, begun))
    elif in_force:
        await rooms.backplane.claim(Pardoned(session.who, 0, in_force))
    else:
        raise ChatError("the server is not locked down. usage: /lockdown")


@command(
    "audit",
    usage="/audit [N]",
    help="show who did what to keep order, the last of it or the last N",
    takes=1,
    rank=Rank.SERVER,
)
async def audit(session: "Session", number: str = "") -> None:
    if number and not (number.isascii() and number.isdigit() and 0 < int(number[:9]) < 10**9):
        raise ChatError(f"{number} is no number. usage: /audit [N]")
    limit = min(int(number[:9] or AUDITED), AUDITED_AT_MOST)
    deeds = await session.rooms.store.deeds(limit)
    session.show(Audit(deeds) if deeds else Notice("nobody has done anything yet"))
