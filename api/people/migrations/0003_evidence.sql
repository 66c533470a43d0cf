-- Photos that prove a deed. The picture itself is a sealed file beside the database (docs/reports.md); here is whose it
-- is, a keyed digest by which it is found, and until when it is kept.

CREATE TABLE photo (
  subject TEXT NOT NULL,
  digest {blob} NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('image/jpeg', 'image/png', 'image/webp')),
  size {int} NOT NULL,
  uploader TEXT NOT NULL,
  at {int} NOT NULL,
  expires_at {int} NOT NULL,
  PRIMARY KEY (subject, digest)
) {clustered};

CREATE INDEX photo_digest ON photo (digest);

CREATE INDEX photo_expires ON photo (expires_at);
