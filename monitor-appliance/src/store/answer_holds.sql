-- Answers that wait for their slot, by the command that they answer: how long from the moment in which it was read, and how
-- long after that nobody repeats them. The moment is told by the clock and by the uptime of its boot.
CREATE TABLE answer_hold (
    command TEXT PRIMARY KEY,
    made_ms INTEGER NOT NULL,
    boot TEXT NOT NULL,
    since_boot_ms INTEGER NOT NULL,
    wait_ms INTEGER NOT NULL,
    patience_ms INTEGER NOT NULL
) STRICT;

-- The command whose hold a report waits for that answers no command.
ALTER TABLE version_request ADD COLUMN held_by TEXT;

-- How long a report may be put off that is held, or waits for a late receipt; 0 for any other.
ALTER TABLE outbox ADD COLUMN patience_ms INTEGER NOT NULL DEFAULT 0;
