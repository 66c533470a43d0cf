-- Shops, what they offer, and who redeemed what. The state of a redemption is its hold's state; only what the hold
-- cannot tell stands here.

CREATE TABLE merchant (
  merchant TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  community TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'suspended')),
  version {int} NOT NULL,
  created_at {int} NOT NULL
) {clustered};

CREATE INDEX merchant_community ON merchant (community);

CREATE TABLE terminal (
  terminal TEXT NOT NULL PRIMARY KEY,
  merchant TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
  created_at {int} NOT NULL
) {clustered};

CREATE INDEX terminal_merchant ON terminal (merchant);

-- stock -1: not counted. per_person 0: no limit. An empty day: no bound on that side.

CREATE TABLE offer (
  offer TEXT NOT NULL PRIMARY KEY,
  merchant TEXT NOT NULL,
  community TEXT NOT NULL,
  scenario TEXT NOT NULL,
  title_zh TEXT NOT NULL,
  title_en TEXT NOT NULL,
  price {int} NOT NULL CHECK (price >= 0),
  cash_fen {int} NOT NULL CHECK (cash_fen >= 0),
  stock {int} NOT NULL CHECK (stock >= -1),
  per_person {int} NOT NULL CHECK (per_person >= 0),
  from_day TEXT NOT NULL,
  to_day TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('proposed', 'open', 'paused', 'closed')),
  version {int} NOT NULL,
  proposer TEXT NOT NULL,
  approver TEXT NOT NULL,
  created_at {int} NOT NULL
) {clustered};

CREATE INDEX offer_merchant ON offer (merchant);

CREATE INDEX offer_community ON offer (community, state);

-- With points > 0 the hold of the same id, in the same journal, has the state, the amounts and the time limit; `mark` is
-- then '' or 'voided'. With points = 0 there is no hold: `mark` is the state and `expires_at` the time limit.
-- `counted`: units that still count against stock and the person's limit.

CREATE TABLE redemption (
  redemption TEXT NOT NULL PRIMARY KEY,
  journal TEXT NOT NULL,
  subject TEXT NOT NULL,
  offer TEXT NOT NULL,
  merchant TEXT NOT NULL,
  community TEXT NOT NULL,
  scenario TEXT NOT NULL,
  quantity {int} NOT NULL CHECK (quantity > 0),
  counted {int} NOT NULL CHECK (counted >= 0 AND counted <= quantity),
  points {int} NOT NULL CHECK (points >= 0),
  cash_fen {int} NOT NULL CHECK (cash_fen >= 0),
  fen_per_point {int} NOT NULL CHECK (fen_per_point >= 0),
  day TEXT NOT NULL,
  mark TEXT NOT NULL CHECK (mark IN ('', 'held', 'captured', 'released', 'expired', 'voided')),
  expires_at {int} NOT NULL,
  actor TEXT NOT NULL,
  terminal TEXT NOT NULL,
  created_at {int} NOT NULL,
  CHECK (points = 0 OR mark IN ('', 'voided')),
  CHECK (points > 0 OR mark <> '')
) {rows};

CREATE INDEX redemption_merchant ON redemption (merchant, day);

CREATE INDEX redemption_community ON redemption (community, day);

CREATE INDEX redemption_subject ON redemption (subject);

CREATE INDEX redemption_expiry ON redemption (expires_at) WHERE mark = 'held';

-- Why something was voided or refunded: free text, sealed under the subject's data key.

CREATE TABLE redemption_reason (
  redemption TEXT NOT NULL,
  txn TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('void', 'refund')),
  actor TEXT NOT NULL,
  created_at {int} NOT NULL,
  sealed {blob} NOT NULL,
  PRIMARY KEY (redemption, txn)
) {clustered};

-- Limits per person: scope is an offer (start '') or, later, a scenario and the first day of its period.

CREATE TABLE usage (
  scope TEXT NOT NULL,
  subject TEXT NOT NULL,
  start TEXT NOT NULL,
  used {int} NOT NULL CHECK (used >= 0),
  PRIMARY KEY (scope, subject, start)
) {clustered};

CREATE INDEX usage_subject ON usage (subject);
