-- What was learned of how each device answers, in the form of `snmp::Acquaintance`; given up when the device contradicts it.
CREATE TABLE layout (address TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- What each watched device got within the hour before `at_ms`.
CREATE TABLE traffic (
    address TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    refusals INTEGER NOT NULL,
    put_off INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
