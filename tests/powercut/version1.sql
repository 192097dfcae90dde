-- The first schema, as the first agents left it on disk.
-- Requests still to deliver, in the order in which they were taken.
CREATE TABLE request (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    domain   TEXT NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('raise', 'clear', 'clear_all', 'log')),
    alarm_id TEXT NOT NULL,     -- empty for clear_all
    entity   TEXT NOT NULL,
    uuid     TEXT NOT NULL,     -- raise, log: the uuid at the controller
    alarm    TEXT NOT NULL,     -- raise, log: the alarm as JSON
    rule     TEXT NOT NULL,     -- clear_all: how the entity matches
    taken_at INTEGER NOT NULL   -- microseconds since the epoch
) STRICT;
CREATE INDEX request_by_domain ON request (domain, seq);
CREATE INDEX request_clear_all ON request (seq) WHERE kind = 'clear_all';

-- This node's view of the alarms it raised, and of those it is clearing.
CREATE TABLE alarm (
    alarm_id        TEXT NOT NULL,
    entity          TEXT NOT NULL,
    domain          TEXT NOT NULL,
    alarm           TEXT,             -- as last raised, as JSON; null: cleared
    pending         INTEGER,          -- seq of the latest request about it that still waits
    controller_uuid TEXT,             -- under which the controller holds it
    PRIMARY KEY (alarm_id, entity)
) STRICT, WITHOUT ROWID;

-- Requests that a controller refused for good, with its words.
CREATE TABLE rejected (
    seq         INTEGER PRIMARY KEY,
    domain      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    alarm_id    TEXT NOT NULL,
    entity      TEXT NOT NULL,
    uuid        TEXT NOT NULL,
    alarm       TEXT NOT NULL,
    rule        TEXT NOT NULL,
    taken_at    INTEGER NOT NULL,
    rejected_at INTEGER NOT NULL,
    answer      TEXT NOT NULL
) STRICT;

-- What happened in the domains whose record is here: the newest events.
CREATE TABLE event (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    state    TEXT NOT NULL CHECK (state IN ('set', 'clear', 'log')),
    alarm_id TEXT NOT NULL,
    entity   TEXT NOT NULL,
    uuid     TEXT NOT NULL,
    alarm    TEXT NOT NULL,
    at       INTEGER NOT NULL
) STRICT;

-- The calls that were taken: the newest, in slots that are used in turn.
CREATE TABLE token (
    slot   INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,    -- of the call, counted from 0
    token  BLOB NOT NULL
) STRICT;

-- Requests of a domain up to this place may have been sent; later ones have not.
CREATE TABLE begun (
    domain TEXT PRIMARY KEY,
    up_to  INTEGER NOT NULL     -- seq of a request
) STRICT, WITHOUT ROWID;

-- The configured domains that the tables above agree with.
CREATE TABLE settled (
    domain TEXT PRIMARY KEY,
    here   INTEGER NOT NULL     -- 1: the domain's record is here
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 1;
