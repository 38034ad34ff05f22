-- In which form mails get through to the center, per mail account.
CREATE TABLE way (
    account TEXT PRIMARY KEY,
    form TEXT NOT NULL,
    since_ms INTEGER,
    reason TEXT NOT NULL,
    probe_ms INTEGER,
    proven_ms INTEGER
) STRICT;

-- How often a report was sent in each form, and by which account and how the last time.
ALTER TABLE outbox ADD COLUMN sent_opaque INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN sent_armoured INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN sent_form TEXT;
ALTER TABLE outbox ADD COLUMN sent_account TEXT;

-- Mails of the center of which a gateway left no message, since the last health report.
CREATE TABLE mangled (how TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;
