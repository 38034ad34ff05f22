-- Mail that came back: bounces, warnings, automatic answers. Nothing in it is authentic; the newest of each appliance are kept.
CREATE TABLE returned (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  at        INTEGER NOT NULL,
  kind      TEXT    NOT NULL,
  cause     TEXT,
  -- The appliance that it is about, where that is clear; no reference, for removed ones stay in it.
  agent     TEXT,
  -- Our message that it is about, where that is clear.
  message   BLOB,
  -- The address that it names.
  recipient TEXT    NOT NULL DEFAULT '',
  sender    TEXT    NOT NULL DEFAULT '',
  words     TEXT    NOT NULL DEFAULT '',
  -- By what it was attributed: the tag of its return path, an id that it quotes, an address, nothing.
  known_by  TEXT    NOT NULL CHECK (known_by IN ('tag', 'id', 'address', 'nothing')),
  effect    TEXT    NOT NULL
) STRICT;
CREATE INDEX returned_agent ON returned (agent, id);

-- Why a mail came back: a word of mailfmt's Cause, empty where it did not.
ALTER TABLE outbox_recipient ADD COLUMN cause TEXT NOT NULL DEFAULT '';

-- The secret behind the tags of return paths; one row, made when it is first needed.
CREATE TABLE return_key (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  octets BLOB    NOT NULL,
  -- 1: every mail goes out with a tag, so a bounce without one is none of ours.
  demand INTEGER NOT NULL DEFAULT 0
) STRICT;
