-- Editions: lists that are frozen, told, disputed, decided and published, line by line.

-- `approvals` is JSON, a list of {"by", "at", "of"}: `of` is the digest of what was approved, so that an approval does
-- not stand for something else. `digest` is that of published.json, `note` the signed note over it. '' and -1: not yet.
CREATE TABLE edition (
  id TEXT NOT NULL PRIMARY KEY,
  list TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('ranking', 'honour', 'reminder', 'notice')),
  about TEXT NOT NULL CHECK (about IN ('grids', 'bodies', 'persons')),
  period TEXT NOT NULL,
  place TEXT NOT NULL,
  version {int} NOT NULL CHECK (version > 0),
  corrects TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('draft', 'frozen', 'notified', 'decided', 'published', 'corrected', 'discarded')),
  reason TEXT NOT NULL,
  workdays {int} NOT NULL,
  approvers {int} NOT NULL,
  drafted_by TEXT NOT NULL,
  drafted_at {int} NOT NULL,
  frozen_by TEXT NOT NULL,
  frozen_at {int} NOT NULL,
  notified_by TEXT NOT NULL,
  notified_on TEXT NOT NULL,
  due TEXT NOT NULL,
  sure {int} NOT NULL CHECK (sure IN (0, 1)),
  approvals TEXT NOT NULL,
  published_at {int} NOT NULL,
  published_on TEXT NOT NULL,
  digest TEXT NOT NULL,
  note TEXT NOT NULL,
  etag {int} NOT NULL
) {rows};

CREATE INDEX edition_list ON edition (list, place, period);

CREATE INDEX edition_place ON edition (place, id);

-- The version that a list's edition has come to, so that there is one at a time.
CREATE TABLE edition_mark (
  list TEXT NOT NULL,
  period TEXT NOT NULL,
  place TEXT NOT NULL,
  edition TEXT NOT NULL,
  PRIMARY KEY (list, period, place)
) {clustered};

-- What an outsider recomputes it from, deflated.
CREATE TABLE edition_file (
  edition TEXT NOT NULL,
  name TEXT NOT NULL,
  data {blob} NOT NULL,
  PRIMARY KEY (edition, name)
) {rows};

-- `reply` and `why` (of a decision) are sealed under the data key of the subject. `until`: the last day on the list;
-- `asked_on`: the body says that it has put the matter right.
CREATE TABLE edition_line (
  edition TEXT NOT NULL,
  line TEXT NOT NULL,
  subject TEXT NOT NULL,
  journal TEXT NOT NULL,
  seq {int} NOT NULL,
  indicator TEXT NOT NULL,
  grade TEXT NOT NULL CHECK (grade IN ('', 'minor', 'ordinary')),
  months {int} NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('proposed', 'notified', 'confirmed', 'dropped', 'chosen', 'passed', 'posted', 'ended')),
  delivered_on TEXT NOT NULL,
  channel TEXT NOT NULL CHECK (channel IN ('', 'read', 'sms', 'print', 'hand')),
  delivered_by TEXT NOT NULL,
  due TEXT NOT NULL,
  sure {int} NOT NULL CHECK (sure IN (0, 1)),
  reply {blob} NOT NULL,
  replied_on TEXT NOT NULL,
  asked_on TEXT NOT NULL,
  decided_by TEXT NOT NULL,
  decided_on TEXT NOT NULL,
  why {blob} NOT NULL,
  until TEXT NOT NULL,
  ended_on TEXT NOT NULL,
  ended_by TEXT NOT NULL,
  ended_why TEXT NOT NULL CHECK (ended_why IN ('', 'expired', 'repaired', 'removed')),
  PRIMARY KEY (edition, line),
  CHECK ((state = 'ended') = (ended_why <> ''))
) {rows};

CREATE INDEX edition_line_subject ON edition_line (subject, edition);

CREATE INDEX edition_line_posted ON edition_line (until) WHERE state = 'posted';

-- What residents say to a published edition; `text` is sealed under the data key of who wrote it.
CREATE TABLE edition_comment (
  id TEXT NOT NULL PRIMARY KEY,
  edition TEXT NOT NULL,
  subject TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'shown', 'hidden')),
  created_at {int} NOT NULL,
  text {blob} NOT NULL,
  decided_by TEXT NOT NULL,
  decided_at {int} NOT NULL
) {rows};

CREATE INDEX edition_comment_edition ON edition_comment (edition, id);

CREATE INDEX edition_comment_subject ON edition_comment (subject, id);
