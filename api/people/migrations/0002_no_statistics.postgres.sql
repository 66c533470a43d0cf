-- The planner keeps samples of what stands in a column. Of these columns it must keep none.

ALTER TABLE person ALTER COLUMN sealed SET STATISTICS 0, ALTER COLUMN identity SET STATISTICS 0,
  ALTER COLUMN phone_index SET STATISTICS 0, ALTER COLUMN tail_index SET STATISTICS 0,
  ALTER COLUMN name_grid_index SET STATISTICS 0;

ALTER TABLE identity ALTER COLUMN digest SET STATISTICS 0;

ALTER TABLE pin ALTER COLUMN hash SET STATISTICS 0;

ALTER TABLE card ALTER COLUMN serial SET STATISTICS 0;

ALTER TABLE activation ALTER COLUMN digest SET STATISTICS 0;
