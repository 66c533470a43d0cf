-- version: a till is renamed or closed under its ETag.

ALTER TABLE terminal ADD COLUMN version {int} NOT NULL DEFAULT 1;

-- issue_limit: points, in hundredths, that the place may give out in a month before a second person is asked (0: as many
-- as the rules give).

ALTER TABLE budget ADD COLUMN issue_limit {int} NOT NULL DEFAULT 0 CHECK (issue_limit >= 0);
