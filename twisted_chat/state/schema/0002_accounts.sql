-- People who can come back, and be known again.
CREATE TABLE accounts (
    id TEXT PRIMARY KEY,     -- begins with @
    name TEXT NOT NULL,
    secret TEXT NOT NULL,    -- what a password is checked against
    since REAL NOT NULL      -- UTC seconds
) WITHOUT ROWID;

-- What their names are recognised by: those that look alike share a key.
CREATE TABLE account_keys (
    key TEXT PRIMARY KEY,
    account TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX account_keys_by_account ON account_keys (account);

-- Private lines for people who were not here.
CREATE TABLE letters (
    id INTEGER PRIMARY KEY,  -- of the event
    account TEXT NOT NULL,   -- for whom it is
    name TEXT NOT NULL,      -- what they were called
    time REAL NOT NULL,      -- UTC seconds
    sender TEXT NOT NULL,    -- the id of a connection
    sender_account TEXT,
    sender_name TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX letters_by_account ON letters (account, id);
