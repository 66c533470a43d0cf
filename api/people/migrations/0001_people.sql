-- Sealed records of persons, the blind indexes by which they are found, consents, PINs, cards and printed codes.
-- Without the data keys, which are in a file of their own, `sealed` says nothing; without the deployment secret the
-- indexes say nothing.

CREATE TABLE person (
  subject TEXT NOT NULL PRIMARY KEY,
  sealed {blob} NOT NULL,
  identity {blob} NOT NULL UNIQUE,
  phone_index {blob},
  tail_index {blob},
  name_grid_index {blob} NOT NULL,
  ledger {int} NOT NULL CHECK (ledger IN (0, 1)),
  publication {int} NOT NULL CHECK (publication IN (0, 1)),
  merchant {int} NOT NULL CHECK (merchant IN (0, 1)),
  ranking {int} NOT NULL CHECK (ranking IN (0, 1)),
  registered_at {int} NOT NULL,
  changed_at {int} NOT NULL
) {clustered};

CREATE INDEX person_phone ON person (phone_index) WHERE phone_index IS NOT NULL;

CREATE INDEX person_tail ON person (tail_index) WHERE tail_index IS NOT NULL;

CREATE INDEX person_name_grid ON person (name_grid_index);

CREATE TABLE identity (
  digest {blob} NOT NULL PRIMARY KEY,
  subject TEXT NOT NULL
) {clustered};

CREATE INDEX identity_subject ON identity (subject);

CREATE TABLE consent (
  subject TEXT NOT NULL,
  at {int} NOT NULL,
  actor TEXT NOT NULL,
  ledger {int} NOT NULL,
  publication {int} NOT NULL,
  merchant {int} NOT NULL,
  ranking {int} NOT NULL,
  PRIMARY KEY (subject, at)
) {clustered};

CREATE TABLE pin (
  subject TEXT NOT NULL PRIMARY KEY,
  hash TEXT NOT NULL,
  tries {int} NOT NULL CHECK (tries BETWEEN 0 AND 5),
  changed_at {int} NOT NULL
) {clustered};

CREATE TABLE card (
  serial TEXT NOT NULL PRIMARY KEY,
  subject TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'frozen', 'replaced')),
  issued_at {int} NOT NULL,
  changed_at {int} NOT NULL
) {clustered};

CREATE INDEX card_subject ON card (subject);

CREATE TABLE activation (
  digest {blob} NOT NULL PRIMARY KEY,
  subject TEXT NOT NULL,
  expires_at {int} NOT NULL,
  used_at {int} NOT NULL
) {clustered};

CREATE INDEX activation_subject ON activation (subject);
