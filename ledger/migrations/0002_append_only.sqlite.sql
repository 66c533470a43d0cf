-- An entry is written once. A fork cannot be stored: each entry names the leaf of the one before it.

CREATE TRIGGER entry_chained BEFORE INSERT ON entry WHEN NEW.seq > 0
BEGIN
  SELECT RAISE(ABORT, 'entry_chained: prev is not the leaf of the entry before')
  WHERE NEW.prev IS NOT (SELECT leaf FROM entry WHERE journal = NEW.journal AND seq = NEW.seq - 1);
END;

-- INSERT OR REPLACE deletes without asking the triggers for DELETE.
CREATE TRIGGER entry_once BEFORE INSERT ON entry
WHEN EXISTS (SELECT 1 FROM entry WHERE journal = NEW.journal AND seq = NEW.seq)
BEGIN
  SELECT RAISE(ABORT, 'entry_kept: this place in the journal is taken');
END;

CREATE TRIGGER entry_kept BEFORE UPDATE ON entry
BEGIN
  SELECT RAISE(ABORT, 'entry_kept: entries are never changed');
END;

CREATE TRIGGER entry_not_deleted BEFORE DELETE ON entry
BEGIN
  SELECT RAISE(ABORT, 'entry_kept: entries are never deleted');
END;

CREATE TRIGGER head_forward BEFORE UPDATE ON head WHEN NEW.size < OLD.size OR NEW.recorded_at < OLD.recorded_at
BEGIN
  SELECT RAISE(ABORT, 'head_forward: a journal only grows');
END;

CREATE TRIGGER head_once BEFORE INSERT ON head WHEN EXISTS (SELECT 1 FROM head WHERE journal = NEW.journal)
BEGIN
  SELECT RAISE(ABORT, 'head_forward: this journal has a head');
END;

CREATE TRIGGER head_kept BEFORE DELETE ON head
BEGIN
  SELECT RAISE(ABORT, 'head_forward: a journal is never deleted');
END;
