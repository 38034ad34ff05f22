-- The newest ladder of test mails to each appliance.
CREATE TABLE probe (
  agent  TEXT    NOT NULL PRIMARY KEY,
  begun  INTEGER NOT NULL,
  ended  INTEGER,
  -- Why it ended, for a person.
  reason TEXT    NOT NULL DEFAULT '',
  -- The largest mail that gets through, where the ladder has shown that larger ones do not.
  taught INTEGER
) STRICT, WITHOUT ROWID;

-- Its rungs: a ping each, with so many octets behind its envelope.
CREATE TABLE probe_rung (
  agent  TEXT    NOT NULL,
  octets INTEGER NOT NULL,
  outbox INTEGER NOT NULL,
  PRIMARY KEY (agent, octets)
) STRICT, WITHOUT ROWID;
CREATE INDEX probe_rung_outbox ON probe_rung (outbox);
