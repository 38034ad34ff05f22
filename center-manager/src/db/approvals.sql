-- JSON of who has to approve a rollout and who did; absent where nobody has to.
ALTER TABLE rollout ADD COLUMN consent TEXT;
