-- Resident modules that an install script keeps standing still; for as long as that order's script runs.
CREATE TABLE module_stop (
    module TEXT PRIMARY KEY,
    update_order INTEGER NOT NULL,
    -- 1 when the supervisor has seen to it.
    stands INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What an order's script asked for; done when the update is kept.
CREATE TABLE script_wish (
    update_order INTEGER NOT NULL,
    wish TEXT NOT NULL,
    PRIMARY KEY (update_order, wish)
) STRICT;
