-- What sites tell of their devices, and devices that two sites claim.

-- When the appliance made the inventory that was filed last.
ALTER TABLE appliance ADD COLUMN inventory_made INTEGER;

ALTER TABLE device ADD COLUMN mac         TEXT;
-- When the inventory was made that named it last; absent where none did.
ALTER TABLE device ADD COLUMN inventoried INTEGER;
-- Its last answer, once its appliance says that it is not there any more.
ALTER TABLE device ADD COLUMN vanished    INTEGER;
-- Set by the operator: it belongs to that appliance since then.
ALTER TABLE device ADD COLUMN moved_to    TEXT REFERENCES appliance (agent);
ALTER TABLE device ADD COLUMN moved_at    INTEGER;
CREATE INDEX device_by_name ON device (serial, model, vendor, id);

-- One open row per device and pair of appliances; nothing is moved before the operator says so.
CREATE TABLE device_conflict (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  vendor      TEXT    NOT NULL,
  model       TEXT    NOT NULL,
  serial      TEXT    NOT NULL,
  -- Who had it first, and who reports it as well.
  holder      TEXT    NOT NULL REFERENCES appliance (agent),
  claimant    TEXT    NOT NULL REFERENCES appliance (agent),
  noted       INTEGER NOT NULL,
  resolved    INTEGER,
  resolution  TEXT    CHECK (resolution IN ('moved', 'kept')),
  resolved_by TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX device_conflict_device ON device_conflict (serial, model, vendor);
CREATE UNIQUE INDEX device_conflict_open ON device_conflict (serial, model, vendor, holder, claimant)
  WHERE resolved IS NULL;
