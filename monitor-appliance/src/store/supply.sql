-- What is remembered of a device's supplies over time, as JSON of `supply::DeviceSupplies`.
ALTER TABLE device ADD COLUMN supply_memory TEXT;
