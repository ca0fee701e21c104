-- Which run decided an action, or set a mark: a pass over records, or a command. None where no run did, and in rows of
-- earlier versions.
ALTER TABLE outbox ADD COLUMN run TEXT COLLATE "C";
ALTER TABLE marks ADD COLUMN run TEXT COLLATE "C";
