-- How often a command was sent again because the appliance told that it did not come.
ALTER TABLE outbox_recipient ADD COLUMN sent_again INTEGER NOT NULL DEFAULT 0;
