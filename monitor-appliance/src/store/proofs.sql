-- What the modules of a release have shown to work, one row per kind of work and release: only what a release did
-- itself speaks for it.
CREATE TABLE proof (
    what TEXT NOT NULL,
    release TEXT NOT NULL,
    -- When it last worked; NULL if it never did.
    worked_ms INTEGER,
    -- 1 when the last try failed, and what was wrong.
    failing INTEGER NOT NULL DEFAULT 0,
    detail TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (what, release)
) STRICT;
