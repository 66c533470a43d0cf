-- Whose the captured points are: one hold, one merchant. Those captured before are told by their entries.

ALTER TABLE hold ADD COLUMN merchant TEXT NOT NULL DEFAULT '';

UPDATE hold SET merchant = said.merchant
FROM (
  SELECT
    journal,
    substring(encode(body, 'escape') FROM '"account":"held:([^"]*)"') AS hold,
    substring(encode(body, 'escape') FROM '"account":"merchant:([^"]*)"') AS merchant
  FROM entry WHERE kind = 'capture'
) AS said
WHERE hold.journal = said.journal AND hold.hold = said.hold AND said.merchant IS NOT NULL;
