-- The roles that the reader held, as `role@place` words: they change, and the log tells how it was.

ALTER TABLE access_log ADD COLUMN roles TEXT NOT NULL DEFAULT '';

-- Who registered a person under which retry key: that key must not name them once they are erased.

CREATE INDEX request_subject ON request (ref) WHERE substr(ref, 1, 4) = 'sub_';
