"""Accounts, where they are, and the letters for them, in the file, in SQL."""

import json
from collections.abc import Sequence

from twisted_chat.chat.account import AccountRecord
from twisted_chat.chat.events import Told, Who
from twisted_chat.chat.limits import LETTERS
from twisted_chat.chat.names import Name
from twisted_chat.chat.place import Place
from twisted_chat.state.archive import Statement
from twisted_chat.state.database import ReadOnly


def keep(record: AccountRecord) -> list[Statement]:
    """Keep an account as it is now."""
    kept = Statement(
        "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?)",
        (*record[:-1], json.dumps(record.ssh_keys)),
    )
    keys = [
        Statement("INSERT OR REPLACE INTO account_keys VALUES (?, ?)", (key, record.id))
        for key in Name.of(record.name).keys
    ]
    return [kept, *keys]


def drop(id_: str) -> list[Statement]:
    """Keep an account no longer."""
    return [
        Statement("DELETE FROM accounts WHERE id = ?", (id_,)),
        Statement("DELETE FROM account_keys WHERE account = ?", (id_,)),
        Statement("DELETE FROM letters WHERE account = ?", (id_,)),
    ]


def find(file: ReadOnly, keys: Sequence[str]) -> AccountRecord | None:
    """Find the account that shares one of some keys, if there is one."""
    found = file.one(
        "SELECT coalesce((SELECT json_array(id, name, secret, since, json(ssh_keys)) "
        "FROM accounts WHERE id IN "
        "(SELECT account FROM account_keys WHERE key IN (SELECT value FROM json_each(?))) "
        "LIMIT 1), 'null')",
        (json.dumps(list(keys)),),
    )
    record = json.loads(found)
    return record and AccountRecord.from_record(record)


def keep_letter(event: Told) -> Statement:
    """Keep a private line, unless there are too many for that account already."""
    return Statement(
        "INSERT OR IGNORE INTO letters SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 "
        f"WHERE (SELECT count(*) FROM letters WHERE account = ?2) < {LETTERS}",
        (event.id, event.to.account, event.to.name, event.time, *event.who, event.text),
    )


def drop_letters(account: str, until: int) -> Statement:
    """Keep the letters of an account no longer, up to an id."""
    return Statement("DELETE FROM letters WHERE account = ? AND id <= ?", (account, until))


def letters(file: ReadOnly, account: str) -> list[Told]:
    """Give the letters for an account, oldest first."""
    found = file.one(
        "SELECT json_group_array(json_array(id, name, time, sender, sender_account, sender_name, "
        "text)) FROM (SELECT * FROM letters WHERE account = ? ORDER BY id)",
        (account,),
    )
    return [_letter(account, *row) for row in json.loads(found)]


def keep_place(place: Place) -> Statement:
    """Keep where an account is by now."""
    return Statement(
        "INSERT OR REPLACE INTO places VALUES (?, ?)",
        (place.account, json.dumps(place[1:])),
    )


def drop_place(account: str) -> Statement:
    """Keep no longer where an account is."""
    return Statement("DELETE FROM places WHERE account = ?", (account,))


def _letter(account: str, id_: int, name: str, time: float, *rest: str) -> Told:
    *sender, text = rest
    told = Told(Who(*sender), Who("", account, name), text)
    told.id, told.time = id_, time
    return told
