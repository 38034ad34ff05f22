-- Notices that devices send of themselves: where they are waited for, and what has come.
CREATE TABLE trap (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- This appliance as an SNMPv3 engine: its id as hex, and how often it has started.
    engine TEXT NOT NULL,
    boots INTEGER NOT NULL,
    -- UDP port that is listened on; NULL while none is.
    port INTEGER,
    -- Why none is; empty otherwise.
    trouble TEXT NOT NULL DEFAULT '',
    -- Counts since the program started.
    since_ms INTEGER NOT NULL,
    notices INTEGER NOT NULL DEFAULT 0,
    looks INTEGER NOT NULL DEFAULT 0,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    strangers INTEGER NOT NULL DEFAULT 0,
    junk INTEGER NOT NULL DEFAULT 0,
    too_many INTEGER NOT NULL DEFAULT 0
) STRICT;
