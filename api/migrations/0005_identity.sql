-- Staff: `must_change` where somebody else set the password; `totp` and `totp_pending` are sealed secrets, `totp_step`
-- the last step that was used; `oidc` is the keyed digest of the account at the identity provider. Empty means none.

ALTER TABLE staff ADD COLUMN must_change {int} NOT NULL DEFAULT 0;

ALTER TABLE staff ADD COLUMN totp TEXT NOT NULL DEFAULT '';

ALTER TABLE staff ADD COLUMN totp_pending TEXT NOT NULL DEFAULT '';

ALTER TABLE staff ADD COLUMN totp_step {int} NOT NULL DEFAULT 0;

ALTER TABLE staff ADD COLUMN oidc TEXT NOT NULL DEFAULT '';

-- The same digests as a key, like the usernames: one account there is one account here.

CREATE TABLE staff_link (
  digest TEXT NOT NULL PRIMARY KEY,
  id TEXT NOT NULL
) {clustered};

-- Sessions: `scopes` is JSON, or empty for all that the roles give; `began_at` is the signing in that renewals hang on,
-- `proved_at` the last proof of who it is (0: none), `way` how it began.

ALTER TABLE session ADD COLUMN scopes TEXT NOT NULL DEFAULT '';

ALTER TABLE session ADD COLUMN began_at {int} NOT NULL DEFAULT 0;

ALTER TABLE session ADD COLUMN proved_at {int} NOT NULL DEFAULT 0;

ALTER TABLE session ADD COLUMN way TEXT NOT NULL DEFAULT '';

UPDATE session SET began_at = issued_at, way = CASE kind WHEN 'staff' THEN 'password' ELSE 'code' END;

UPDATE session SET proved_at = issued_at WHERE kind = 'staff';

-- Keys: where from they may be used (JSON list of networks), what their requests are signed with, whether they must be,
-- and the secret before the last change (SHA-256, hex) for as long as it is still good.

ALTER TABLE api_key ADD COLUMN addresses TEXT NOT NULL DEFAULT '[]';

ALTER TABLE api_key ADD COLUMN public_key TEXT NOT NULL DEFAULT '';

ALTER TABLE api_key ADD COLUMN signed {int} NOT NULL DEFAULT 0;

ALTER TABLE api_key ADD COLUMN old_hash TEXT NOT NULL DEFAULT '';

ALTER TABLE api_key ADD COLUMN old_until {int} NOT NULL DEFAULT 0;

-- Whence somebody has signed in before, as keyed digests of name and address together: strangers who guess at a name
-- must not lock its owner out.

CREATE TABLE known_address (
  digest TEXT NOT NULL PRIMARY KEY,
  seen_at {int} NOT NULL
) {clustered};

CREATE INDEX known_address_seen ON known_address (seen_at);
