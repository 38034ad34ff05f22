-- One row per channel. Numbers only grow, whatever happens to the rows that used them.
CREATE TABLE channel (
    center TEXT PRIMARY KEY,
    sequence_sent INTEGER NOT NULL DEFAULT 0,
    sequence_seen INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Everything to be sent. A row in state 'waiting' is the duty to send it until a receipt comes.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message TEXT NOT NULL UNIQUE,
    center TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    priority INTEGER NOT NULL,
    in_reply_to TEXT,
    payload BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'receipted', 'expired')),
    due_ms INTEGER NOT NULL,
    sendings INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    last_sent_ms INTEGER,
    last_error TEXT NOT NULL DEFAULT '',
    ended_ms INTEGER,
    receipt_number INTEGER,
    UNIQUE (center, sequence)
) STRICT;
CREATE INDEX outbox_waiting ON outbox (priority, id) WHERE state = 'waiting';
CREATE INDEX outbox_due ON outbox (due_ms) WHERE state = 'waiting';
CREATE INDEX outbox_expires ON outbox (expires_ms) WHERE state = 'waiting';
CREATE INDEX outbox_answers ON outbox (in_reply_to) WHERE in_reply_to IS NOT NULL;
CREATE INDEX outbox_ended ON outbox (ended_ms) WHERE ended_ms IS NOT NULL;

-- Every authentic command that was acted on, by its id, until it expires.
CREATE TABLE journal (
    message TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    outcome TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX journal_expires ON journal (expires_ms);

-- What is known of each device; the rows of devices that left the settings go when they are pruned.
CREATE TABLE device (
    address TEXT PRIMARY KEY,
    vendor TEXT,
    model TEXT,
    serial TEXT,
    polled_ms INTEGER,
    answered_ms INTEGER,
    answering INTEGER NOT NULL DEFAULT 0,
    trouble TEXT NOT NULL DEFAULT '',
    episodes TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE reading (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    address TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    counters TEXT NOT NULL,
    supplies TEXT NOT NULL
) STRICT;
CREATE INDEX reading_latest ON reading (address, id);
CREATE INDEX reading_age ON reading (at_ms);

-- One row per fault episode.
CREATE TABLE fault (
    episode TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    class TEXT NOT NULL,
    code TEXT NOT NULL,
    description TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    cleared_ms INTEGER
) STRICT;
CREATE INDEX fault_open ON fault (since_ms) WHERE cleared_ms IS NULL;

-- Work for version-report: answered means deleted, so a row is the duty to answer.
CREATE TABLE version_request (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    command TEXT,
    nonce TEXT,
    created_ms INTEGER NOT NULL
) STRICT;

-- Signs of life. The number counts; the time is for people, since a clock may jump.
CREATE TABLE heartbeat (
    module TEXT PRIMARY KEY,
    beats INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    pid INTEGER NOT NULL
) STRICT;

-- Who must not be replaced just now, and why.
CREATE TABLE busy (
    module TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    billing INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    pid INTEGER NOT NULL
) STRICT;

CREATE TABLE tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;
CREATE TABLE moment (name TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT;
