-- Orders to install a package, one row per order: a package that is ordered again is a new row.
CREATE TABLE update_order (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    command TEXT NOT NULL UNIQUE,
    package TEXT NOT NULL,
    target TEXT NOT NULL,
    -- How far it came, JSON. `moves` grows with every change of it, so that nobody overwrites what another stored.
    state TEXT NOT NULL,
    moves INTEGER NOT NULL DEFAULT 0,
    -- How often the work of this state was begun.
    starts INTEGER NOT NULL DEFAULT 0,
    -- 1 when it is over and its result stands in the outbox.
    done INTEGER NOT NULL DEFAULT 0,
    output TEXT NOT NULL DEFAULT '',
    received_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX update_order_open ON update_order (id) WHERE done = 0;

-- Small facts about installations: the greatest release counter, a restart of the box that is still to come.
CREATE TABLE update_fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
