"""Accounts in the file, in SQL."""

import json
from collections.abc import Sequence

from twisted_chat.chat.account import AccountRecord
from twisted_chat.chat.names import Name
from twisted_chat.state.archive import Statement
from twisted_chat.state.database import ReadOnly


def keep(record: AccountRecord) -> list[Statement]:
    """Keep an account as it is now."""
    kept = Statement("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?)", record)
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
    ]


def find(file: ReadOnly, keys: Sequence[str]) -> AccountRecord | None:
    """Find the account that shares one of some keys, if there is one."""
    found = file.one(
        "SELECT coalesce((SELECT json_array(id, name, secret, since) FROM accounts WHERE id IN "
        "(SELECT account FROM account_keys WHERE key IN (SELECT value FROM json_each(?))) "
        "LIMIT 1), 'null')",
        (json.dumps(list(keys)),),
    )
    record = json.loads(found)
    return record and AccountRecord(*record)
