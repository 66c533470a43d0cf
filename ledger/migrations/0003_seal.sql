-- Seals (docs/spec/seal.md): which there are, and what each account held at them.

-- A seal is kept under the one before it (0: the first), so that two processes can never put two after the same one.
CREATE TABLE seal (
  journal TEXT NOT NULL,
  since {int} NOT NULL CHECK (since >= 0),
  as_of {int} NOT NULL CHECK (as_of > since),
  seq {int} NOT NULL CHECK (seq >= as_of),
  accounts {int} NOT NULL CHECK (accounts >= 0),
  state_root {blob} NOT NULL CHECK (length(state_root) = 32),
  PRIMARY KEY (journal, since)
) {clustered};

-- One row per account that entries from `since` to `as_of` have posted to; `seqs` are those entries. At a later seal
-- without a row the account is as it was. `balances` is canonical JSON; '[]' of an account that is not owned: gone.
CREATE TABLE account_state (
  journal TEXT NOT NULL,
  account TEXT NOT NULL,
  as_of {int} NOT NULL,
  version {int} NOT NULL CHECK (version >= 0),
  head {blob} NOT NULL CHECK (length(head) = 32),
  balances TEXT NOT NULL,
  seqs TEXT NOT NULL,
  PRIMARY KEY (journal, account, as_of)
) {clustered};
