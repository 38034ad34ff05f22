-- Layout 2: codes for enrolment, suspension, rotation of credentials, alarms.

ALTER TABLE appliance ADD COLUMN suspended        INTEGER;
ALTER TABLE appliance ADD COLUMN suspended_reason TEXT    NOT NULL DEFAULT '';
-- Authentic mails that came while it was suspended; they were neither filed nor answered.
ALTER TABLE appliance ADD COLUMN turned_away      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE appliance ADD COLUMN turned_away_last INTEGER;
-- What the box tells of itself; the same for its life, whatever is installed on it. Empty where it does not tell.
ALTER TABLE appliance ADD COLUMN machine          TEXT    NOT NULL DEFAULT '';
-- Secret: the credential before the present one, taken until the appliance is heard under the present one.
ALTER TABLE appliance ADD COLUMN credential_before BLOB;
ALTER TABLE appliance ADD COLUMN credential_since INTEGER;
-- JSON: the epochs of its numbers (of the newest one only its beginning: how far it came says sequence_in, when it was
-- last heard by the appliance's own clock says sequence_in_made), and the boots that it told of.
ALTER TABLE appliance ADD COLUMN lineage          TEXT;
ALTER TABLE appliance ADD COLUMN sequence_in_made INTEGER;
ALTER TABLE appliance ADD COLUMN boots            TEXT;
CREATE INDEX appliance_machine ON appliance (machine) WHERE machine <> '';

-- Provisional codes. A row stays when its code ends; its secret does not.
CREATE TABLE enrolment_code (
  id         TEXT    NOT NULL PRIMARY KEY,
  customer   TEXT    NOT NULL,
  -- JSON: the tags that its appliances get.
  tags       TEXT    NOT NULL DEFAULT '[]',
  replaces   TEXT    REFERENCES appliance (agent),
  issued     INTEGER NOT NULL,
  issued_by  TEXT    NOT NULL,
  expires    INTEGER NOT NULL,
  uses       INTEGER NOT NULL,
  used       INTEGER NOT NULL DEFAULT 0,
  revoked    INTEGER,
  revoked_by TEXT    NOT NULL DEFAULT '',
  -- Secret: the code; wiped when it ends.
  secret     TEXT
) STRICT, WITHOUT ROWID;

-- One row per half of an exchange that came under a code.
CREATE TABLE enrolment_exchange (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  code          TEXT    NOT NULL REFERENCES enrolment_code (id),
  appliance_key TEXT    NOT NULL,
  center_key    TEXT    NOT NULL,
  -- Secret: the center's half; wiped when the exchange ends.
  center_secret TEXT,
  -- Where the offer and the admission go.
  address       TEXT    NOT NULL,
  begun         INTEGER NOT NULL,
  -- Message ids: of what came first, and of what was sent.
  hello         BLOB    NOT NULL,
  offer         BLOB    NOT NULL,
  registration  BLOB,
  admission     BLOB,
  -- Answers so far, repeated ones included.
  answers       INTEGER NOT NULL DEFAULT 0,
  registered    INTEGER,
  agent         TEXT    REFERENCES appliance (agent),
  -- Secret: the admitted credential of an appliance that has another one until it is heard under this one.
  credential    BLOB,
  -- JSON: where and what the appliance will be from then on.
  becomes       TEXT,
  confirmed     INTEGER
) STRICT;
CREATE UNIQUE INDEX enrolment_exchange_key ON enrolment_exchange (code, appliance_key);
CREATE INDEX enrolment_exchange_agent ON enrolment_exchange (agent) WHERE agent IS NOT NULL;

-- Attempts that were not answered, by code and reason. Those under ids that never were a code have none.
CREATE TABLE enrolment_attempt (
  code   TEXT    NOT NULL,
  reason TEXT    NOT NULL,
  count  INTEGER NOT NULL,
  first  INTEGER NOT NULL,
  last   INTEGER NOT NULL,
  detail TEXT    NOT NULL DEFAULT '',
  PRIMARY KEY (code, reason)
) STRICT, WITHOUT ROWID;

-- Rotations of credentials. The number of a rotation is never used again.
CREATE TABLE rotation (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  agent         TEXT    NOT NULL REFERENCES appliance (agent),
  rotation      BLOB    NOT NULL UNIQUE,
  -- Secret: the center's half; wiped when the answer came or the rotation ended.
  center_secret TEXT,
  message       BLOB    NOT NULL,
  begun         INTEGER NOT NULL,
  begun_by      TEXT    NOT NULL,
  expires       INTEGER NOT NULL,
  answered      INTEGER,
  confirmed     INTEGER,
  ended         INTEGER,
  state         TEXT    NOT NULL DEFAULT 'asked'
                CHECK (state IN ('asked', 'answered', 'done', 'replaced', 'expired', 'refused'))
) STRICT;
CREATE INDEX rotation_agent ON rotation (agent, id);
CREATE INDEX rotation_open ON rotation (expires) WHERE state = 'asked';

-- What a person should look at. One open row per appliance, kind and subject.
CREATE TABLE alarm (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  agent           TEXT,
  kind            TEXT    NOT NULL,
  -- Tells alarms of one kind apart, such as a serial number; mostly empty.
  subject         TEXT    NOT NULL DEFAULT '',
  description     TEXT    NOT NULL,
  since           INTEGER NOT NULL,
  last            INTEGER NOT NULL,
  count           INTEGER NOT NULL DEFAULT 1,
  acknowledged    INTEGER,
  acknowledged_by TEXT    NOT NULL DEFAULT '',
  over            INTEGER,
  -- Whether the appliance itself raised it, and so will say when it is over.
  reported        INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX alarm_open ON alarm (ifnull(agent, ''), kind, subject) WHERE over IS NULL;

-- The outbox takes mails to those who are no appliances yet: in front of an enrolment's recipient stands the id of its
-- code, and its address and keys are those of the exchange.
CREATE TABLE outbox_new (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  message     BLOB    NOT NULL UNIQUE,
  family      TEXT    NOT NULL CHECK (family IN ('command', 'receipt', 'enrolment')),
  kind        TEXT    NOT NULL,
  -- JSON; may hold a content key, or a credential that is wiped when the enrolment ends.
  payload     TEXT    NOT NULL,
  in_reply_to BLOB,
  -- Package whose encrypted form follows the envelope.
  package     TEXT    REFERENCES package (id),
  -- Enrolments only: whose answer it is.
  exchange    INTEGER REFERENCES enrolment_exchange (id),
  priority    INTEGER NOT NULL,
  created     INTEGER NOT NULL,
  expires     INTEGER NOT NULL,
  -- Mails composed so far; each gets a Message-ID of its own.
  sendings    INTEGER NOT NULL DEFAULT 0,
  CHECK ((family = 'enrolment') = (exchange IS NOT NULL))
) STRICT;
INSERT INTO outbox_new (id, message, family, kind, payload, in_reply_to, package, priority, created, expires, sendings)
  SELECT id, message, family, kind, payload, in_reply_to, package, priority, created, expires, sendings FROM outbox;
CREATE TABLE outbox_recipient_new (
  outbox   INTEGER NOT NULL REFERENCES outbox_new (id) ON DELETE CASCADE,
  -- An appliance's id, or that of a code.
  agent    TEXT    NOT NULL,
  sequence INTEGER NOT NULL,
  state    TEXT    NOT NULL DEFAULT 'queued'
           CHECK (state IN ('queued', 'accepted', 'delayed', 'bounced', 'refused', 'answered', 'expired')),
  attempts INTEGER NOT NULL DEFAULT 0,
  next_try INTEGER NOT NULL,
  changed  INTEGER NOT NULL,
  detail   TEXT    NOT NULL DEFAULT '',
  PRIMARY KEY (outbox, agent)
) STRICT, WITHOUT ROWID;
INSERT INTO outbox_recipient_new (outbox, agent, sequence, state, attempts, next_try, changed, detail)
  SELECT outbox, agent, sequence, state, attempts, next_try, changed, detail FROM outbox_recipient;
-- Numbers of rows that are gone are not given again.
UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'outbox')
  WHERE name = 'outbox_new' AND EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'outbox');
INSERT INTO sqlite_sequence (name, seq)
  SELECT 'outbox_new', seq FROM sqlite_sequence WHERE name = 'outbox'
  AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'outbox_new');
DROP TABLE outbox_recipient;
DROP TABLE outbox;
ALTER TABLE outbox_new RENAME TO outbox;
ALTER TABLE outbox_recipient_new RENAME TO outbox_recipient;
CREATE INDEX outbox_expires ON outbox (expires);
CREATE INDEX outbox_exchange ON outbox (exchange) WHERE exchange IS NOT NULL;
CREATE INDEX outbox_due ON outbox_recipient (next_try) WHERE state = 'queued';
CREATE INDEX outbox_recipient_agent ON outbox_recipient (agent);
