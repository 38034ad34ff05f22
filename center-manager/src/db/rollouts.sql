
-- Rollouts. The number of a rollout is never used again.
CREATE TABLE rollout (
  id                  INTEGER PRIMARY KEY AUTOINCREMENT,
  package             TEXT    NOT NULL REFERENCES package (id),
  -- JSON: target version and the hash of every module of it.
  release             TEXT    NOT NULL,
  -- JSON of the order; holds the content key.
  update_order        TEXT    NOT NULL,
  settle_secs         INTEGER NOT NULL,
  answer_timeout_secs INTEGER NOT NULL,
  delivery_limit_secs INTEGER NOT NULL,
  command_life_secs   INTEGER NOT NULL,
  retries             INTEGER NOT NULL,
  package_expires     INTEGER NOT NULL,
  started             INTEGER NOT NULL,
  finished            INTEGER,
  -- When the plan may change next; absent when only a word from outside can change it.
  wake                INTEGER
) STRICT;
CREATE INDEX rollout_wake ON rollout (wake) WHERE wake IS NOT NULL;

CREATE TABLE rollout_target (
  rollout INTEGER NOT NULL REFERENCES rollout (id),
  agent   TEXT    NOT NULL REFERENCES appliance (agent),
  -- What the operator's table marks; follows from `state` and stands here for counting.
  mark    TEXT    NOT NULL CHECK (mark IN ('pending', 'updated', 'failed')),
  -- JSON: attempt, both ladders, answer, verdict.
  state   TEXT    NOT NULL,
  PRIMARY KEY (rollout, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollout_target_agent ON rollout_target (agent, rollout);

-- Which messages are a rollout's, so that a mail server's word finds its target.
CREATE TABLE rollout_mail (
  message BLOB    NOT NULL PRIMARY KEY,
  rollout INTEGER NOT NULL REFERENCES rollout (id),
  kind    TEXT    NOT NULL CHECK (kind IN ('order', 'ask'))
) STRICT, WITHOUT ROWID;

-- What happened to each target, in order; append-only.
CREATE TABLE rollout_event (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  rollout INTEGER NOT NULL REFERENCES rollout (id),
  agent   TEXT    NOT NULL,
  attempt INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  what    TEXT    NOT NULL,
  detail  TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX rollout_event_target ON rollout_event (rollout, agent, id);
