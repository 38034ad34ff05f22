-- The fleet database, version 1. Times are milliseconds since 1970-01-01T00:00:00Z; ids of messages are 16 octets.
-- Agent ids, report numbers and outbox ids are never used again.

CREATE TABLE appliance (
  agent           TEXT    NOT NULL PRIMARY KEY,
  address         TEXT    NOT NULL,
  customer        TEXT    NOT NULL DEFAULT '',
  -- Secret: 32 octets; wiped when the appliance is removed.
  credential      BLOB,
  state           TEXT    NOT NULL DEFAULT 'introduced' CHECK (state IN ('introduced', 'active', 'removed')),
  added           INTEGER NOT NULL,
  last_heard      INTEGER,
  -- Last version report.
  software        TEXT,
  rom             TEXT,
  version_table   TEXT,
  version_hashes  TEXT,
  version_nonce   BLOB,
  version_checked INTEGER,
  version_created INTEGER,
  boot_id         TEXT,
  -- Last health report, JSON.
  health          TEXT,
  health_at       INTEGER,
  hardware        TEXT    NOT NULL DEFAULT '',
  sequence_out    INTEGER NOT NULL DEFAULT 0,
  sequence_in     INTEGER NOT NULL DEFAULT 0,
  CHECK ((state = 'removed') = (credential IS NULL))
) STRICT;
CREATE INDEX appliance_address ON appliance (address);

CREATE TABLE tag (
  agent TEXT NOT NULL REFERENCES appliance (agent),
  tag   TEXT NOT NULL,
  PRIMARY KEY (agent, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_by_name ON tag (tag);

-- Every authentic report, once. Its number is its reception number; the receipt stands beside it.
CREATE TABLE report (
  number      INTEGER PRIMARY KEY AUTOINCREMENT,
  message     BLOB    NOT NULL,
  agent       TEXT    NOT NULL REFERENCES appliance (agent),
  sequence    INTEGER NOT NULL,
  in_reply_to BLOB,
  kind        TEXT    NOT NULL,
  body        TEXT    NOT NULL,
  description TEXT    NOT NULL,
  created     INTEGER NOT NULL,
  received    INTEGER NOT NULL,
  repeats     INTEGER NOT NULL DEFAULT 0,
  -- Message id of the receipt.
  receipt     BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX report_message ON report (message, agent);
CREATE INDEX report_agent ON report (agent, number);

CREATE TABLE device (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  agent         TEXT    NOT NULL REFERENCES appliance (agent),
  vendor        TEXT    NOT NULL,
  model         TEXT    NOT NULL,
  serial        TEXT    NOT NULL,
  -- Address on the customer's LAN, where it was told.
  address       TEXT    NOT NULL DEFAULT '',
  first_seen    INTEGER NOT NULL,
  last_seen     INTEGER NOT NULL,
  -- When the appliance last said "not collected yet"; absent as soon as there is a reading.
  not_collected INTEGER,
  last_reading  INTEGER
) STRICT;
CREATE UNIQUE INDEX device_identity ON device (agent, vendor, model, serial);

-- One row per fault episode. `since` is absent while only the clearing report has come.
CREATE TABLE fault (
  agent       TEXT    NOT NULL REFERENCES appliance (agent),
  episode     TEXT    NOT NULL,
  device      INTEGER NOT NULL REFERENCES device (id),
  class       TEXT    NOT NULL DEFAULT '',
  code        TEXT    NOT NULL DEFAULT '',
  grp         TEXT    NOT NULL DEFAULT '',
  severity    TEXT    NOT NULL DEFAULT '',
  description TEXT    NOT NULL DEFAULT '',
  since       INTEGER,
  cleared     INTEGER,
  -- Reception number of the report that opened (or first mentioned) it.
  report      INTEGER NOT NULL REFERENCES report (number),
  PRIMARY KEY (agent, episode)
) STRICT, WITHOUT ROWID;
CREATE INDEX fault_open ON fault (since) WHERE cleared IS NULL;

-- Append-only.
CREATE TABLE counter (
  device  INTEGER NOT NULL REFERENCES device (id),
  read_at INTEGER NOT NULL,
  name    TEXT    NOT NULL,
  value   INTEGER NOT NULL,
  unit    TEXT    NOT NULL,
  source  TEXT    NOT NULL,
  report  INTEGER NOT NULL REFERENCES report (number),
  PRIMARY KEY (device, read_at, name)
) STRICT, WITHOUT ROWID;

-- The latest reading only.
CREATE TABLE supply (
  device      INTEGER NOT NULL REFERENCES device (id),
  idx         INTEGER NOT NULL,
  read_at     INTEGER NOT NULL,
  description TEXT    NOT NULL,
  kind        TEXT    NOT NULL,
  colorant    TEXT,
  -- JSON of the level: a number of units or one of three states.
  level       TEXT    NOT NULL,
  capacity    INTEGER,
  unit        TEXT,
  PRIMARY KEY (device, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE package (
  id       TEXT    NOT NULL PRIMARY KEY,
  target   TEXT    NOT NULL,
  manifest TEXT    NOT NULL,
  octets   INTEGER NOT NULL,
  path     TEXT    NOT NULL,
  signers  TEXT    NOT NULL DEFAULT '',
  added    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What must be sent. A row stands here before the first try; the states of its recipients say how far it came.
CREATE TABLE outbox (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  message     BLOB    NOT NULL UNIQUE,
  family      TEXT    NOT NULL CHECK (family IN ('command', 'receipt')),
  kind        TEXT    NOT NULL,
  -- JSON; may hold a content key.
  payload     TEXT    NOT NULL,
  in_reply_to BLOB,
  -- Package whose encrypted form follows the envelope.
  package     TEXT    REFERENCES package (id),
  priority    INTEGER NOT NULL,
  created     INTEGER NOT NULL,
  expires     INTEGER NOT NULL,
  -- Mails composed so far; each gets a Message-ID of its own.
  sendings    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX outbox_expires ON outbox (expires);

CREATE TABLE outbox_recipient (
  outbox   INTEGER NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
  agent    TEXT    NOT NULL REFERENCES appliance (agent),
  sequence INTEGER NOT NULL,
  state    TEXT    NOT NULL DEFAULT 'queued'
           CHECK (state IN ('queued', 'accepted', 'delayed', 'bounced', 'refused', 'answered', 'expired')),
  attempts INTEGER NOT NULL DEFAULT 0,
  next_try INTEGER NOT NULL,
  changed  INTEGER NOT NULL,
  detail   TEXT    NOT NULL DEFAULT '',
  PRIMARY KEY (outbox, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox_recipient (next_try) WHERE state = 'queued';
CREATE INDEX outbox_recipient_agent ON outbox_recipient (agent);

-- Mails that were no reports, by what they were.
CREATE TABLE discarded (
  reason TEXT    NOT NULL PRIMARY KEY,
  count  INTEGER NOT NULL,
  last   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
