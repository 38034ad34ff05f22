-- How far a rollout goes by itself with those that failed; absent in rollouts from before.
ALTER TABLE rollout ADD COLUMN mails_per_target INTEGER;
ALTER TABLE rollout ADD COLUMN retry_pause_secs INTEGER;

-- How long updates take: one row per order that went out, the time beside it when it is known.
CREATE TABLE settling (
  rollout      INTEGER NOT NULL REFERENCES rollout (id),
  agent        TEXT    NOT NULL,
  package      TEXT    NOT NULL,
  -- The version that ran when the order was written; empty where it was not known.
  from_version TEXT    NOT NULL,
  took_secs    INTEGER,
  PRIMARY KEY (rollout, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX settling_known ON settling (package, from_version, rollout) WHERE took_secs IS NOT NULL;

-- Orders and questions written to a target; how long its update and mails to it and back probably take, where that is known.
ALTER TABLE rollout_target ADD COLUMN mails INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollout_target ADD COLUMN order_settle_secs INTEGER;
ALTER TABLE rollout_target ADD COLUMN order_mail_delay_secs INTEGER;
