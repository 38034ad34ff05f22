-- The number with which the epoch of sequence_in began: an epoch that was begun twice is two histories of one name.
ALTER TABLE appliance ADD COLUMN sequence_in_begins INTEGER;
