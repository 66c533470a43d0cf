-- Codes that were shown at a till and may not be shown again, by the digest of what they were; kept until they would
-- have run out anyway.

CREATE TABLE pass_used (
  digest {blob} NOT NULL PRIMARY KEY,
  expires_at {int} NOT NULL
) {clustered};

CREATE INDEX pass_used_expiry ON pass_used (expires_at);

-- What a till asks for with a code of its own that the person scans and approves. then_cash: the shop takes the rest in
-- cash. redemption: the order it became ('' before).

CREATE TABLE charge (
  charge TEXT NOT NULL PRIMARY KEY,
  digest {blob} NOT NULL UNIQUE,
  merchant TEXT NOT NULL,
  terminal TEXT NOT NULL,
  community TEXT NOT NULL,
  offer TEXT NOT NULL,
  quantity {int} NOT NULL CHECK (quantity > 0),
  capture {int} NOT NULL CHECK (capture IN (0, 1)),
  then_cash {int} NOT NULL CHECK (then_cash IN (0, 1)),
  state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'declined')),
  redemption TEXT NOT NULL,
  created_at {int} NOT NULL,
  expires_at {int} NOT NULL
) {clustered};

CREATE INDEX charge_expiry ON charge (expires_at);
