-- The number with which the epoch began: a random one, so that an epoch that is begun twice is noticed and has other numbers.
ALTER TABLE epoch ADD COLUMN begins INTEGER;
