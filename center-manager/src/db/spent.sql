-- Mails handed in lately, per account: written before the first octet goes out, so that no restart forgets one.
CREATE TABLE spent (
  id         INTEGER PRIMARY KEY,
  account    TEXT    NOT NULL,
  at         INTEGER NOT NULL,
  recipients INTEGER NOT NULL
) STRICT;
CREATE INDEX spent_at ON spent (account, at);
