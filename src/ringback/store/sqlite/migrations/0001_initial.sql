-- The first schema.
--
-- Instants are integer milliseconds. Ids are text and sort by time. What is stored as JSON is read
-- as a whole and never searched by a hot query. Where a column of a hot table has "none", it is ''
-- or 0 rather than NULL: binding a NULL costs ten times binding a number.

CREATE TABLE application (
    id            TEXT PRIMARY KEY,
    org_id        TEXT NOT NULL,
    uid           TEXT,
    name          TEXT NOT NULL,
    throttle_rate INTEGER,
    metadata      TEXT NOT NULL,
    version       INTEGER NOT NULL,
    is_deleted    INTEGER NOT NULL DEFAULT 0,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX application_by_org ON application (org_id, id) WHERE is_deleted = 0;
CREATE UNIQUE INDEX application_uid ON application (org_id, uid)
    WHERE uid IS NOT NULL AND is_deleted = 0;
CREATE INDEX application_deleted ON application (updated_at_ms) WHERE is_deleted = 1;

CREATE TABLE endpoint (
    id               TEXT PRIMARY KEY,
    app_id           TEXT NOT NULL,
    uid              TEXT,
    url              TEXT NOT NULL,
    description      TEXT NOT NULL,
    is_disabled      INTEGER NOT NULL,
    event_types      TEXT,
    channels         TEXT,
    throttle_rate    INTEGER,
    metadata         TEXT NOT NULL,
    headers          TEXT NOT NULL,
    secrets          TEXT NOT NULL,
    signature_scheme TEXT NOT NULL,
    retry            TEXT,
    failing_since_ms INTEGER,
    version          INTEGER NOT NULL,
    is_deleted       INTEGER NOT NULL DEFAULT 0,
    created_at_ms    INTEGER NOT NULL,
    updated_at_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX endpoint_by_app ON endpoint (app_id, id) WHERE is_deleted = 0;
CREATE UNIQUE INDEX endpoint_uid ON endpoint (app_id, uid)
    WHERE uid IS NOT NULL AND is_deleted = 0;
CREATE INDEX endpoint_deleted ON endpoint (updated_at_ms) WHERE is_deleted = 1;

CREATE TABLE event_type (
    org_id        TEXT NOT NULL,
    name          TEXT NOT NULL,
    description   TEXT NOT NULL,
    is_archived   INTEGER NOT NULL,
    is_deprecated INTEGER NOT NULL,
    schemas       TEXT,
    feature_flag  TEXT,
    group_name    TEXT,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (org_id, name)
) STRICT;

-- Rows are in order of arrival: retention walks them by row number and needs no index on time.
CREATE TABLE message (
    seq                   INTEGER PRIMARY KEY,
    app_id                TEXT NOT NULL,
    id                    TEXT NOT NULL,
    created_at_ms         INTEGER NOT NULL,
    event_type            TEXT NOT NULL,
    event_id              TEXT NOT NULL DEFAULT '',
    channels              TEXT NOT NULL DEFAULT '',
    payload_expires_at_ms INTEGER NOT NULL DEFAULT 0,
    content_type          TEXT,
    payload               BLOB,
    raw_body              BLOB
) STRICT;
CREATE UNIQUE INDEX message_by_app ON message (app_id, id);
CREATE UNIQUE INDEX message_event_id ON message (app_id, event_id) WHERE event_id <> '';
CREATE INDEX message_payload_expiry ON message (payload_expires_at_ms)
    WHERE payload_expires_at_ms <> 0 AND payload IS NOT NULL;

-- Append-only, in order of recording. The application is the endpoint's. Status rides in the first
-- index so that counting and filtering by it reads no rows; the second one also tells that an attempt
-- is recorded already; failures have an index of their own, so that finding the few among many
-- successes costs by their number.
CREATE TABLE attempt (
    seq              INTEGER PRIMARY KEY,
    id               TEXT NOT NULL,
    msg_id           TEXT NOT NULL,
    endpoint_id      TEXT NOT NULL,
    batch_id         INTEGER NOT NULL,
    number           INTEGER NOT NULL,
    trigger          INTEGER NOT NULL,
    status           INTEGER NOT NULL,
    status_code      INTEGER NOT NULL,
    started_at_ms    INTEGER NOT NULL,
    next_at_ms       INTEGER NOT NULL,
    timings          TEXT NOT NULL,
    url              TEXT NOT NULL,
    error            TEXT NOT NULL,
    response_headers TEXT NOT NULL,
    response         BLOB NOT NULL
) STRICT;
CREATE INDEX attempt_by_endpoint ON attempt (endpoint_id, id, status);
CREATE UNIQUE INDEX attempt_by_message ON attempt (msg_id, endpoint_id, id);
CREATE INDEX attempt_failed ON attempt (endpoint_id, msg_id) WHERE status = 2;

-- What is being sent, one row a batch: deliveries as JSON, see batches.py.
CREATE TABLE in_flight (
    batch_id   INTEGER PRIMARY KEY,
    epoch      INTEGER NOT NULL,
    deliveries BLOB NOT NULL
) STRICT;
CREATE INDEX in_flight_by_epoch ON in_flight (epoch);

CREATE TABLE waiting (
    id            INTEGER PRIMARY KEY,
    endpoint_id   TEXT NOT NULL,
    due_at_ms     INTEGER NOT NULL,
    app_id        TEXT NOT NULL,
    msg_id        TEXT NOT NULL,
    attempts_made INTEGER NOT NULL,
    trigger       INTEGER NOT NULL
) STRICT;
CREATE INDEX waiting_by_due ON waiting (endpoint_id, due_at_ms);
CREATE INDEX waiting_by_message ON waiting (msg_id, endpoint_id);

-- An endpoint that has waiting rows, or is disabled. `due_at_ms` is the earliest of its rows, or
-- later when postponed; NULL is parked: disabled, or deleted and about to be purged.
CREATE TABLE lane (
    endpoint_id TEXT PRIMARY KEY,
    app_id      TEXT NOT NULL,
    due_at_ms   INTEGER,
    is_deleted  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_due ON lane (due_at_ms, endpoint_id) WHERE due_at_ms IS NOT NULL;
CREATE INDEX lane_deleted ON lane (endpoint_id) WHERE is_deleted = 1;

-- AUTOINCREMENT: an epoch is never given out twice.
CREATE TABLE node (
    epoch    INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL,
    host     TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    is_gone  INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Idempotency keys: of messages (`message_id`), and of other requests (`answer`).
CREATE TABLE answer (
    digest        BLOB PRIMARY KEY,
    expires_at_ms INTEGER NOT NULL,
    message_id    TEXT NOT NULL,
    answer        BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX answer_by_expiry ON answer (expires_at_ms);

CREATE TABLE task (
    id            TEXT PRIMARY KEY,
    org_id        TEXT NOT NULL,
    app_id        TEXT NOT NULL,
    kind          TEXT NOT NULL,
    status        TEXT NOT NULL,
    arguments     TEXT NOT NULL,
    cursor        TEXT,
    done_count    INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX task_running ON task (id) WHERE status = 'running';
CREATE INDEX task_running_by_app ON task (app_id) WHERE status = 'running';
CREATE INDEX task_ended ON task (updated_at_ms) WHERE status <> 'running';

-- How far a walk over a table has come, by name.
CREATE TABLE progress (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
