-- Up to which entry, and of which lots about to lapse, a subject has been told: by message or on paper.

CREATE TABLE notice_mark (
  subject TEXT NOT NULL PRIMARY KEY,
  journal TEXT NOT NULL,
  seq {int} NOT NULL,
  warned TEXT NOT NULL,
  channel TEXT NOT NULL CHECK (channel IN ('sms', 'print')),
  told_by TEXT NOT NULL,
  told_at {int} NOT NULL
) {clustered};
