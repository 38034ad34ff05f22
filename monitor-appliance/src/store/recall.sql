-- Orders to update that the center called back, whether they have come or not.
CREATE TABLE update_recall (
    command TEXT PRIMARY KEY,
    received_ms INTEGER NOT NULL,
    -- Until then the order could still come.
    expires_ms INTEGER NOT NULL
) STRICT;
