-- What a node says of itself, and rates that nodes keep together.
--
-- Leases are given and judged by the clock of this server alone: those of the nodes may differ.

ALTER TABLE node
    ADD COLUMN pid bigint NOT NULL DEFAULT 0,
    ADD COLUMN role text NOT NULL DEFAULT 'all',
    ADD COLUMN version text NOT NULL DEFAULT '',
    ADD COLUMN joined_at_ms bigint NOT NULL DEFAULT 0,
    ADD COLUMN skew_ms bigint NOT NULL DEFAULT 0;

-- When the next send to an endpoint, or of an application, is due in a steady stream. Lost with a
-- crash of the server, as are the connections of those who took sends ahead: so it is not logged.
CREATE UNLOGGED TABLE rate (
    id      text COLLATE "C" PRIMARY KEY,
    next_us bigint NOT NULL
) WITH (
    fillfactor = 20,
    autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE FUNCTION server_us() RETURNS bigint
LANGUAGE sql VOLATILE AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint $$;

CREATE FUNCTION server_ms() RETURNS bigint
LANGUAGE sql VOLATILE AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

-- From now on the nodes whose lease ran out may not write; all but one may be meant.
DROP FUNCTION fence_nodes(bigint, bigint);
CREATE FUNCTION fence_nodes(_but_epoch bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    _now_ms bigint := server_ms();
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
