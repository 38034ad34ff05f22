-- What appliances entered into their ledgers (mailfmt's LedgerEntry), as it came. Only ever added to. No reference to `device`:
-- an appliance may tell anything, and a statement must not fail for it.
CREATE TABLE ledger_entry (
  agent    TEXT    NOT NULL,
  -- A box that is set up anew begins another ledger.
  ledger   TEXT    NOT NULL,
  sequence INTEGER NOT NULL,
  device   INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  mode     TEXT    NOT NULL,
  -- The month that it closes, such as 2026-11.
  closes   TEXT,
  previous TEXT    NOT NULL,
  body     TEXT    NOT NULL,
  digest   TEXT    NOT NULL,
  -- 0: it does not fit the entry before or behind it.
  fits     INTEGER NOT NULL,
  -- Reception number of the report that brought it.
  report   INTEGER NOT NULL,
  PRIMARY KEY (agent, ledger, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_entry_device ON ledger_entry (device, ledger, sequence);
CREATE INDEX ledger_entry_month ON ledger_entry (device, closes) WHERE closes IS NOT NULL;

-- What was out of the ordinary, with a number by which it is reviewed.
CREATE TABLE ledger_finding (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  agent    TEXT    NOT NULL,
  ledger   TEXT    NOT NULL,
  sequence INTEGER NOT NULL,
  device   INTEGER NOT NULL,
  name     TEXT    NOT NULL,
  unit     TEXT    NOT NULL,
  class    TEXT    NOT NULL,
  review   INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  -- JSON of mailfmt's LedgerFinding.
  body     TEXT    NOT NULL
) STRICT;
CREATE INDEX ledger_finding_device ON ledger_finding (device, ledger, sequence);
CREATE INDEX ledger_finding_review ON ledger_finding (id) WHERE review;

-- What somebody said about a finding. The last word counts; the ones before stay.
CREATE TABLE ledger_review (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  finding  INTEGER NOT NULL,
  verdict  TEXT    NOT NULL CHECK (verdict IN ('accepted', 'corrected', 'rejected')),
  -- What counts for this step, all in all.
  pages    INTEGER NOT NULL,
  operator TEXT    NOT NULL,
  reason   TEXT    NOT NULL,
  at       INTEGER NOT NULL
) STRICT;
CREATE INDEX ledger_review_finding ON ledger_review (finding, id);

-- A device that the operator moves takes its entries along; nothing else of them changes.
CREATE TRIGGER ledger_entry_stays BEFORE UPDATE OF agent, ledger, sequence, at, mode, closes, previous, body, digest, report
ON ledger_entry BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END;
CREATE TRIGGER ledger_entry_is_kept BEFORE DELETE ON ledger_entry
BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END;
CREATE TRIGGER ledger_finding_stays BEFORE UPDATE OF id, agent, ledger, sequence, name, class, review, at, body
ON ledger_finding BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END;
CREATE TRIGGER ledger_finding_is_kept BEFORE DELETE ON ledger_finding
BEGIN SELECT RAISE(ABORT, 'the ledger is only added to'); END;
CREATE TRIGGER ledger_review_stays BEFORE UPDATE ON ledger_review
BEGIN SELECT RAISE(ABORT, 'what was said stays; say something new'); END;
CREATE TRIGGER ledger_review_is_kept BEFORE DELETE ON ledger_review
BEGIN SELECT RAISE(ABORT, 'what was said stays; say something new'); END;
