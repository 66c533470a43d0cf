-- The few entries that say which lists were published, and what they granted. A query must repeat this condition to find
-- the index.
CREATE INDEX entry_listed ON entry (journal, seq) WHERE kind IN ('edition', 'fund');
