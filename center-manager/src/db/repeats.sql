-- Commands that may still be answered are looked at again and again; among the receipts they are few.
CREATE INDEX outbox_command ON outbox (expires) WHERE family = 'command';
CREATE INDEX rotation_message ON rotation (message);
