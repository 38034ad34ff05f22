-- Logins at mail servers within the last hour.
CREATE TABLE mail_login (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    -- 'fetch' or 'send'.
    way TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

-- How new mail of each account is noticed.
CREATE TABLE mail_notice (
    account TEXT PRIMARY KEY,
    -- 'idle', 'asking' or 'per-look'.
    manner TEXT NOT NULL,
    -- Whether a session was open when it was last looked at.
    session_open INTEGER NOT NULL,
    -- Since when both are so.
    since_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
