-- Vouchers that are out, and what tills have uploaded of them.

-- One row a voucher; its order is the redemption of the same id. `ends`: when shops stop taking it, in microseconds; the
-- order's hold lasts three days longer, for uploads. `fields`: what is signed.

CREATE TABLE voucher (
  voucher TEXT NOT NULL PRIMARY KEY,
  ends {int} NOT NULL,
  fields {blob} NOT NULL
) {clustered};

-- A line of a batch, once for ever: till, the till's own counter, and the digest of what the line said. A till that
-- uses a counter again for something else has two lines there. `redemption` is '' where the voucher is none of ours;
-- `points`, in hundredths, and `cash_fen` are what a genuine one says, captured or not. `taken_at`: when the till says
-- that it took the voucher. `day`: when the line came in, by the
-- deployment's clock and zone.

CREATE TABLE voucher_line (
  terminal TEXT NOT NULL,
  counter {int} NOT NULL CHECK (counter >= 0),
  digest {blob} NOT NULL,
  merchant TEXT NOT NULL,
  batch TEXT NOT NULL,
  redemption TEXT NOT NULL,
  points {int} NOT NULL CHECK (points >= 0),
  cash_fen {int} NOT NULL CHECK (cash_fen >= 0),
  result TEXT NOT NULL CHECK (result IN ('captured', 'dispute')),
  reason TEXT NOT NULL CHECK ((result = 'captured') = (reason = '')),
  taken_at {int} NOT NULL,
  day TEXT NOT NULL,
  created_at {int} NOT NULL,
  PRIMARY KEY (terminal, counter, digest)
) {clustered};

CREATE INDEX voucher_line_merchant ON voucher_line (merchant, day);

CREATE INDEX voucher_line_redemption ON voucher_line (redemption);
