-- Devices are known by who they are: their row moves with them from address to address. The row of a device that lost
-- its address to another one stands under a text that is no address: `10.0.0.5 (left, 17)`.
ALTER TABLE device ADD COLUMN mac TEXT;
-- How a device that a scan found lets itself be read, JSON; NULL for those of the settings. Names password files only.
ALTER TABLE device ADD COLUMN access TEXT;
-- When it was noticed that it had not answered for long; NULL again with its next answer.
ALTER TABLE device ADD COLUMN vanished_ms INTEGER;

-- When each range was last scanned, by its text.
CREATE TABLE range_scan (range TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT;

-- The inventory that was last told to the center.
CREATE TABLE inventory_told (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    digest TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
