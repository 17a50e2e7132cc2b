"""The history's questions and answers in SQL that SQLite (3.35 or newer) and PostgreSQL understand alike."""

NOTE = "INSERT INTO notes (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

# --- who and what ----------------------------------------------------------------------------------------------------

NEW_CLIENT = (
    "INSERT INTO clients (client, addresses, owner) VALUES (:client, :addresses, :owner) ON CONFLICT DO NOTHING"
)
SAME_CLIENT = "UPDATE clients SET addresses = :addresses, owner = :owner WHERE client = :client"
NEW_SERIES = "INSERT INTO series (kind, place, name) VALUES (:kind, :place, :name) ON CONFLICT DO NOTHING"
SEE_MAC = (
    "INSERT INTO macs (mac, first_seen, last_seen) VALUES (:mac, :now, :now)"
    " ON CONFLICT (mac) DO UPDATE SET last_seen = excluded.last_seen WHERE macs.last_seen < :before"
)
FORGET_MACS = "DELETE FROM macs WHERE last_seen < :before"

# --- spans -----------------------------------------------------------------------------------------------------------

NEW_SPAN = "INSERT INTO spans (grain, strand, begins, ends) VALUES (:grain, :strand, :begins, :ends) RETURNING id"
LONGER_SPAN = "UPDATE spans SET ends = :ends WHERE id = :id"
NEAR = (
    "SELECT id, begins, ends FROM spans WHERE grain = 0 AND begins BETWEEN :reach AND :begins"
    " AND strand = :strand AND part_of IS NULL AND (ends = :begins OR (begins = :begins AND ends = :ends))"
    " ORDER BY begins DESC"
)
WITHIN = (
    "SELECT id, grain, begins, ends, part_of FROM spans WHERE begins >= :begins AND begins < :until"
    " ORDER BY grain DESC, begins"
)

# --- writing ---------------------------------------------------------------------------------------------------------

ADD_USAGE = (
    "INSERT INTO usage (span, client, estimate, octets_in, octets_out, sessions, remotes, factor)"
    " VALUES (:span, :client, :estimate, :octets_in, :octets_out, :sessions, :remotes, :factor)"
    " ON CONFLICT (span, client, estimate) DO UPDATE SET"
    " octets_in = coalesce(usage.octets_in + excluded.octets_in, usage.octets_in, excluded.octets_in),"
    " octets_out = coalesce(usage.octets_out + excluded.octets_out, usage.octets_out, excluded.octets_out),"
    " sessions = CASE WHEN excluded.sessions > coalesce(usage.sessions, -1)"
    " THEN excluded.sessions ELSE usage.sessions END,"
    " remotes = CASE WHEN excluded.remotes > coalesce(usage.remotes, -1) THEN excluded.remotes ELSE usage.remotes END,"
    " factor = CASE WHEN excluded.factor > coalesce(usage.factor, -1) THEN excluded.factor ELSE usage.factor END"
)
_ADD_TO_SERIES = (
    "INSERT INTO readings (span, series, a, b, seconds) VALUES (:span, :series, :a, :b, :seconds)"
    " ON CONFLICT (span, series) DO UPDATE SET "
)
ADD_READING = _ADD_TO_SERIES + (
    "a = readings.a + excluded.a, b = readings.b + excluded.b, seconds = readings.seconds + excluded.seconds"
)
ADD_SIZE = _ADD_TO_SERIES + (
    "a = CASE WHEN excluded.a > readings.a THEN excluded.a ELSE readings.a END, b = excluded.b,"
    " seconds = readings.seconds + excluded.seconds"
)

# --- roll-up and pruning ---------------------------------------------------------------------------------------------

OLDEST = "SELECT min(begins) FROM spans WHERE grain = :grain AND part_of IS NULL"
_WHOLE = "grain = :grain AND part_of IS NULL AND begins >= :begins AND begins < :until"
LATEST_END = "SELECT max(ends) FROM spans WHERE " + _WHOLE  # noqa: S608 - constants
BELONG = "UPDATE spans SET part_of = :new WHERE " + _WHOLE  # noqa: S608 - constants
SUM_USAGE = (
    "INSERT INTO usage (span, client, estimate, octets_in, octets_out, sessions, remotes, factor)"
    " SELECT :new, usage.client, usage.estimate, sum(usage.octets_in), sum(usage.octets_out), max(usage.sessions),"
    " max(usage.remotes), max(usage.factor) FROM spans JOIN usage ON usage.span = spans.id"
    " WHERE spans.part_of = :new GROUP BY usage.client, usage.estimate"
)
SUM_READINGS = (
    "INSERT INTO readings (span, series, a, b, seconds) SELECT :new, readings.series,"
    " CASE series.kind WHEN 'size' THEN max(readings.a) ELSE sum(readings.a) END,"
    " CASE series.kind WHEN 'size' THEN max(readings.b) ELSE sum(readings.b) END, sum(readings.seconds)"
    " FROM spans JOIN readings ON readings.span = spans.id JOIN series ON series.id = readings.series"
    " WHERE spans.part_of = :new GROUP BY readings.series, series.kind"
)
OLD = (
    "SELECT id FROM spans WHERE grain = :grain AND begins < :before AND ends < :before AND (:last = 1 OR EXISTS"
    " (SELECT 1 FROM spans AS whole WHERE whole.id = spans.part_of AND whole.ends < :before)) ORDER BY begins LIMIT 1"
)
FORGET = (
    "DELETE FROM usage WHERE span = :span",
    "DELETE FROM readings WHERE span = :span",
    "DELETE FROM spans WHERE id = :span",
)

# --- asking ----------------------------------------------------------------------------------------------------------

PEOPLE = "SELECT id, client, addresses, owner FROM clients"
SUMS_KNOWN = (
    "SELECT client, estimate, sum(octets_in) AS octets_in, sum(octets_out) AS octets_out FROM usage"
    " WHERE span IN :spans AND octets_in IS NOT NULL GROUP BY client, estimate ORDER BY client, estimate"
)
SUMS_OF_CLIENTS = (
    "SELECT client, sum(octets_in) AS octets_in, sum(octets_out) AS octets_out, max(estimate) AS estimate,"
    " max(sessions) AS sessions, max(remotes) AS remotes, max(factor) AS factor"
    " FROM usage WHERE span IN :spans GROUP BY client"
)
POLLED = (
    "SELECT spans.begins, spans.ends, usage.client, usage.estimate, usage.octets_in, usage.octets_out"
    " FROM spans JOIN usage ON usage.span = spans.id"
    " WHERE spans.grain = 0 AND spans.strand = 0 AND spans.begins >= :since AND usage.octets_in IS NOT NULL"
    " ORDER BY spans.begins, spans.ends"
)
OF_CLIENT = (
    "SELECT spans.id, spans.part_of, spans.begins, spans.ends, usage.estimate, usage.octets_in, usage.octets_out,"
    " usage.sessions, usage.remotes, usage.factor FROM spans JOIN usage ON usage.span = spans.id AND usage.client = :id"
    " WHERE spans.strand = 0 AND spans.begins >= :since AND spans.begins < :until ORDER BY spans.begins, spans.ends"
)
FIRST_SEEN = "SELECT mac, first_seen FROM macs WHERE mac IN :macs"
SAMPLES = (
    "SELECT series.place, series.name, spans.begins, spans.ends, readings.a, readings.b, readings.seconds"
    " FROM spans JOIN readings ON readings.span = spans.id JOIN series ON series.id = readings.series"
    " WHERE series.kind = :kind AND spans.grain = :grain AND spans.begins >= :since AND spans.begins < :until"
    " ORDER BY spans.begins, spans.ends"
)
SUMS_OF_SOURCES = (
    "SELECT series.id, series.name, sum(readings.a) AS a FROM readings JOIN series ON series.id = readings.series"
    " WHERE series.kind = 'opened' AND series.place = :place AND readings.span IN :spans"
    " GROUP BY series.id, series.name"
)
OPENED = (
    "SELECT spans.id, spans.part_of, spans.begins, spans.ends, readings.series, readings.a"
    " FROM spans JOIN readings ON readings.span = spans.id"
    " WHERE spans.begins >= :since AND readings.series IN :series ORDER BY spans.begins, spans.ends"
)
OPENED_BY = (
    "SELECT spans.id, spans.part_of, spans.begins, spans.ends, readings.a FROM series"
    " JOIN spans ON spans.begins >= :since JOIN readings ON readings.span = spans.id AND readings.series = series.id"
    " WHERE series.kind = 'opened' AND series.name = :name ORDER BY spans.begins, spans.ends"
)
