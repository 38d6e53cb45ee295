-- Rooms that hold something to keep.  One that nobody is in is kept for a day.
CREATE TABLE rooms (
    id INTEGER PRIMARY KEY,  -- never used again
    name TEXT NOT NULL,
    topic TEXT NOT NULL,
    empty_since REAL         -- UTC seconds; NULL while someone is in it
);

-- What was said.  Clustered by room, for everything asks for the lines of one room in order.
CREATE TABLE lines (
    room INTEGER NOT NULL,
    id INTEGER NOT NULL,     -- of the event: ordered, and never used again
    time REAL NOT NULL,      -- UTC seconds
    person TEXT NOT NULL,    -- the id of a connection
    account TEXT,
    name TEXT NOT NULL,      -- as it was then
    emote INTEGER NOT NULL,  -- 1 if it was said by /me
    text TEXT NOT NULL,
    folded TEXT,             -- what a search looks at, if not just the text in small letters
    PRIMARY KEY (room, id)
) WITHOUT ROWID;

-- Lines that are to go, up to an id; done in slices, and gone on with after a crash.
CREATE TABLE erasures (
    room INTEGER PRIMARY KEY,
    until INTEGER NOT NULL
);

-- People whose lines are to go, in all rooms; many are dealt with in one pass.
CREATE TABLE forgotten (
    identity TEXT PRIMARY KEY,            -- an account, or else the id of a connection
    until INTEGER NOT NULL,
    underway INTEGER NOT NULL DEFAULT 0   -- 1 if the pass that is being made looks for them
) WITHOUT ROWID;
