-- Endpoints that are told what was committed. There is no outbox: the entries are it, and a cursor says which of a
-- journal comes next.

CREATE TABLE webhook (
  id TEXT NOT NULL PRIMARY KEY,
  owner TEXT NOT NULL,
  merchant TEXT NOT NULL,
  place TEXT NOT NULL,
  url {blob} NOT NULL,
  events TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'disabled')),
  reason TEXT NOT NULL CHECK (reason = '' OR state = 'disabled'),
  salt {blob} NOT NULL CHECK (length(salt) = 16),
  former {blob} NOT NULL CHECK (length(former) IN (0, 16)),
  former_until {int} NOT NULL,
  version {int} NOT NULL,
  created_at {int} NOT NULL
) {clustered};

CREATE INDEX webhook_owner ON webhook (owner);

CREATE INDEX webhook_merchant ON webhook (merchant) WHERE merchant <> '';

-- `seq` is the next entry to be looked at. `tries` at the one that waits have failed, since `since`.

CREATE TABLE webhook_cursor (
  webhook TEXT NOT NULL,
  journal TEXT NOT NULL,
  seq {int} NOT NULL CHECK (seq >= 0),
  tries {int} NOT NULL CHECK (tries >= 0),
  since {int} NOT NULL,
  next_at {int} NOT NULL,
  PRIMARY KEY (webhook, journal)
) {clustered};

CREATE TABLE webhook_try (
  webhook TEXT NOT NULL,
  id TEXT NOT NULL,
  journal TEXT NOT NULL,
  seq {int} NOT NULL,
  kind TEXT NOT NULL,
  tries {int} NOT NULL,
  at {int} NOT NULL,
  outcome TEXT NOT NULL,
  status {int} NOT NULL,
  ms {int} NOT NULL,
  PRIMARY KEY (webhook, id)
) {clustered};

CREATE INDEX webhook_try_at ON webhook_try (at);

-- Which process does what only one may do at a time, and until when unless it says so again.

CREATE TABLE work_lease (
  name TEXT NOT NULL PRIMARY KEY,
  holder TEXT NOT NULL,
  until {int} NOT NULL
) {clustered};
