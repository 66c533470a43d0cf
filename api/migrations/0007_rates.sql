-- What callers have taken lately: `full_at` is the instant (µs) at which a caller's bucket is full again. Addresses
-- stand here as keyed digests, and only of those who asked for more than a process gives unasked.

CREATE TABLE rate (
  who TEXT NOT NULL PRIMARY KEY,
  full_at {int} NOT NULL
) {clustered};
