-- The award desk: what was reported, what became of it, and what waits for a second person.

CREATE TABLE award (
  id TEXT NOT NULL PRIMARY KEY,
  batch TEXT,
  line {int},
  state TEXT NOT NULL CHECK (state IN ('posted', 'awaiting_approval', 'rejected', 'refused', 'reversed')),
  outcome TEXT NOT NULL CHECK (outcome IN ('posted', 'reduced', 'zero', 'duplicate', 'refused')),
  code TEXT,
  subject TEXT NOT NULL,
  journal TEXT,
  seq {int},
  leaf {blob},
  place TEXT NOT NULL,
  indicator TEXT NOT NULL,
  grp TEXT NOT NULL,
  occurred_on TEXT NOT NULL CHECK (length(occurred_on) = 10),
  level TEXT NOT NULL,
  standing {int} NOT NULL,
  points {int} NOT NULL,
  proposer TEXT NOT NULL,
  approver TEXT,
  created_at {int} NOT NULL,
  reversal_journal TEXT,
  reversal_seq {int},
  sealed {blob} NOT NULL,
  CHECK ((state IN ('posted', 'reversed')) = (seq IS NOT NULL))
) {rows};

-- From an entry to the award behind it; a subject's own awards are found through its entries.
CREATE UNIQUE INDEX award_entry ON award (journal, seq) WHERE seq IS NOT NULL;

CREATE INDEX award_batch ON award (batch, line) WHERE batch IS NOT NULL;

CREATE INDEX award_place ON award (place, id);

CREATE TABLE batch (
  id TEXT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('posted', 'awaiting_approval', 'rejected', 'partly_reversed', 'reversed')),
  source TEXT NOT NULL CHECK (source IN ('sheet', 'api')),
  proposer TEXT NOT NULL,
  approver TEXT,
  place TEXT NOT NULL,
  places TEXT NOT NULL,
  lines {int} NOT NULL,
  standing {int} NOT NULL,
  points {int} NOT NULL,
  counts TEXT NOT NULL,
  rest TEXT NOT NULL,
  why TEXT NOT NULL,
  created_at {int} NOT NULL,
  decided_at {int}
) {rows};

CREATE INDEX batch_place ON batch (place, id);

CREATE TABLE approval (
  id TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('award', 'batch')),
  target TEXT NOT NULL,
  proposer TEXT NOT NULL,
  proposer_subject TEXT,
  place TEXT NOT NULL,
  places TEXT NOT NULL,
  why TEXT NOT NULL,
  lines {int} NOT NULL,
  standing {int} NOT NULL,
  points {int} NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'approved', 'rejected')),
  version {int} NOT NULL,
  created_at {int} NOT NULL,
  decided_by TEXT,
  decided_at {int},
  reason TEXT,
  changed TEXT NOT NULL
) {rows};

CREATE INDEX approval_open ON approval (id) WHERE state = 'open';
