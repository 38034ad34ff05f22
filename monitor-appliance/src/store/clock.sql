-- What is known of the true time, as JSON; one row at most.
CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), known TEXT NOT NULL) STRICT;

-- When a report was first handed in, or tried to be: a point of one boot's uptime.
ALTER TABLE outbox ADD COLUMN handed_boot TEXT;
ALTER TABLE outbox ADD COLUMN handed_since_boot_ms INTEGER;
-- Of what waits already nobody knows when it was first handed in: a boot that never was.
UPDATE outbox SET handed_boot = '', handed_since_boot_ms = 0;
