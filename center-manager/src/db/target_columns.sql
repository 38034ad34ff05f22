-- Where a target stands, in columns: the operator's table, the plan and every count read it, and a fleet has many.
CREATE TABLE rollout_target_2 (
  rollout          INTEGER NOT NULL REFERENCES rollout (id),
  agent            TEXT    NOT NULL REFERENCES appliance (agent),
  -- The verdict.
  mark             TEXT    NOT NULL CHECK (mark IN ('pending', 'updated', 'failed')),
  -- When it was found.
  decided          INTEGER CHECK ((decided IS NULL) = (mark = 'pending')),
  -- JSON: why it failed.
  failure          TEXT    CHECK ((failure IS NOT NULL) = (mark = 'failed')),
  wave             INTEGER NOT NULL,
  attempt          INTEGER NOT NULL,
  first_ordered    INTEGER,
  newest_report    INTEGER,
  -- Every nonce that it was asked with, oldest first, 16 octets each.
  nonces           BLOB    NOT NULL,
  -- The version report that counts: 'same', or JSON of what differs; by the appliance's clock; by ours.
  finding          TEXT,
  answer_created   INTEGER,
  answer_received  INTEGER,
  answer_asked     INTEGER,
  -- The order of this attempt; absent before it is given.
  order_message    BLOB,
  order_at         INTEGER,
  -- What became of the mail; when our mail server took it; the last that was heard of it; a mail server's words.
  order_way        TEXT    CHECK (order_way IN ('queued', 'accepted', 'delayed', 'bounced', 'heard')),
  order_accepted   INTEGER,
  order_heard      INTEGER,
  order_words      TEXT,
  -- What the installer said; absent where it said nothing.
  progress         TEXT    CHECK (progress IN ('waiting', 'installed-said', 'refused', 'undone')),
  progress_at      INTEGER,
  progress_created INTEGER,
  progress_words   TEXT,
  -- The question of this attempt, as the order above.
  ask_message      BLOB,
  ask_nonce        BLOB,
  ask_at           INTEGER,
  ask_way          TEXT    CHECK (ask_way IN ('queued', 'accepted', 'delayed', 'bounced', 'heard')),
  ask_accepted     INTEGER,
  ask_heard        INTEGER,
  ask_words        TEXT,
  -- JSON: what few targets have; absent where there is none of it.
  seldom           TEXT,
  PRIMARY KEY (rollout, agent)
) STRICT, WITHOUT ROWID;

-- Times stood as RFC 3339 text, ids as hex digits.
INSERT INTO rollout_target_2
SELECT
  rollout, agent, mark,
  CAST(round(unixepoch(state ->> '$.state.at', 'subsec') * 1000) AS INTEGER),
  state ->> '$.state.verdict.failure',
  ifnull(state ->> '$.wave', 0), state ->> '$.attempt',
  CAST(round(unixepoch(state ->> '$.first_ordered', 'subsec') * 1000) AS INTEGER),
  CAST(round(unixepoch(state ->> '$.newest_report', 'subsec') * 1000) AS INTEGER),
  (SELECT CAST(ifnull(unhex(group_concat(value, '')), '') AS BLOB) FROM json_each(state, '$.nonces')),
  CASE state ->> '$.answer.finding.finding' WHEN 'same' THEN 'same' ELSE state ->> '$.answer.finding' END,
  CAST(round(unixepoch(state ->> '$.answer.created', 'subsec') * 1000) AS INTEGER),
  CAST(round(unixepoch(state ->> '$.answer.received', 'subsec') * 1000) AS INTEGER),
  state ->> '$.answer.asked',
  unhex(state ->> '$.state.order.message'),
  CAST(round(unixepoch(state ->> '$.state.order.at', 'subsec') * 1000) AS INTEGER),
  state ->> '$.state.order.transport.transport',
  CAST(round(unixepoch(CASE state ->> '$.state.order.transport.transport'
    WHEN 'accepted' THEN state ->> '$.state.order.transport.at'
    ELSE state ->> '$.state.order.transport.accepted' END, 'subsec') * 1000) AS INTEGER),
  CAST(round(unixepoch(CASE state ->> '$.state.order.transport.transport'
    WHEN 'queued' THEN state ->> '$.state.order.transport.since'
    WHEN 'accepted' THEN NULL
    ELSE state ->> '$.state.order.transport.at' END, 'subsec') * 1000) AS INTEGER),
  state ->> '$.state.order.transport.reason',
  nullif(state ->> '$.state.order.progress.progress', 'ordered'),
  CAST(round(unixepoch(state ->> '$.state.order.progress.at', 'subsec') * 1000) AS INTEGER),
  CAST(round(unixepoch(state ->> '$.state.order.progress.created', 'subsec') * 1000) AS INTEGER),
  state ->> '$.state.order.progress.reason',
  unhex(state ->> '$.state.ask.message'),
  unhex(state ->> '$.state.ask.nonce'),
  CAST(round(unixepoch(state ->> '$.state.ask.at', 'subsec') * 1000) AS INTEGER),
  state ->> '$.state.ask.transport.transport',
  CAST(round(unixepoch(CASE state ->> '$.state.ask.transport.transport'
    WHEN 'accepted' THEN state ->> '$.state.ask.transport.at'
    ELSE state ->> '$.state.ask.transport.accepted' END, 'subsec') * 1000) AS INTEGER),
  CAST(round(unixepoch(CASE state ->> '$.state.ask.transport.transport'
    WHEN 'queued' THEN state ->> '$.state.ask.transport.since'
    WHEN 'accepted' THEN NULL
    ELSE state ->> '$.state.ask.transport.at' END, 'subsec') * 1000) AS INTEGER),
  state ->> '$.state.ask.transport.reason',
  nullif(json_patch('{}', json_object(
    'removed', CASE WHEN state ->> '$.removed' THEN json('true') END,
    'suspended', CASE WHEN state ->> '$.suspended' THEN json('true') END,
    'whole', CASE WHEN state ->> '$.whole' THEN json('true') END,
    'parts', state -> '$.state.order.parts',
    'recalled', state ->> '$.state.order.recalled')), '{}')
FROM rollout_target;

DROP TABLE rollout_target;
ALTER TABLE rollout_target_2 RENAME TO rollout_target;
CREATE INDEX rollout_target_agent ON rollout_target (agent, rollout);

-- What the tables of a fleet show of each appliance; its reports stand between these columns in the rows.
CREATE INDEX appliance_known ON appliance (agent, address, customer, software, version_checked, state);
