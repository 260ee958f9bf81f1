-- The first schema.
--
-- Instants are integer milliseconds. Ids are text and sort by time, byte by byte: hence the "C"
-- collation. What is stored as JSON is text, read as a whole and never searched by a hot query; so
-- it may hold what jsonb refuses. Where a column of a hot table has "none", it is '' or 0.
--
-- Hot writes are functions, so that each is one round trip and sees, statement by statement, what
-- has been committed since it began. They lock in this order, and each kind in a sorted order:
--
--     lease (advisory)  →  event_id, answer (rows)  →  in_flight, endpoint, application (rows)
--                       →  lanes (advisory)  →  lane, waiting (rows)

CREATE TABLE application (
    id            text COLLATE "C" PRIMARY KEY,
    org_id        text COLLATE "C" NOT NULL,
    uid           text COLLATE "C",
    name          text NOT NULL,
    throttle_rate bigint,
    metadata      text NOT NULL,
    version       bigint NOT NULL,
    is_deleted    boolean NOT NULL DEFAULT false,
    created_at_ms bigint NOT NULL,
    updated_at_ms bigint NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX application_by_org ON application (org_id, id) WHERE NOT is_deleted;
CREATE UNIQUE INDEX application_uid ON application (org_id, uid)
    WHERE uid IS NOT NULL AND NOT is_deleted;
CREATE INDEX application_deleted ON application (updated_at_ms) WHERE is_deleted;

CREATE TABLE endpoint (
    id               text COLLATE "C" PRIMARY KEY,
    app_id           text COLLATE "C" NOT NULL,
    uid              text COLLATE "C",
    url              text NOT NULL,
    description      text NOT NULL,
    is_disabled      boolean NOT NULL,
    event_types      text,
    channels         text,
    throttle_rate    bigint,
    metadata         text NOT NULL,
    headers          text NOT NULL,
    secrets          text NOT NULL,
    signature_scheme text NOT NULL,
    retry            text,
    failing_since_ms bigint,
    version          bigint NOT NULL,
    is_deleted       boolean NOT NULL DEFAULT false,
    created_at_ms    bigint NOT NULL,
    updated_at_ms    bigint NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX endpoint_by_app ON endpoint (app_id, id) WHERE NOT is_deleted;
CREATE UNIQUE INDEX endpoint_uid ON endpoint (app_id, uid)
    WHERE uid IS NOT NULL AND NOT is_deleted;
CREATE INDEX endpoint_deleted ON endpoint (updated_at_ms) WHERE is_deleted;

CREATE TABLE event_type (
    org_id        text COLLATE "C" NOT NULL,
    name          text COLLATE "C" NOT NULL,
    description   text NOT NULL,
    is_archived   boolean NOT NULL,
    is_deprecated boolean NOT NULL,
    schemas       text,
    feature_flag  text COLLATE "C",
    group_name    text,
    created_at_ms bigint NOT NULL,
    updated_at_ms bigint NOT NULL,
    PRIMARY KEY (org_id, name)
);

-- Messages and attempts are kept by time, in partitions of a range of ids each. What finds no
-- partition goes to the default one, so that nothing is ever refused for want of one.
CREATE TABLE message (
    created_at_ms         bigint NOT NULL,
    payload_expires_at_ms bigint NOT NULL DEFAULT 0,
    app_id                text COLLATE "C" NOT NULL,
    id                    text COLLATE "C" NOT NULL,
    event_type            text COLLATE "C" NOT NULL,
    event_id              text COLLATE "C" NOT NULL DEFAULT '',
    channels              text NOT NULL DEFAULT '',
    content_type          text,
    payload               bytea,
    raw_body              bytea,
    PRIMARY KEY (app_id, id)
) PARTITION BY RANGE (id);
CREATE TABLE message_other PARTITION OF message DEFAULT;
CREATE INDEX message_payload_expiry ON message (payload_expires_at_ms)
    WHERE payload_expires_at_ms <> 0 AND payload IS NOT NULL;

-- What is unique for ever cannot be an index of a table that is kept in partitions by time.
CREATE TABLE event_id (
    app_id     text COLLATE "C" NOT NULL,
    event_id   text COLLATE "C" NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (app_id, event_id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);
CREATE INDEX event_id_by_message ON event_id (message_id);

-- Append-only. The application is the endpoint's. The primary key makes recording safe to repeat;
-- status rides in it so that counting and filtering by it reads no rows. Failures have an index of
-- their own, so that finding the few among many successes costs by their number.
CREATE TABLE attempt (
    batch_id         bigint NOT NULL,
    started_at_ms    bigint NOT NULL,
    next_at_ms       bigint NOT NULL,
    number           integer NOT NULL,
    status_code      integer NOT NULL,
    trigger          smallint NOT NULL,
    status           smallint NOT NULL,
    id               text COLLATE "C" NOT NULL,
    msg_id           text COLLATE "C" NOT NULL,
    endpoint_id      text COLLATE "C" NOT NULL,
    timings          text NOT NULL,
    url              text NOT NULL,
    error            text NOT NULL,
    response_headers text NOT NULL,
    response         bytea NOT NULL,
    PRIMARY KEY (endpoint_id, id) INCLUDE (status)
) PARTITION BY RANGE (id);
CREATE TABLE attempt_other PARTITION OF attempt DEFAULT;
CREATE INDEX attempt_by_message ON attempt (msg_id, endpoint_id, id);
CREATE INDEX attempt_failed ON attempt (endpoint_id, msg_id) WHERE status = 2;

-- The partitions of `message` and `attempt`: from an instant up to another, which is excluded.
CREATE TABLE partition (
    name    text COLLATE "C" PRIMARY KEY,
    parent  text COLLATE "C" NOT NULL,
    low_ms  bigint NOT NULL,
    high_ms bigint NOT NULL
);

-- What is being sent, one row a batch: deliveries as JSON, see `rows.batch_text`.
CREATE TABLE in_flight (
    epoch      bigint NOT NULL,
    batch_id   bigint NOT NULL,
    deliveries text NOT NULL,
    PRIMARY KEY (epoch, batch_id)
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE TABLE waiting (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    due_at_ms     bigint NOT NULL,
    attempts_made integer NOT NULL,
    trigger       smallint NOT NULL,
    endpoint_id   text COLLATE "C" NOT NULL,
    app_id        text COLLATE "C" NOT NULL,
    msg_id        text COLLATE "C" NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX waiting_by_due ON waiting (endpoint_id, due_at_ms, id);
CREATE INDEX waiting_by_message ON waiting (msg_id, endpoint_id);

-- An endpoint that has waiting rows, is disabled, or was deleted. `due_at_ms` is the earliest of
-- its rows, or later when postponed; NULL is parked: disabled, or deleted and about to be purged.
-- How nodes share lanes is said in waiting.py.
CREATE TABLE lane (
    due_at_ms   bigint,
    is_deleted  boolean NOT NULL DEFAULT false,
    endpoint_id text COLLATE "C" PRIMARY KEY,
    app_id      text COLLATE "C" NOT NULL
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX lane_due ON lane (due_at_ms, endpoint_id) WHERE due_at_ms IS NOT NULL;
CREATE INDEX lane_deleted ON lane (endpoint_id) WHERE is_deleted;

-- An epoch is never given out twice: a sequence does not go back.
CREATE TABLE node (
    epoch    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    until_ms bigint NOT NULL,
    is_gone  boolean NOT NULL DEFAULT false,
    id       text COLLATE "C" NOT NULL,
    host     text NOT NULL
) WITH (
    fillfactor = 20,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200,
    autovacuum_vacuum_cost_delay = 0
);

-- Idempotency keys: of messages (`message_id`), and of other requests (`answer`).
CREATE TABLE answer (
    digest        bytea PRIMARY KEY,
    expires_at_ms bigint NOT NULL,
    message_id    text COLLATE "C" NOT NULL,
    answer        bytea NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX answer_by_expiry ON answer (expires_at_ms);

CREATE TABLE task (
    id            text COLLATE "C" PRIMARY KEY,
    org_id        text COLLATE "C" NOT NULL,
    app_id        text COLLATE "C" NOT NULL,
    kind          text NOT NULL,
    status        text NOT NULL,
    arguments     text NOT NULL,
    cursor        text COLLATE "C",
    done_count    bigint NOT NULL,
    created_at_ms bigint NOT NULL,
    updated_at_ms bigint NOT NULL
);
CREATE INDEX task_running ON task (id) WHERE status = 'running';
CREATE INDEX task_running_by_app ON task (app_id) WHERE status = 'running';
CREATE INDEX task_ended ON task (updated_at_ms) WHERE status <> 'running';

-- How far a walk over a table has come, by name.
CREATE TABLE progress (
    name  text COLLATE "C" PRIMARY KEY,
    value text COLLATE "C" NOT NULL
);

-- ---- locks ------------------------------------------------------------------------------------

-- Hold a lease until the end of the transaction; an error if it does not stand. Whoever fences the
-- node waits for that, so what a node writes is either seen by those who adopt from it, or refused.
CREATE FUNCTION hold_lease(_epoch bigint, _node_id text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1380535879, _epoch::integer);
    IF NOT EXISTS (SELECT 1 FROM node WHERE epoch = _epoch AND id = _node_id AND NOT is_gone) THEN
        RAISE EXCEPTION 'the lease is gone' USING ERRCODE = 'RB001';
    END IF;
END $$;

-- From now on the nodes whose lease ran out may not write; all but one may be meant.
CREATE FUNCTION fence_nodes(_now_ms bigint, _but_epoch bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1380535879, expired.epoch::integer)
    FROM (
        SELECT epoch FROM node
        WHERE until_ms <= _now_ms AND epoch <> _but_epoch AND NOT is_gone
        ORDER BY epoch
    ) AS expired;
    UPDATE node SET is_gone = true
    WHERE until_ms <= _now_ms AND epoch <> _but_epoch AND NOT is_gone;
END $$;

-- Which lock of how many stands for a lane. So few, because locks have a table of limited size.
CREATE FUNCTION lane_lock(_endpoint_id text) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$ SELECT hashtext(_endpoint_id) & 511 $$;

-- Until the end of the transaction nobody raises these lanes, or takes them away.
CREATE FUNCTION share_lanes(_endpoint_ids text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1380535880, locks.number)
    FROM (SELECT DISTINCT lane_lock(id) AS number FROM unnest(_endpoint_ids) AS id ORDER BY 1)
        AS locks;
END $$;

-- Until the end of the transaction nothing starts to wait in these lanes.
CREATE FUNCTION own_lanes(_endpoint_ids text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1380535880, locks.number)
    FROM (SELECT DISTINCT lane_lock(id) AS number FROM unnest(_endpoint_ids) AS id ORDER BY 1)
        AS locks;
END $$;

-- ---- waiting ----------------------------------------------------------------------------------

-- Deliveries that are to wait. `place` says whose they are among messages that are being accepted.
CREATE TYPE waiting_row AS (
    due_at_ms     bigint,
    place         integer,
    attempts_made integer,
    trigger       smallint,
    endpoint_id   text,
    app_id        text,
    msg_id        text
);

-- Let deliveries wait, except those to deleted endpoints, and make their lanes due.
CREATE FUNCTION put_waiting(_late waiting_row[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    _endpoint_ids text[];
    _deleted text[];
BEGIN
    SELECT array_agg(DISTINCT endpoint_id) INTO _endpoint_ids FROM unnest(_late);
    PERFORM share_lanes(_endpoint_ids);
    SELECT coalesce(array_agg(id), '{}') INTO _deleted
    FROM endpoint WHERE id = ANY (_endpoint_ids) AND is_deleted;

    INSERT INTO waiting (endpoint_id, due_at_ms, app_id, msg_id, attempts_made, trigger)
    SELECT endpoint_id, due_at_ms, app_id, msg_id, attempts_made, trigger
    FROM unnest(_late) WITH ORDINALITY AS late
    WHERE endpoint_id <> ALL (_deleted)
    ORDER BY ordinality;

    INSERT INTO lane (endpoint_id, app_id, due_at_ms)
    SELECT wanted.endpoint_id, wanted.app_id, wanted.due_at_ms
    FROM (
        SELECT endpoint_id, min(app_id) AS app_id, min(due_at_ms) AS due_at_ms
        FROM unnest(_late)
        WHERE endpoint_id <> ALL (_deleted)
        GROUP BY endpoint_id
    ) AS wanted
    LEFT JOIN lane ON lane.endpoint_id = wanted.endpoint_id
    WHERE lane.endpoint_id IS NULL OR lane.due_at_ms > wanted.due_at_ms
    ORDER BY wanted.endpoint_id
    ON CONFLICT (endpoint_id) DO UPDATE SET due_at_ms = excluded.due_at_ms
    WHERE lane.due_at_ms > excluded.due_at_ms;
END $$;

-- Make lanes say again when their earliest row is due; those into which something is just being
-- put, or which another transaction corrects, stay as they are: earlier than needed at worst.
CREATE FUNCTION correct_lanes(_endpoint_ids text[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    _owned text[];
BEGIN
    -- Nothing is lost if this is: a lane is then earlier than needed, and corrected again.
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT array_agg(id) INTO _owned
    FROM unnest(_endpoint_ids) AS id
    WHERE pg_try_advisory_xact_lock(1380535880, lane_lock(id));

    -- In order, as whoever postpones or lowers them: else two would wait for each other.
    PERFORM FROM lane
    WHERE endpoint_id = ANY (_owned) AND due_at_ms IS NOT NULL
    ORDER BY endpoint_id
    FOR UPDATE;
    UPDATE lane SET due_at_ms = NULL, is_deleted = true
    FROM endpoint
    WHERE lane.endpoint_id = ANY (_owned) AND lane.due_at_ms IS NOT NULL
      AND endpoint.id = lane.endpoint_id AND endpoint.is_deleted;
    DELETE FROM lane
    WHERE endpoint_id = ANY (_owned) AND due_at_ms IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.endpoint_id = lane.endpoint_id);
    UPDATE lane SET due_at_ms = earliest.due_at_ms
    FROM unnest(_owned) AS owned (endpoint_id)
    CROSS JOIN LATERAL (
        SELECT waiting.due_at_ms FROM waiting
        WHERE waiting.endpoint_id = owned.endpoint_id
        ORDER BY waiting.endpoint_id, waiting.due_at_ms, waiting.id
        LIMIT 1
    ) AS earliest
    WHERE lane.endpoint_id = owned.endpoint_id AND lane.due_at_ms IS NOT NULL
      AND lane.due_at_ms <> earliest.due_at_ms;
END $$;

-- ---- the path ---------------------------------------------------------------------------------

-- A message that somebody wants accepted, routed by a version of its application.
CREATE TYPE message_row AS (
    created_at_ms         bigint,
    payload_expires_at_ms bigint,
    version               bigint,
    key_expires_at_ms     bigint,
    app_id                text,
    id                    text,
    event_type            text,
    event_id              text,
    channels              text,
    content_type          text,
    payload               bytea,
    raw_body              bytea,
    digest                bytea
);

-- Accept messages, all in one: one row for each that is refused, and why. `_batch` is what they
-- hand over at once, `_late` what waits. By which versions they were routed is said once more for
-- all together, so that usually nothing has to be asked of each.
CREATE FUNCTION accept_messages(
    _epoch bigint, _node_id text, _batch_id bigint, _new message_row[], _batch text,
    _late waiting_row[], _app_ids text[], _versions bigint[],
    _has_event_ids boolean, _has_keys boolean
) RETURNS TABLE (place bigint, outcome text, message_id text)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    _why text[] := array_fill(NULL::text, ARRAY[cardinality(_new)]);  -- refused, and why
    _first text[] := _why;  -- the message that stands for each that is refused
    _twin_of bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(_new)]);
    _refused text[];  -- ids
    _written bigint;  -- fewer than there are messages: somebody else may have been first
    _one record;
BEGIN
    PERFORM hold_lease(_epoch, _node_id);

    IF _has_keys THEN
        FOR _one IN
            SELECT new.ordinality AS place, answer.message_id
            FROM unnest(_new) WITH ORDINALITY AS new
            JOIN answer ON answer.digest = new.digest AND answer.expires_at_ms > new.created_at_ms
        LOOP
            _why[_one.place] := 'repeated';
            _first[_one.place] := _one.message_id;
        END LOOP;
    END IF;

    IF EXISTS (
        SELECT 1
        FROM unnest(_app_ids, _versions) AS routed (app_id, version)
        LEFT JOIN application AS app ON app.id = routed.app_id AND NOT app.is_deleted
        WHERE app.version IS DISTINCT FROM routed.version
    ) THEN
        FOR _one IN
            SELECT new.ordinality AS place, app.id IS NULL AS is_gone
            FROM unnest(_new) WITH ORDINALITY AS new
            LEFT JOIN application AS app ON app.id = new.app_id AND NOT app.is_deleted
            WHERE app.version IS DISTINCT FROM new.version AND _why[new.ordinality] IS NULL
        LOOP
            _why[_one.place] := CASE WHEN _one.is_gone THEN 'gone' ELSE 'stale' END;
        END LOOP;
    END IF;

    -- Of messages with one key the first may be accepted; what it comes to is seen at the end.
    IF _has_keys THEN
        FOR _one IN
            SELECT * FROM (
                SELECT
                    new.ordinality AS place,
                    min(new.ordinality) OVER (PARTITION BY new.digest) AS first_place
                FROM unnest(_new) WITH ORDINALITY AS new
                WHERE new.digest IS NOT NULL AND _why[new.ordinality] IS NULL
            ) AS keyed
            WHERE keyed.place <> keyed.first_place
        LOOP
            _why[_one.place] := 'stale';
            _twin_of[_one.place] := _one.first_place;
        END LOOP;
    END IF;

    IF _has_event_ids THEN
        INSERT INTO event_id (app_id, event_id, message_id)
        SELECT new.app_id, new.event_id, new.id
        FROM unnest(_new) WITH ORDINALITY AS new
        WHERE new.event_id <> '' AND _why[new.ordinality] IS NULL
        ORDER BY new.app_id, new.event_id, new.ordinality
        ON CONFLICT (app_id, event_id) DO NOTHING;
        GET DIAGNOSTICS _written = ROW_COUNT;
        FOR _one IN
            SELECT new.ordinality AS place, taken.message_id
            FROM unnest(_new) WITH ORDINALITY AS new
            JOIN event_id AS taken ON taken.app_id = new.app_id AND taken.event_id = new.event_id
            WHERE _written < cardinality(_new) AND new.event_id <> ''
              AND _why[new.ordinality] IS NULL AND taken.message_id <> new.id
        LOOP
            _why[_one.place] := 'event_id_taken';
            _first[_one.place] := _one.message_id;
        END LOOP;
    END IF;

    -- A key that is there by now was free above: another node has just taken it, or it has expired.
    IF _has_keys THEN
        INSERT INTO answer (digest, expires_at_ms, message_id, answer)
        SELECT new.digest, new.key_expires_at_ms, new.id, ''
        FROM unnest(_new) WITH ORDINALITY AS new
        WHERE new.digest IS NOT NULL AND _why[new.ordinality] IS NULL
        ORDER BY new.digest
        ON CONFLICT (digest) DO UPDATE SET
            expires_at_ms = excluded.expires_at_ms,
            message_id = excluded.message_id,
            answer = excluded.answer
        WHERE answer.expires_at_ms <= (SELECT max(new.created_at_ms) FROM unnest(_new) AS new);
        GET DIAGNOSTICS _written = ROW_COUNT;
        FOR _one IN
            SELECT new.ordinality AS place, new.id, taken.message_id
            FROM unnest(_new) WITH ORDINALITY AS new
            JOIN answer AS taken ON taken.digest = new.digest
            WHERE _written < cardinality(_new)
              AND _why[new.ordinality] IS NULL AND taken.message_id <> new.id
        LOOP
            _why[_one.place] := 'repeated';
            _first[_one.place] := _one.message_id;
            DELETE FROM event_id WHERE event_id.message_id = _one.id;
            -- Whoever was refused for its event id is to be judged again.
            SELECT array_agg(
                CASE WHEN why = 'event_id_taken' AND first = _one.id THEN 'stale' ELSE why END
                ORDER BY n
            )
            INTO _why
            FROM unnest(_why, _first) WITH ORDINALITY AS judged (why, first, n);
        END LOOP;
    END IF;

    IF cardinality(array_remove(_why, NULL)) > 0 THEN
        RETURN QUERY
        SELECT
            judged.place,
            CASE WHEN _why[judged.twin_of] IS NULL AND judged.twin_of IS NOT NULL THEN 'repeated'
                ELSE judged.why END,
            CASE WHEN _why[judged.twin_of] IS NULL AND judged.twin_of IS NOT NULL
                THEN _new[judged.twin_of].id
                ELSE coalesce(judged.first, _new[judged.place].id) END
        FROM unnest(_why, _first, _twin_of) WITH ORDINALITY AS judged (why, first, twin_of, place)
        WHERE judged.why IS NOT NULL;

        _late := ARRAY(
            SELECT late::waiting_row FROM unnest(_late) AS late WHERE _why[late.place] IS NULL
        );
        SELECT array_agg(new.id) FILTER (WHERE _why[new.ordinality] IS NOT NULL)
        INTO _refused
        FROM unnest(_new) WITH ORDINALITY AS new;
        _new := ARRAY(SELECT new FROM unnest(_new) AS new WHERE new.id <> ALL (_refused));
        SELECT '[' || string_agg(delivery::text, ',') || ']'
        INTO _batch
        FROM json_array_elements(_batch::json) AS delivery
        WHERE delivery ->> 1 <> ALL (_refused);
    END IF;

    INSERT INTO message (
        app_id, id, created_at_ms, event_type, event_id, channels, payload_expires_at_ms, payload,
        raw_body, content_type
    )
    SELECT
        new.app_id, new.id, new.created_at_ms, new.event_type, new.event_id, new.channels,
        new.payload_expires_at_ms, new.payload, new.raw_body, new.content_type
    FROM unnest(_new) AS new;

    IF _batch <> '[]' THEN
        INSERT INTO in_flight (epoch, batch_id, deliveries) VALUES (_epoch, _batch_id, _batch);
    END IF;
    IF cardinality(_late) > 0 THEN
        PERFORM put_waiting(_late);
    END IF;
END $$;

-- What became of an attempt.
CREATE TYPE attempt_row AS (
    batch_id         bigint,
    started_at_ms    bigint,
    next_at_ms       bigint,
    number           integer,
    status_code      integer,
    trigger          smallint,
    status           smallint,
    id               text,
    msg_id           text,
    endpoint_id      text,
    timings          text,
    url              text,
    error            text,
    response_headers text,
    response         bytea
);

-- Record attempts with all that follows from them: false if they are recorded already, because the
-- answer to an earlier call was lost. That is so rare that rows are not looked up before they are
-- written: this alone would cost a quarter of all.
CREATE FUNCTION record_attempts(
    _epoch bigint, _node_id text, _attempts attempt_row[], _finished_batches bigint[],
    _health_endpoint_ids text[], _failing_since_ms bigint[], _late waiting_row[]
) RETURNS boolean
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    PERFORM hold_lease(_epoch, _node_id);
    BEGIN
        INSERT INTO attempt (
            batch_id, started_at_ms, next_at_ms, number, status_code, trigger, status, id, msg_id,
            endpoint_id, timings, url, error, response_headers, response
        )
        SELECT
            batch_id, started_at_ms, next_at_ms, number, status_code, trigger, status, id, msg_id,
            endpoint_id, timings, url, error, response_headers, response
        FROM unnest(_attempts);
    EXCEPTION WHEN unique_violation THEN
        RETURN false;
    END;
    IF cardinality(_finished_batches) > 0 THEN
        DELETE FROM in_flight WHERE epoch = _epoch AND batch_id = ANY (_finished_batches);
    END IF;
    IF cardinality(_health_endpoint_ids) > 0 THEN
        PERFORM 1 FROM endpoint
        WHERE id = ANY (_health_endpoint_ids) ORDER BY id FOR NO KEY UPDATE;
        UPDATE endpoint SET failing_since_ms = health.failing_since_ms
        FROM unnest(_health_endpoint_ids, _failing_since_ms) AS health (id, failing_since_ms)
        WHERE endpoint.id = health.id
          AND endpoint.failing_since_ms IS DISTINCT FROM health.failing_since_ms;
    END IF;
    IF cardinality(_late) > 0 THEN
        PERFORM put_waiting(_late);
    END IF;
    RETURN true;
END $$;

-- Move due rows into a new batch, the oldest of each lane first, and say by which version of the
-- application. Ids alone are read, by an index in its order; what another node is taking is passed.
CREATE FUNCTION claim_waiting(
    _epoch bigint, _node_id text, _batch_id bigint, _now_ms bigint, _endpoint_ids text[],
    _counts bigint[]
) RETURNS TABLE (
    app_id text, msg_id text, endpoint_id text, attempts_made integer, trigger smallint,
    app_version bigint
)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM hold_lease(_epoch, _node_id);
    RETURN QUERY
    WITH take AS MATERIALIZED (
        SELECT wanted.endpoint_id, wanted.count, wanted.place, application.version
        FROM unnest(_endpoint_ids, _counts) WITH ORDINALITY AS wanted (endpoint_id, count, place)
        JOIN endpoint ON endpoint.id = wanted.endpoint_id
        JOIN application ON application.id = endpoint.app_id
        WHERE NOT endpoint.is_disabled AND NOT endpoint.is_deleted AND NOT application.is_deleted
    ),
    picked AS MATERIALIZED (
        SELECT row.*, take.place, take.version
        FROM take
        CROSS JOIN LATERAL (
            SELECT
                w.ctid AS at, w.id, w.due_at_ms, w.app_id, w.msg_id, w.endpoint_id,
                w.attempts_made, w.trigger
            FROM waiting AS w
            WHERE w.endpoint_id = take.endpoint_id AND w.due_at_ms <= _now_ms
            ORDER BY w.endpoint_id, w.due_at_ms, w.id
            LIMIT take.count
            FOR UPDATE SKIP LOCKED
        ) AS row
    ),
    taken AS (
        DELETE FROM waiting WHERE ctid = ANY (ARRAY(SELECT picked.at FROM picked))
    ),
    noted AS (
        INSERT INTO in_flight (epoch, batch_id, deliveries)
        SELECT
            _epoch, _batch_id,
            json_agg(json_build_array(
                picked.app_id, picked.msg_id, picked.endpoint_id, picked.attempts_made,
                picked.trigger
            ))::text
        FROM picked
        HAVING count(*) > 0
    )
    SELECT
        picked.app_id, picked.msg_id, picked.endpoint_id, picked.attempts_made, picked.trigger,
        picked.version
    FROM picked
    ORDER BY picked.place, picked.due_at_ms, picked.id;
END $$;

-- ---- partitions -------------------------------------------------------------------------------

-- Make a partition for the ids from one up to another, which is excluded; false if there is one
-- for a part of it already. What the default partition holds of that range moves. Nothing is
-- refused meanwhile.
CREATE FUNCTION add_partition(
    _parent text, _name text, _low_ms bigint, _high_ms bigint, _low text, _high text
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1380535881, 0);
    IF EXISTS (
        SELECT 1 FROM partition
        WHERE name = _name OR (parent = _parent AND low_ms < _high_ms AND high_ms > _low_ms)
    ) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS)', _name, _parent);
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', _parent || '_other');
    EXECUTE format(
        'WITH moved AS (DELETE FROM %I WHERE id >= %L AND id < %L RETURNING *)'
        ' INSERT INTO %I SELECT * FROM moved',
        _parent || '_other', _low, _high, _name
    );
    EXECUTE format(
        'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        _parent, _name, _low, _high
    );
    INSERT INTO partition (name, parent, low_ms, high_ms)
    VALUES (_name, _parent, _low_ms, _high_ms);
    RETURN true;
END $$;

-- Drop a partition with everything in it.
CREATE FUNCTION drop_partition(_name text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1380535881, 0);
    DELETE FROM partition WHERE name = _name;
    IF FOUND THEN
        EXECUTE format('DROP TABLE %I', _name);
    END IF;
END $$;
