-- Where people with an account are, who may come back to it though the process has ended.
CREATE TABLE places (
    account TEXT PRIMARY KEY,
    place TEXT NOT NULL      -- name, room and its name, since when, away, settings, how gone; as JSON
) WITHOUT ROWID;
