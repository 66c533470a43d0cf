-- Deeds that people report themselves, waiting for staff; and who may confirm hours.

CREATE TABLE report (
  id TEXT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('open', 'accepted', 'declined', 'withdrawn')),
  subject TEXT NOT NULL,
  place TEXT NOT NULL,
  indicator TEXT,
  occurred_on TEXT NOT NULL CHECK (length(occurred_on) = 10),
  reporter TEXT NOT NULL,
  created_at {int} NOT NULL,
  award TEXT,
  decided_by TEXT,
  decided_at {int},
  settled_at {int},
  sealed {blob} NOT NULL,
  CHECK ((state = 'accepted') = (award IS NOT NULL)),
  CHECK ((state = 'open') = (decided_at IS NULL))
) {rows};

CREATE INDEX report_place ON report (place, id);

CREATE INDEX report_subject ON report (subject, id);

CREATE INDEX report_unsettled ON report (id) WHERE settled_at IS NULL;

CREATE TABLE report_photo (
  digest {blob} NOT NULL,
  report TEXT NOT NULL,
  subject TEXT NOT NULL,
  PRIMARY KEY (digest, report)
) {clustered};

CREATE INDEX report_photo_report ON report_photo (report);

CREATE INDEX report_photo_subject ON report_photo (subject);

CREATE TABLE report_case (
  digest {blob} NOT NULL PRIMARY KEY,
  report TEXT NOT NULL
) {clustered};

CREATE TABLE confirmer (
  who TEXT NOT NULL,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('person', 'body', 'staff')),
  place TEXT NOT NULL,
  from_day TEXT NOT NULL CHECK (length(from_day) = 10),
  to_day TEXT CHECK (length(to_day) = 10),
  daily_people {int} CHECK (daily_people > 0),
  state TEXT NOT NULL CHECK (state IN ('active', 'suspended')),
  version {int} NOT NULL,
  registered_by TEXT NOT NULL,
  registered_at {int} NOT NULL,
  changed_at {int} NOT NULL,
  story {blob} NOT NULL,
  PRIMARY KEY (who, id)
) {clustered};

CREATE INDEX confirmer_place ON confirmer (place, id);
