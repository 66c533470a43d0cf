-- Screens: minutes of a day, the floors of their members, and what was sold; and how often tills and people come.

-- plans: the terms from a day on, as JSON, oldest first. Whoever holds this row decides about all days of the screen.

CREATE TABLE screen (
  offer TEXT NOT NULL PRIMARY KEY,
  plans TEXT NOT NULL,
  version {int} NOT NULL
) {clustered};

-- booked: minutes sold. waived: members who let their floor of this day go to the others, as JSON.

CREATE TABLE screen_day (
  offer TEXT NOT NULL,
  day TEXT NOT NULL,
  booked {int} NOT NULL CHECK (booked >= 0),
  waived TEXT NOT NULL,
  PRIMARY KEY (offer, day)
) {clustered};

CREATE TABLE screen_slot (
  redemption TEXT NOT NULL PRIMARY KEY,
  offer TEXT NOT NULL,
  day TEXT NOT NULL,
  subject TEXT NOT NULL,
  minutes {int} NOT NULL CHECK (minutes >= 0)
) {clustered};

CREATE INDEX screen_slot_day ON screen_slot (offer, day);

-- Orders counted in the running minute or day of a till, a shop or a person: one row each, whatever the time.

CREATE TABLE velocity (
  what TEXT NOT NULL CHECK (what IN ('person', 'terminal', 'merchant')),
  id TEXT NOT NULL,
  start TEXT NOT NULL,
  used {int} NOT NULL CHECK (used > 0),
  PRIMARY KEY (what, id)
) {clustered};
