-- Nonces of signed requests that no retry key protects, as digests with the name of their key; they are good once. What
-- is older than the time that a signature is good for may go.

CREATE TABLE nonce (
  digest {blob} NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
  at {int} NOT NULL
) {clustered};

CREATE INDEX nonce_at ON nonce (at);
