-- Orders whose packages come in parts. The order holds the content key; it is empty when the parts are complete or given
-- up, and the row then only tells that parts of this package are not wanted any more.
CREATE TABLE update_parts (
    command TEXT PRIMARY KEY,
    enclosure TEXT NOT NULL,
    update_order TEXT NOT NULL,
    received_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX update_parts_enclosure ON update_parts (enclosure);
