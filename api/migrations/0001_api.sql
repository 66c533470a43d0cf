-- Who may sign in, what was issued to them, and who read whose record.

CREATE TABLE staff (
  id TEXT NOT NULL PRIMARY KEY,
  username TEXT NOT NULL UNIQUE,
  password TEXT NOT NULL,
  subject TEXT NOT NULL,
  roles TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'closed')),
  version {int} NOT NULL,
  created_at {int} NOT NULL
) {clustered};

-- The same names once more, as a key: the commit path finds rows by key, and a name must be free when it is taken.

CREATE TABLE staff_name (
  username TEXT NOT NULL PRIMARY KEY,
  id TEXT NOT NULL
) {clustered};

CREATE TABLE session (
  hash {blob} NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  kind TEXT NOT NULL CHECK (kind IN ('staff', 'resident', 'body')),
  owner TEXT NOT NULL,
  issued_at {int} NOT NULL,
  expires_at {int} NOT NULL
) {clustered};

CREATE INDEX session_owner ON session (owner);

CREATE INDEX session_expiry ON session (expires_at);

CREATE TABLE api_key (
  id TEXT NOT NULL PRIMARY KEY,
  hash {blob} NOT NULL CHECK (length(hash) = 32),
  kind TEXT NOT NULL CHECK (kind IN ('merchant', 'client')),
  name TEXT NOT NULL,
  merchant TEXT NOT NULL,
  terminal TEXT NOT NULL,
  scopes TEXT NOT NULL,
  roles TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'revoked')),
  created_by TEXT NOT NULL,
  created_at {int} NOT NULL,
  expires_at {int} NOT NULL
) {clustered};

CREATE TABLE attempt (
  what TEXT NOT NULL PRIMARY KEY,
  tries {int} NOT NULL,
  since {int} NOT NULL
) {clustered};

CREATE INDEX attempt_since ON attempt (since);

CREATE TABLE access_log (
  id TEXT NOT NULL PRIMARY KEY,
  at {int} NOT NULL,
  reader TEXT NOT NULL,
  subject TEXT NOT NULL,
  what TEXT NOT NULL
) {clustered};

CREATE INDEX access_subject ON access_log (subject, at);

-- A balance says what is held; the holds of one person are found by this.

CREATE INDEX hold_open ON hold (subject) WHERE state = 'held';
