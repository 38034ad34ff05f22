-- In which form mails get through to an appliance. Of one that is not there an attachment does, as far as is known.
CREATE TABLE way (
  agent  TEXT NOT NULL PRIMARY KEY,
  form   TEXT NOT NULL,
  since  INTEGER,
  reason TEXT NOT NULL,
  probe  INTEGER,
  proven INTEGER
) STRICT, WITHOUT ROWID;

-- How often a command was sent in each form, and how the last time.
ALTER TABLE outbox_recipient ADD COLUMN sent_opaque INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox_recipient ADD COLUMN sent_armoured INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox_recipient ADD COLUMN sent_form TEXT;

-- Mails of which gateways left no message: `to` those that the appliance told of, `from` those that came here in its name.
CREATE TABLE mangled (
  agent     TEXT    NOT NULL,
  direction TEXT    NOT NULL CHECK (direction IN ('to', 'from')),
  how       TEXT    NOT NULL,
  count     INTEGER NOT NULL,
  last      INTEGER NOT NULL,
  PRIMARY KEY (agent, direction, how)
) STRICT, WITHOUT ROWID;
