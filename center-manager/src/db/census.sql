-- What happened to devices, as their appliances tell it; the newest ones of each appliance.
CREATE TABLE device_event (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  agent   TEXT    NOT NULL REFERENCES appliance (agent),
  at      INTEGER NOT NULL,
  event   TEXT    NOT NULL,
  -- As it was told; absent where the device did not tell who it is.
  vendor  TEXT,
  model   TEXT,
  serial  TEXT,
  kind    TEXT,
  address TEXT    NOT NULL,
  before  TEXT
) STRICT;
CREATE INDEX device_event_agent ON device_event (agent, id);
CREATE INDEX device_event_serial ON device_event (serial, id);

-- What each computer told last, as JSON of the wire format.
CREATE TABLE computer (
  device  INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
  read_at INTEGER NOT NULL,
  state   TEXT    NOT NULL
) STRICT;
