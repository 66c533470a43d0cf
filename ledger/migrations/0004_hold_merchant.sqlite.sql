-- Whose the captured points are: one hold, one merchant. Those captured before are told by their entries, in which the
-- lines of the hold come before the merchant's.

ALTER TABLE hold ADD COLUMN merchant TEXT NOT NULL DEFAULT '';

UPDATE hold SET merchant = said.merchant
FROM (
  SELECT
    journal,
    substr(held, 1, instr(held, '"') - 1) AS hold,
    substr(given, 1, instr(given, '"') - 1) AS merchant
  FROM (
    SELECT
      journal,
      substr(body, instr(body, '"account":"held:') + 16) AS held,
      substr(body, instr(body, '"account":"merchant:') + 20) AS given
    FROM (SELECT journal, CAST(body AS TEXT) AS body FROM entry WHERE kind = 'capture') AS capture
  ) AS account
) AS said
WHERE hold.journal = said.journal AND hold.hold = said.hold;
