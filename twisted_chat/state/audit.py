"""Who did what to keep order, in the file, in SQL."""

import json

from twisted_chat.chat.events import Deed, Who
from twisted_chat.chat.limits import DEEDS
from twisted_chat.state.archive import Statement
from twisted_chat.state.database import ReadOnly


def note(deed: Deed) -> list[Statement]:
    """Keep a deed, and no more of them than so many."""
    row = (deed.id, deed.time, *deed.who, deed.room, deed.words)
    return [
        Statement("INSERT OR IGNORE INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", row),
        Statement(
            "DELETE FROM audit WHERE id <= "
            "(SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (DEEDS,),
        ),
    ]


def deeds(file: ReadOnly, limit: int) -> list[Deed]:
    """Give the newest deeds, oldest first."""
    found = file.one(
        "SELECT json_group_array(json_array(id, time, person, account, name, room, words)) "
        "FROM (SELECT * FROM audit ORDER BY id DESC LIMIT ?)",
        (limit,),
    )
    return sorted(_deed(*row) for row in json.loads(found))


def _deed(id_: int, time: float, *rest: str) -> Deed:
    *who, room, words = rest
    return Deed(id_, time, Who(*who), room, words)
