-- Every start of a process that sends begins an epoch of numbers; it follows the highest number given before.
CREATE TABLE epoch (
    center TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    follows INTEGER NOT NULL,
    PRIMARY KEY (center, epoch)
) STRICT;

-- What is known of each center's history: the numbers seen, as JSON, and when its newest message was made.
CREATE TABLE history (center TEXT PRIMARY KEY, lineage TEXT NOT NULL, newest_ms INTEGER NOT NULL) STRICT;

-- What is wrong with the appliance itself; told once when it begins and once when it is over.
CREATE TABLE alarm (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    since_ms INTEGER NOT NULL
) STRICT;
