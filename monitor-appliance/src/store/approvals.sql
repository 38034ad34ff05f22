-- What was ordered, as it is approved (SHA-256 in hex), and the approval that came with it: absent where none came.
ALTER TABLE update_order ADD COLUMN terms TEXT;
ALTER TABLE update_order ADD COLUMN approval BLOB;
