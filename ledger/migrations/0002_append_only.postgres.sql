-- An entry is written once. A fork cannot be stored: each entry names the leaf of the one before it, and its leaf is
-- the hash of its bytes.

ALTER TABLE entry ADD CONSTRAINT entry_hashed CHECK (leaf = sha256('\x00'::bytea || body));

CREATE FUNCTION entry_chained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM added a LEFT JOIN entry b ON b.journal = a.journal AND b.seq = a.seq - 1
    WHERE a.seq > 0 AND b.leaf IS DISTINCT FROM a.prev
  ) THEN
    RAISE EXCEPTION 'entry_chained: prev is not the leaf of the entry before' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER entry_chained AFTER INSERT ON entry REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION entry_chained();

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'entry_kept: % is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER entry_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
FOR EACH STATEMENT EXECUTE FUNCTION append_only();

CREATE TRIGGER head_kept BEFORE DELETE OR TRUNCATE ON head
FOR EACH STATEMENT EXECUTE FUNCTION append_only();

CREATE FUNCTION head_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.size < OLD.size OR NEW.recorded_at < OLD.recorded_at THEN
    RAISE EXCEPTION 'head_forward: a journal only grows' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER head_forward BEFORE UPDATE ON head FOR EACH ROW EXECUTE FUNCTION head_forward();
