-- Mail that came back, the newest of it; hints only. `message` is a report of ours, where one is named.
CREATE TABLE returned (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    cause TEXT NOT NULL DEFAULT '',
    message TEXT,
    words TEXT NOT NULL DEFAULT ''
) STRICT;
