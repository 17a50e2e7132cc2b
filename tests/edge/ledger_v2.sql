-- What version 2 added to version 1, with one client's usage.
CREATE TABLE usage (client TEXT NOT NULL, at VARCHAR(32) NOT NULL, sessions INTEGER NOT NULL,
 remotes INTEGER NOT NULL, factor FLOAT, bytes_out INTEGER, bytes_in INTEGER, PRIMARY KEY (client, at));
CREATE INDEX usage_by_time ON usage (at);
UPDATE schema_version SET version = 2;
INSERT INTO usage VALUES ('mac:02:00:00:00:00:07', '2026-05-01T12:00:00.000000+00:00', 700, 690, 0.97, NULL, 1000000);
