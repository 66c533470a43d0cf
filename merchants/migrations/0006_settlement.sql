-- What shops are owed and were paid, month by month. All of it can be made again from entries; what cannot is who
-- agreed, disputed and paid.

-- points, fen: what is open at the end of the month; closing: the same by journal, as JSON {journal: [points, fen]}.
-- open: until until_day the shop may dispute it. settled_with: the later month whose payment covered this one ('' its
-- own). paid: JSON {journal: [points, fen]} of its own payment.

CREATE TABLE settlement (
  merchant TEXT NOT NULL,
  period TEXT NOT NULL CHECK (length(period) = 7),
  sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
  points {int} NOT NULL CHECK (points >= 0),
  fen {int} NOT NULL,
  lines {int} NOT NULL CHECK (lines >= 0),
  closing TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'disputed', 'agreed', 'settled')),
  made_at {int} NOT NULL,
  until_day TEXT NOT NULL,
  agreed_by TEXT NOT NULL,
  agreed_at {int} NOT NULL,
  settled_by TEXT NOT NULL,
  settled_at {int} NOT NULL,
  settled_day TEXT NOT NULL,
  settled_with TEXT NOT NULL,
  paid TEXT NOT NULL,
  reference TEXT NOT NULL,
  PRIMARY KEY (merchant, period)
) {clustered};

CREATE INDEX settlement_period ON settlement (period);

-- The statement's bytes, whose SHA-256 stands above, and the note that signs it. Written once.

CREATE TABLE settlement_text (
  merchant TEXT NOT NULL,
  period TEXT NOT NULL,
  body {blob} NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (merchant, period)
) {rows};

-- line 0: the statement as a whole, or something that is missing in it. reason and answer are sealed.

CREATE TABLE settlement_dispute (
  merchant TEXT NOT NULL,
  period TEXT NOT NULL,
  line {int} NOT NULL CHECK (line >= 0),
  actor TEXT NOT NULL,
  at {int} NOT NULL,
  reason {blob} NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('', 'upheld', 'rejected')),
  answered_by TEXT NOT NULL,
  answered_at {int} NOT NULL,
  answer {blob} NOT NULL,
  PRIMARY KEY (merchant, period, line)
) {clustered};

-- Months whose statements have all been made.

CREATE TABLE settlement_run (
  period TEXT NOT NULL PRIMARY KEY,
  made_at {int} NOT NULL,
  statements {int} NOT NULL
) {clustered};
