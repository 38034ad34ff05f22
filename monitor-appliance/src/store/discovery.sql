-- Which credential was tried where, so that no restart makes it be tried too often. Names of credentials are digests.
CREATE TABLE credential_try (
    address TEXT NOT NULL,
    -- A general call: all who heard it were told.
    call INTEGER NOT NULL,
    credential TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('good', 'wrong', 'no-engine')),
    PRIMARY KEY (address, credential, at_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX credential_try_age ON credential_try (at_ms);

-- When a scan of a range goes on with the credentials that could not be tried within the hour; NULL when none is left.
ALTER TABLE range_scan ADD COLUMN again_ms INTEGER;
