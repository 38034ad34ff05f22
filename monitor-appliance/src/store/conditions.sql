-- When ordered updates may begin; no row: at any time.
CREATE TABLE update_conditions (
    command TEXT PRIMARY KEY,
    conditions TEXT NOT NULL
) STRICT;
