-- Who was erased, on whose word and for which of the named reasons. `settled_at` is 0 until the data key is destroyed
-- and nothing of the person is left in the database's files.

CREATE TABLE erasure (
  subject TEXT NOT NULL PRIMARY KEY,
  at {int} NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  settled_at {int} NOT NULL
) {clustered};
