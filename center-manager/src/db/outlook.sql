-- What an appliance concluded from a supply's levels over time, as JSON; NULL where there is nothing.
ALTER TABLE supply ADD COLUMN outlook TEXT;
