-- Spending in full: limits by period, budgets, agreements, and what a shop is owed, found without reading every entry.

-- circle: shops of one circle honour each other's vouchers. hours: when it is open, JSON ('' not said). subject: the
-- body behind the shop. per_minute, per_day: orders a minute at one till, and a day at all of them (0: the usual).

ALTER TABLE merchant ADD COLUMN circle TEXT NOT NULL DEFAULT '';

ALTER TABLE merchant ADD COLUMN hours TEXT NOT NULL DEFAULT '';

ALTER TABLE merchant ADD COLUMN subject TEXT NOT NULL DEFAULT '';

ALTER TABLE merchant ADD COLUMN per_minute {int} NOT NULL DEFAULT 0 CHECK (per_minute >= 0);

ALTER TABLE merchant ADD COLUMN per_day {int} NOT NULL DEFAULT 0 CHECK (per_day >= 0);

-- value_fen: what the payer owes the shop for a unit where nothing is spent.

ALTER TABLE offer ADD COLUMN value_fen {int} NOT NULL DEFAULT 0 CHECK (value_fen >= 0);

-- beneficiary: whom it is for ('' before this step: the subject). proxy: who acted for them. value_fen: what the shop is
-- owed for an order without points. budget: the line that pays. consent: how the person agreed to pay the rest in cash.
-- way: how the person was known. windows: the rows of `usage` it counts in, as JSON. benefit_seq, benefit_leaf: the
-- entry that says a benefit without points was used (-1: none). stocked: 1 where it took from a stock that was counted.

ALTER TABLE redemption ADD COLUMN beneficiary TEXT NOT NULL DEFAULT '';

ALTER TABLE redemption ADD COLUMN proxy TEXT NOT NULL DEFAULT '';

ALTER TABLE redemption ADD COLUMN value_fen {int} NOT NULL DEFAULT 0 CHECK (value_fen >= 0);

ALTER TABLE redemption ADD COLUMN budget TEXT NOT NULL DEFAULT '';

ALTER TABLE redemption ADD COLUMN consent TEXT NOT NULL DEFAULT '';

ALTER TABLE redemption ADD COLUMN way TEXT NOT NULL DEFAULT '';

ALTER TABLE redemption ADD COLUMN windows TEXT NOT NULL DEFAULT '[]';

ALTER TABLE redemption ADD COLUMN benefit_seq {int} NOT NULL DEFAULT -1;

ALTER TABLE redemption ADD COLUMN benefit_leaf TEXT NOT NULL DEFAULT '';

ALTER TABLE redemption ADD COLUMN stocked {int} NOT NULL DEFAULT 1;

CREATE INDEX redemption_beneficiary ON redemption (beneficiary) WHERE beneficiary <> subject;

-- A year's money for one scenario at a place and below it. spent, in hundredths of a fen: taken when an order is made,
-- given back with what is released, voided or refunded.

CREATE TABLE budget (
  budget TEXT NOT NULL PRIMARY KEY,
  scenario TEXT NOT NULL,
  place TEXT NOT NULL,
  year TEXT NOT NULL CHECK (length(year) = 4),
  name TEXT NOT NULL,
  limit_fen {int} NOT NULL CHECK (limit_fen >= 0),
  spent {int} NOT NULL CHECK (spent >= 0),
  state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
  version {int} NOT NULL,
  created_at {int} NOT NULL
) {clustered};

CREATE UNIQUE INDEX budget_line ON budget (scenario, year, place);

-- What a shop has signed for a scenario: the paper's number and the digest of its scan.

CREATE TABLE agreement (
  agreement TEXT NOT NULL PRIMARY KEY,
  merchant TEXT NOT NULL,
  scenario TEXT NOT NULL,
  number TEXT NOT NULL,
  from_day TEXT NOT NULL,
  to_day TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('signed', 'ended')),
  version {int} NOT NULL,
  created_at {int} NOT NULL
) {clustered};

CREATE INDEX agreement_merchant ON agreement (merchant, scenario);

-- Where the entries of a shop stand, by month. Only a pointer: amounts are read from the entries.

CREATE TABLE turnover (
  merchant TEXT NOT NULL,
  month TEXT NOT NULL,
  journal TEXT NOT NULL,
  seq {int} NOT NULL,
  PRIMARY KEY (merchant, month, journal, seq)
) {clustered};

-- Which totals one shop was refused, or called off, for one person on one day: a till that tries prices learns no more
-- than three of them.

CREATE TABLE probe (
  merchant TEXT NOT NULL,
  subject TEXT NOT NULL,
  day TEXT NOT NULL,
  asked TEXT NOT NULL,
  PRIMARY KEY (merchant, subject, day)
) {clustered};
