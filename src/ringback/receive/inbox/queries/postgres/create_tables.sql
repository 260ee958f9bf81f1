-- The inbox, and the version of its tables. May run again and again.
CREATE TABLE IF NOT EXISTS ringback_inbox (
    id             BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source         TEXT    NOT NULL,
    dedupe_id      TEXT    NOT NULL,
    type           TEXT,
    timestamp_s    BIGINT,
    origin         TEXT    NOT NULL,
    order_key      TEXT,
    request        TEXT,
    state          TEXT    NOT NULL,
    attempts       INTEGER NOT NULL,
    lease          TEXT,
    error          TEXT,
    due_at_ms      BIGINT  NOT NULL,
    received_at_ms BIGINT  NOT NULL,
    ended_at_ms    BIGINT,
    is_id_signed   BOOLEAN NOT NULL,
    decoded        BYTEA,
    body           BYTEA,
    UNIQUE (source, dedupe_id)
);

CREATE INDEX IF NOT EXISTS ringback_inbox_due
    ON ringback_inbox (due_at_ms, id) WHERE state = 'waiting';

CREATE INDEX IF NOT EXISTS ringback_inbox_key
    ON ringback_inbox (source, order_key, id) WHERE state = 'waiting' AND order_key IS NOT NULL;

CREATE INDEX IF NOT EXISTS ringback_inbox_leased_key
    ON ringback_inbox (source, order_key) WHERE lease IS NOT NULL AND order_key IS NOT NULL;

CREATE INDEX IF NOT EXISTS ringback_inbox_ended
    ON ringback_inbox (state, id) WHERE state <> 'waiting';

CREATE INDEX IF NOT EXISTS ringback_inbox_old
    ON ringback_inbox (state, ended_at_ms) WHERE ended_at_ms IS NOT NULL;

CREATE TABLE IF NOT EXISTS ringback_inbox_schema (
    name  TEXT   PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO ringback_inbox_schema (name, value) VALUES ('version', 1) ON CONFLICT DO NOTHING;
