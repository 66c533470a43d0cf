-- Who may stand in for whom: `acts` may pay at a till with the subject's points for the subject, `relative` may pay for
-- the subject with points of their own where a scenario allows such gifts. Until the last day, both included, or until
-- it is ended. consent: what the subject signed, sealed under the subject's data key (empty where they said so themselves).

CREATE TABLE proxy (
  subject TEXT NOT NULL,
  agent TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('acts', 'relative')),
  to_day TEXT NOT NULL,
  consent {blob} NOT NULL,
  actor TEXT NOT NULL,
  created_at {int} NOT NULL,
  ended_at {int} NOT NULL,
  PRIMARY KEY (subject, agent, kind),
  CHECK (subject <> agent)
) {clustered};

CREATE INDEX proxy_agent ON proxy (agent);
