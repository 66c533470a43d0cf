-- Trees, checkpoints and epochs (docs/spec/tree.md, epoch.md). Written beside the commits, by one publisher.

-- Roots of complete subtrees of 256, 65,536 and 16,777,216 leaves. journal '' is the epoch log.
CREATE TABLE tree (
  journal TEXT NOT NULL,
  level {int} NOT NULL CHECK (level IN (8, 16, 24)),
  idx {int} NOT NULL CHECK (idx >= 0),
  hash {blob} NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (journal, level, idx)
) {clustered};

-- The newest checkpoint of each log, and those that carry two signatures because a key changed.
CREATE TABLE checkpoint (
  journal TEXT NOT NULL,
  size {int} NOT NULL CHECK (size > 0),
  note TEXT NOT NULL,
  rotation {int} NOT NULL CHECK (rotation IN (0, 1)),
  PRIMARY KEY (journal, size)
) {clustered};

-- `members` are the journals that changed since the epoch before, as JSON; together with those before they are all.
CREATE TABLE epoch (
  epoch {int} NOT NULL PRIMARY KEY CHECK (epoch >= 0),
  journals_root {blob} NOT NULL CHECK (length(journals_root) = 32),
  count {int} NOT NULL,
  members TEXT NOT NULL,
  leaf {blob} NOT NULL CHECK (length(leaf) = 32)
) {clustered};

-- The few entries that say who signs and what was sealed. A query must repeat this condition to find the index.
CREATE INDEX entry_seldom ON entry (journal, kind, seq) WHERE kind IN ('key', 'seal');
