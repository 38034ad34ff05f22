-- How full the mailbox of each account is, as its server told last. Without limits where it told of none.
CREATE TABLE mail_quota (
    account TEXT PRIMARY KEY,
    octets_used INTEGER,
    octets_limit INTEGER,
    mails_used INTEGER,
    mails_limit INTEGER,
    -- Whether it is called nearly full.
    warned INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
