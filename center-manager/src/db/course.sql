-- A rollout goes out in waves.

-- JSON of its waves and thresholds, and of how far it came; absent in rollouts from before: everything in one wave.
ALTER TABLE rollout ADD COLUMN course TEXT;
ALTER TABLE rollout ADD COLUMN stand TEXT;

-- Who did what, append-only. Each row's hash covers the row before, so that none can be changed or left out unseen.
CREATE TABLE audit (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  who     TEXT    NOT NULL,
  what    TEXT    NOT NULL,
  subject TEXT    NOT NULL,
  detail  TEXT    NOT NULL DEFAULT '',
  hash    TEXT    NOT NULL
) STRICT;
