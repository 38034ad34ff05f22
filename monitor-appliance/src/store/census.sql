-- What sort of device it is, once it told.
ALTER TABLE device ADD COLUMN kind TEXT;

-- What happened to devices: each told to the center once, and kept for the site's own history.
CREATE TABLE device_event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    event TEXT NOT NULL,
    vendor TEXT,
    model TEXT,
    serial TEXT,
    kind TEXT,
    address TEXT NOT NULL,
    before TEXT,
    told INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX device_event_untold ON device_event (id) WHERE told = 0;

-- What each computer told last, what is remembered of it, and when the center was told; JSON.
CREATE TABLE computer (
    address TEXT PRIMARY KEY,
    memory TEXT NOT NULL,
    state TEXT NOT NULL,
    read_ms INTEGER NOT NULL,
    told_ms INTEGER
) STRICT;
