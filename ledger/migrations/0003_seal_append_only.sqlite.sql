-- What has been sealed is written once. INSERT OR REPLACE deletes without asking the triggers for DELETE.

CREATE TRIGGER seal_once BEFORE INSERT ON seal
WHEN EXISTS (SELECT 1 FROM seal WHERE journal = NEW.journal AND since = NEW.since)
BEGIN
  SELECT RAISE(ABORT, 'seal_kept: seal is append-only');
END;

CREATE TRIGGER seal_kept BEFORE UPDATE ON seal
BEGIN
  SELECT RAISE(ABORT, 'seal_kept: seal is append-only');
END;

CREATE TRIGGER seal_not_deleted BEFORE DELETE ON seal
BEGIN
  SELECT RAISE(ABORT, 'seal_kept: seal is append-only');
END;

CREATE TRIGGER account_state_once BEFORE INSERT ON account_state
WHEN EXISTS (
  SELECT 1 FROM account_state WHERE journal = NEW.journal AND account = NEW.account AND as_of = NEW.as_of
)
BEGIN
  SELECT RAISE(ABORT, 'account_state_kept: account_state is append-only');
END;

CREATE TRIGGER account_state_kept BEFORE UPDATE ON account_state
BEGIN
  SELECT RAISE(ABORT, 'account_state_kept: account_state is append-only');
END;

CREATE TRIGGER account_state_not_deleted BEFORE DELETE ON account_state
BEGIN
  SELECT RAISE(ABORT, 'account_state_kept: account_state is append-only');
END;
