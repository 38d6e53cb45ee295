-- Whose a room is, who runs it, and what holds in it, as JSON; the room 0 is all of the server.
ALTER TABLE rooms ADD COLUMN charter TEXT NOT NULL DEFAULT '[]';

-- Who did what to keep order.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,  -- of the event
    time REAL NOT NULL,      -- UTC seconds
    person TEXT NOT NULL,    -- the id of a connection
    account TEXT,
    name TEXT NOT NULL,      -- what they were called
    room TEXT NOT NULL,      -- what the room was called; * for all of the server
    words TEXT NOT NULL      -- what they did
);
