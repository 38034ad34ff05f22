-- Layout 5: a rollout of differences knows the package with whole files, for targets on which no difference fits.

-- JSON of the order for it; holds a content key.
ALTER TABLE rollout ADD COLUMN whole_order TEXT;
