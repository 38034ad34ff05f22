-- A package that is larger than one mail may be goes out in parts, each a message of its own behind the order.

-- Of an order: octets of a part, 0 when the package goes whole behind the order; absent until it is first sent.
ALTER TABLE outbox ADD COLUMN part_octets INTEGER;
-- Of an order: JSON of its parity parts, where it has any.
ALTER TABLE outbox ADD COLUMN part_parity TEXT;
-- Of a part: its order, and which part it is, from 1.
ALTER TABLE outbox ADD COLUMN part_of INTEGER REFERENCES outbox (id) ON DELETE CASCADE;
ALTER TABLE outbox ADD COLUMN part_number INTEGER;
CREATE INDEX outbox_part ON outbox (part_of, part_number) WHERE part_of IS NOT NULL;

-- Largest mail that gets through to an appliance, as the operator set it or a mail server on the way said; absent when not
-- known.
ALTER TABLE appliance ADD COLUMN mail_octets_max INTEGER;

-- Largest mail that our own accounts take, learned where one was refused without an announced limit.
CREATE TABLE account_limit (
  account TEXT    NOT NULL PRIMARY KEY,
  octets  INTEGER NOT NULL,
  learned INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
