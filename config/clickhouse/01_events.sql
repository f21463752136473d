-- The DWD layer: one wide table of joined events. Run on every node (or add ON CLUSTER where a DDL queue exists).
-- Writers and materialized views use the local table of each shard, readers the Distributed table over them.
-- In place of events_cluster put the name of yours: SELECT DISTINCT cluster FROM system.clusters
CREATE DATABASE IF NOT EXISTS dw;

CREATE TABLE IF NOT EXISTS dw.events_local
(
    -- the event, as the producers send it
    event_id         UUID,
    ts               DateTime64(3, 'UTC'),
    event_type       LowCardinality(String),
    user_id          UInt64,
    session_id       String,
    device_id        String,
    platform         LowCardinality(String),
    app_version      LowCardinality(String),
    url              String,
    referrer         String,
    sku              String,
    geo_id           UInt32,
    channel_code     LowCardinality(String),
    price            Decimal(12, 2),
    quantity         UInt16,
    currency         LowCardinality(String),
    duration_ms      UInt32,
    is_new_user      Bool,
    experiments      Array(LowCardinality(String)),
    attributes       Map(LowCardinality(String), String),
    ip               IPv4,
    -- what dimension_join adds
    product_name     LowCardinality(Nullable(String)),
    product_category LowCardinality(Nullable(String)),
    product_brand    LowCardinality(Nullable(String)),
    geo_country      LowCardinality(Nullable(String)),
    geo_city         LowCardinality(Nullable(String)),
    channel_name     LowCardinality(Nullable(String)),
    channel_medium   LowCardinality(Nullable(String)),
    -- where the event came from: finds any row's record again, and lets an old range be verified
    kafka_topic      LowCardinality(String),
    kafka_partition  Int32,
    kafka_offset     Int64
)
-- On replicas: ReplicatedMergeTree('/clickhouse/tables/{shard}/dw/events', '{replica}')
ENGINE = MergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (event_type, toStartOfHour(ts), user_id)
-- A plain MergeTree forgets block names unless told how many to keep; a Replicated one remembers by default.
SETTINGS non_replicated_deduplication_window = 10000;

-- The sharding key sends all events of a user to one shard: sessions, funnels and unique users stay local.
CREATE TABLE IF NOT EXISTS dw.events AS dw.events_local
ENGINE = Distributed('events_cluster', 'dw', 'events_local', cityHash64(user_id));
