-- When the sites of a rollout may begin, as JSON; none: at once.
ALTER TABLE rollout ADD COLUMN openings TEXT;
