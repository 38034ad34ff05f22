-- Searches that the operator gave a name.
CREATE TABLE query (
  name      TEXT    NOT NULL PRIMARY KEY,
  -- JSON: which appliances are meant.
  selection TEXT    NOT NULL,
  saved     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- JSON: appliances that come to be meant while the rollout runs join it; absent where none do. And how many in a day.
ALTER TABLE rollout ADD COLUMN joining TEXT;
ALTER TABLE rollout ADD COLUMN joining_per_day INTEGER;
