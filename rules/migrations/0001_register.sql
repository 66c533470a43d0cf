-- Where deeds happen, and whose account is whose. Nothing personal: names of people are in the vault.

CREATE TABLE place (
  code TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  level TEXT NOT NULL CHECK (level IN ('county', 'street', 'community', 'grid', 'building', 'unit')),
  parent TEXT,
  from_day TEXT NOT NULL,
  to_day TEXT,
  changed_at {int} NOT NULL
) {clustered};

CREATE INDEX place_parent ON place (parent);

CREATE INDEX place_changed ON place (changed_at);

CREATE TABLE subject (
  subject TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('person', 'body')),
  home TEXT NOT NULL,
  grid TEXT NOT NULL,
  groups TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'withdrawn', 'erased')),
  registered_at {int} NOT NULL
) {clustered};

CREATE INDEX subject_grid ON subject (grid);

CREATE INDEX subject_home ON subject (home, kind);

CREATE TABLE body (
  subject TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  uscc TEXT,
  claim TEXT NOT NULL UNIQUE,
  community TEXT NOT NULL,
  contact {blob} NOT NULL,
  registered_at {int} NOT NULL
) {clustered};

CREATE INDEX body_community ON body (community, subject);

CREATE TABLE body_claim (
  claim TEXT NOT NULL PRIMARY KEY,
  subject TEXT NOT NULL
) {clustered};
