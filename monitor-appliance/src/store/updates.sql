-- Orders to install a package, one row per order; a package that is ordered again is a new row.
CREATE TABLE IF NOT EXISTS update_order (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    command     TEXT    NOT NULL UNIQUE,            -- message id of the order, 32 hex digits
    package     TEXT    NOT NULL,                   -- package id, 64 hex digits
    target      TEXT    NOT NULL,                   -- software version it leads to
    state       TEXT    NOT NULL,                   -- how far it came, JSON
    done        INTEGER NOT NULL DEFAULT 0,         -- 1 when it is over and its result stands in the outbox
    starts      INTEGER NOT NULL DEFAULT 0,         -- how often the work of this state was begun
    output      TEXT    NOT NULL DEFAULT '',        -- last output of its script
    received_ms INTEGER NOT NULL,
    changed_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS update_order_open ON update_order (id) WHERE done = 0;

-- Version reports that are asked for and not yet in the outbox.
CREATE TABLE IF NOT EXISTS version_request (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    command TEXT UNIQUE,                            -- message id of the request; NULL after an installation
    nonce   TEXT                                    -- to be given back, 32 hex digits
) STRICT;

-- The last sign of life of each resident module that ever gave one.
CREATE TABLE IF NOT EXISTS heartbeat (
    module  TEXT    PRIMARY KEY,
    pid     INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    version TEXT    NOT NULL                        -- version of the program that gave it
) STRICT;

-- What modules are in the middle of and must not be replaced in. A row counts while its process lives and at most
-- until `until_ms`, so that a killed module blocks no update.
CREATE TABLE IF NOT EXISTS busy (
    module   TEXT    NOT NULL,
    work     TEXT    NOT NULL,
    pid      INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (module, work)
) STRICT;

-- Small facts about installations: the greatest release counter, a restart that is still to come.
CREATE TABLE IF NOT EXISTS update_fact (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
