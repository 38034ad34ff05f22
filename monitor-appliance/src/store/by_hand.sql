-- 1 for an order that a person gave on site with a package file; its result answers no command.
ALTER TABLE update_order ADD COLUMN by_hand INTEGER NOT NULL DEFAULT 0;
