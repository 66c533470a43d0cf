-- Impact assessments, recorded before names, rankings or shops are switched on at a place. Rows are added, never
-- changed or taken out.

CREATE TABLE assessment (
  id TEXT NOT NULL PRIMARY KEY,
  purpose TEXT NOT NULL CHECK (purpose IN ('publication', 'ranking', 'merchant')),
  place TEXT NOT NULL,
  title TEXT NOT NULL,
  summary TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  conclusion TEXT NOT NULL CHECK (conclusion IN ('acceptable', 'not_acceptable')),
  made_by TEXT NOT NULL,
  valid_until TEXT NOT NULL,
  recorded_by TEXT NOT NULL,
  recorded_at {int} NOT NULL
) {clustered};

CREATE INDEX assessment_place ON assessment (purpose, place);
