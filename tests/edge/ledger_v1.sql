-- The ledger as version 1 had it, with one standing penalty.
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
CREATE TABLE penalties (
	id VARCHAR(64) NOT NULL, 
	client TEXT NOT NULL, 
	since VARCHAR(32) NOT NULL, 
	verdict TEXT NOT NULL, 
	released_at VARCHAR(32), 
	released_why TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX ix_penalties_released_at ON penalties (released_at);
CREATE TABLE slots (
	slot TEXT NOT NULL, 
	penalty TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	verdicts TEXT NOT NULL, 
	since VARCHAR(32) NOT NULL, 
	last_outcome TEXT NOT NULL, 
	PRIMARY KEY (slot)
);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	who TEXT NOT NULL, 
	what VARCHAR(32) NOT NULL, 
	why TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE exemptions (
	id VARCHAR(64) NOT NULL, 
	exemption TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE streaks (
	rule TEXT NOT NULL, 
	client TEXT NOT NULL, 
	polls INTEGER NOT NULL, 
	PRIMARY KEY (rule, client)
);
CREATE TABLE notes (
	name VARCHAR(32) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE event_subjects (
	event INTEGER NOT NULL, 
	subject TEXT NOT NULL, 
	PRIMARY KEY (event, subject), 
	FOREIGN KEY(event) REFERENCES events (id)
);
CREATE INDEX event_subjects_by_subject ON event_subjects (subject);
INSERT INTO schema_version VALUES (1);
INSERT INTO penalties VALUES ('v1', 'mac:02:00:00:00:00:07', '2026-05-01T12:00:00.000000+00:00', '{"because": "1,490 of 1,500 sessions go to different hosts", "client": "mac:02:00:00:00:00:07", "id": "v1", "penalty": {"by": "mac", "kind": "block"}, "rule": "swarm", "since": "2026-05-01T12:00:00+00:00", "until": "2026-05-01T14:00:00+00:00"}', NULL, '');
