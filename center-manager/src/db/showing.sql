-- What happened in one rollout is found in its order, without reading what happened in others.
CREATE INDEX rollout_event_order ON rollout_event (rollout, id);
-- What an appliance ran at a given time, and the report that a verdict rests on.
CREATE INDEX report_version ON report (agent, number) WHERE kind = 'version-report';
