-- The ledger of readings (crate::ledger): one chain of entries over all devices, only ever added to. The table `reading`
-- stays as it was, for releases that know no ledger.
CREATE TABLE ledger_entry (
    sequence INTEGER PRIMARY KEY,
    vendor TEXT NOT NULL,
    model TEXT NOT NULL,
    serial TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    -- 1: somebody waits for it: a month is closed, or something has to be reviewed.
    pressing INTEGER NOT NULL,
    previous TEXT NOT NULL,
    -- JSON of mailfmt's LedgerEntry: what the digest was made over.
    body TEXT NOT NULL,
    digest TEXT NOT NULL
) STRICT;
CREATE INDEX ledger_entry_device ON ledger_entry (serial, model, vendor, sequence);

-- Where the chain begins and ends, and how much of it the center was told.
CREATE TABLE ledger_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    ledger TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    digest TEXT NOT NULL,
    told INTEGER NOT NULL DEFAULT 0,
    -- The last entry that was forgotten for its age, and its digest: what the next one follows.
    forgotten INTEGER NOT NULL DEFAULT 0,
    forgotten_digest TEXT NOT NULL
) STRICT;

-- What is remembered of each device between two readings: JSON of ledger::Line.
CREATE TABLE ledger_line (
    vendor TEXT NOT NULL,
    model TEXT NOT NULL,
    serial TEXT NOT NULL,
    address TEXT NOT NULL,
    seen_ms INTEGER NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (vendor, model, serial)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_line_place ON ledger_line (address, seen_ms);

CREATE TRIGGER ledger_entry_stays BEFORE UPDATE ON ledger_entry
BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END;
CREATE TRIGGER ledger_entry_is_kept BEFORE DELETE ON ledger_entry
WHEN OLD.sequence > (SELECT forgotten FROM ledger_head)
BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END;
