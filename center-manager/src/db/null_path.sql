-- Accounts whose server does not take the null return path, learned where it refused one and took the same mail with another.
CREATE TABLE null_path_refused (
  account TEXT    NOT NULL PRIMARY KEY,
  learned INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
