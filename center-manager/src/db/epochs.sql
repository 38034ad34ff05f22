-- Every start of a process that gives numbers to messages begins an epoch; one chain for the whole center.
CREATE TABLE epoch (
  epoch   INTEGER PRIMARY KEY,
  -- The last number that can have been given before it.
  follows INTEGER NOT NULL,
  began   INTEGER NOT NULL
) STRICT;

-- The highest number that it was given before its newest epoch.
ALTER TABLE appliance ADD COLUMN sequence_before INTEGER NOT NULL DEFAULT 0;
