-- How long it took from handing a command in to its answer, for the newest commands of each appliance.
CREATE TABLE round_trip (
  agent  TEXT    NOT NULL,
  -- When the answer came.
  at     INTEGER NOT NULL,
  millis INTEGER NOT NULL,
  PRIMARY KEY (agent, at)
) STRICT, WITHOUT ROWID;
