-- Times in which the recipients of a mail answer it: written before the mail goes out, so that no restart gives one twice.
CREATE TABLE answer_block (
  account TEXT    NOT NULL,
  begins  INTEGER NOT NULL,
  until   INTEGER NOT NULL,
  outbox  INTEGER NOT NULL,
  -- The first recipient of the mail: who is sent it again gives back what was booked before.
  agent   TEXT    NOT NULL,
  PRIMARY KEY (outbox, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX answer_block_until ON answer_block (account, until);

-- When the recipient answers, at the earliest; absent where nothing is planned.
ALTER TABLE outbox_recipient ADD COLUMN answer_at INTEGER;
