-- Objections: what a subject disputes, until when it must be decided, and how it was.

-- `journal`, `seq`, `leaf`: the entry that says it was made. `target` names what is disputed; where that is an entry, its
-- place is in `target_journal`, `target_seq`. `detail` is JSON: a deed that is missing, or the id
-- of what is kept elsewhere. Reasons are in `sealed`,
-- under the subject's data key. `correction` is JSON: what a decision changed, by reference.
CREATE TABLE objection (
  id TEXT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('open', 'upheld', 'partly', 'rejected', 'withdrawn', 'erased')),
  kind TEXT NOT NULL CHECK (kind IN ('entry', 'edition_entry', 'redemption', 'missing')),
  subject TEXT NOT NULL,
  journal TEXT NOT NULL,
  seq {int} NOT NULL,
  leaf {blob} NOT NULL,
  place TEXT NOT NULL,
  target TEXT NOT NULL,
  target_journal TEXT,
  target_seq {int},
  detail TEXT,
  filed_by TEXT NOT NULL,
  on_behalf {int} NOT NULL CHECK (on_behalf IN (0, 1)),
  filed_at {int} NOT NULL,
  filed_on TEXT NOT NULL CHECK (length(filed_on) = 10),
  due TEXT NOT NULL CHECK (length(due) = 10),
  sure {int} NOT NULL CHECK (sure IN (0, 1)),
  extended_by TEXT,
  decided_by TEXT,
  decided_at {int},
  decision_journal TEXT,
  decision_seq {int},
  correction TEXT,
  sealed {blob} NOT NULL,
  CHECK ((state = 'open') = (decided_at IS NULL)),
  CHECK ((target_journal IS NULL) = (target_seq IS NULL))
) {rows};

CREATE INDEX objection_target ON objection (target_journal, target_seq) WHERE target_seq IS NOT NULL;

CREATE INDEX objection_subject ON objection (subject, id);

CREATE INDEX objection_place ON objection (place, id);

CREATE INDEX objection_home ON objection (journal, id);

CREATE INDEX objection_open ON objection (id) WHERE state = 'open';

-- One open objection for each thing disputed.
CREATE TABLE objection_mark (
  target TEXT NOT NULL PRIMARY KEY,
  objection TEXT NOT NULL
) {rows};
