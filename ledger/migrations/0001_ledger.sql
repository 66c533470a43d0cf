-- The chain, and what is derived from it. Words in braces are filled in per database (ledger/migrate.py).

CREATE TABLE head (
  journal TEXT NOT NULL PRIMARY KEY,
  size {int} NOT NULL CHECK (size > 0),
  leaf {blob} NOT NULL CHECK (length(leaf) = 32),
  recorded_at {int} NOT NULL,
  zone TEXT NOT NULL,
  takeover {int} NOT NULL CHECK (takeover IN (0, 1))
) {updated};

CREATE TABLE entry (
  journal TEXT NOT NULL,
  seq {int} NOT NULL CHECK (seq >= 0),
  leaf {blob} NOT NULL CHECK (length(leaf) = 32),
  prev {blob} NOT NULL CHECK (length(prev) = 32),
  kind TEXT NOT NULL,
  subject TEXT,
  recorded_at {int} NOT NULL,
  body {blob} NOT NULL,
  PRIMARY KEY (journal, seq)
) {rows};

-- A subject's entries, in buckets of 4,096: new rows fall into the last bucket of a journal instead of everywhere, so
-- that the index costs as much at five million entries as at none.
CREATE INDEX entry_subject ON entry (journal, (seq / 4096), subject) WHERE subject IS NOT NULL;

CREATE TABLE balance (
  journal TEXT NOT NULL,
  account TEXT NOT NULL,
  unit TEXT NOT NULL CHECK (unit IN ('standing', 'points')),
  lot TEXT NOT NULL CHECK (length(lot) = 10),
  -- Ranges rather than substr(): the check runs on every posting, and this form costs next to nothing.
  amount {int} NOT NULL CHECK (
    CASE
      WHEN account >= 'subject:' AND account < 'subject;' THEN amount > 0
      WHEN account >= 'minus:' AND account < 'minus;' OR account >= 'debt:' AND account < 'debt;' THEN amount < 0
      WHEN account IN ('issuer', 'expired', 'adjustment') THEN amount <> 0
      ELSE amount > 0
    END),
  PRIMARY KEY (journal, account, unit, lot)
) {updated};

CREATE TABLE member (
  journal TEXT NOT NULL,
  subject TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('person', 'body')),
  state TEXT NOT NULL CHECK (state IN ('open', 'moved', 'closed', 'erased')),
  home TEXT NOT NULL,
  opened_seq {int} NOT NULL,
  PRIMARY KEY (journal, subject)
) {updated};

CREATE INDEX member_subject ON member (subject);

-- What caps have let through, by window: today's windows lie together, yesterday's are left alone.
CREATE TABLE tally (
  journal TEXT NOT NULL,
  start TEXT NOT NULL,
  subject TEXT NOT NULL,
  cap TEXT NOT NULL,
  used {int} NOT NULL,
  PRIMARY KEY (journal, start, subject, cap)
) {updated};

CREATE TABLE hold (
  journal TEXT NOT NULL,
  hold TEXT NOT NULL,
  subject TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('held', 'closed', 'expired')),
  expires_at {int} NOT NULL,
  amount {int} NOT NULL CHECK (amount > 0),
  captured {int} NOT NULL,
  released {int} NOT NULL,
  refunded {int} NOT NULL,
  lots TEXT NOT NULL,
  grace TEXT NOT NULL,
  seq {int} NOT NULL,
  leaf {blob} NOT NULL,
  PRIMARY KEY (journal, hold),
  CHECK (captured >= 0 AND released >= 0 AND captured + released <= amount AND refunded BETWEEN 0 AND captured)
) {rows};

CREATE INDEX hold_expiry ON hold (expires_at) WHERE state = 'held';

CREATE TABLE reversed (
  journal TEXT NOT NULL,
  seq {int} NOT NULL,
  by_seq {int} NOT NULL,
  shortfall {int} NOT NULL,
  PRIMARY KEY (journal, seq)
) {clustered};

CREATE TABLE cause (
  digest {blob} NOT NULL PRIMARY KEY,
  journal TEXT NOT NULL,
  seq {int} NOT NULL,
  reversed {int} NOT NULL,
  replaced {int} NOT NULL
) {clustered};

CREATE TABLE request (
  caller TEXT NOT NULL,
  key TEXT NOT NULL,
  digest {blob} NOT NULL,
  status {int} NOT NULL,
  ref TEXT NOT NULL,
  refusal TEXT NOT NULL,
  recorded_at {int} NOT NULL,
  PRIMARY KEY (caller, key)
) {clustered};

CREATE INDEX request_refused ON request (recorded_at) WHERE refusal <> '';
