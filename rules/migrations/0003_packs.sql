-- Packs that two people have published, and proposals. A pack is never changed, only followed by another.

CREATE TABLE pack (
  id TEXT NOT NULL,
  hash TEXT NOT NULL PRIMARY KEY CHECK (length(hash) = 64),
  version TEXT NOT NULL,
  effective_from TEXT NOT NULL CHECK (length(effective_from) = 10),
  published_at {int} NOT NULL,
  proposal TEXT NOT NULL,
  proposer TEXT NOT NULL,
  approver TEXT NOT NULL,
  files {blob} NOT NULL,
  UNIQUE (id, effective_from)
) {rows};

CREATE TABLE pack_proposal (
  id TEXT NOT NULL PRIMARY KEY,
  pack TEXT NOT NULL,
  version TEXT NOT NULL,
  hash TEXT NOT NULL,
  effective_from TEXT NOT NULL,
  proposer TEXT NOT NULL,
  created_at {int} NOT NULL,
  files {blob} NOT NULL,
  report {blob} NOT NULL
) {rows};

-- One row that whoever publishes a pack and whoever opens a journal have to take turns at.
CREATE TABLE shelf (
  name TEXT NOT NULL PRIMARY KEY,
  journals {int} NOT NULL
) {rows};

-- A pack waits for a second person in the same queue as awards; a CHECK can only be widened by making the table anew.
CREATE TABLE approval_wider (
  id TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('award', 'batch', 'pack')),
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

INSERT INTO approval_wider
  SELECT id, kind, target, proposer, proposer_subject, place, places, why, lines, standing, points, state, version,
    created_at, decided_by, decided_at, reason, changed
  FROM approval;

DROP TABLE approval;

ALTER TABLE approval_wider RENAME TO approval;

CREATE INDEX approval_open ON approval (id) WHERE state = 'open';
