-- A table of a database, kept up to date by config/change_stream.yaml. Run on every node (or add ON CLUSTER where a DDL queue exists).
-- In place of events_cluster put the name of yours: SELECT DISTINCT cluster FROM system.clusters
CREATE DATABASE IF NOT EXISTS ods;

CREATE TABLE IF NOT EXISTS ods.orders_local
(
    -- the source table's columns
    id          UInt64,
    customer_id UInt64,
    status      LowCardinality(String),
    amount      Decimal(12, 2),              -- Debezium: decimal.handling.mode=string
    note        Nullable(String),
    created_at  DateTime64(3, 'UTC'),        -- Debezium: time.precision.mode=connect
    updated_at  DateTime64(3, 'UTC'),
    -- what the output fills in
    changed_at  DateTime64(3, 'UTC'),        -- when the source committed the change
    version     UInt64,                      -- the Kafka offset: of two rows with one id, the later change counts
    is_deleted  UInt8
)
-- On replicas: ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/ods/orders', '{replica}', version, is_deleted)
ENGINE = ReplacingMergeTree(version, is_deleted)
-- The source table's primary key. An update that changes a column of the sorting key costs a row more, and needs whole rows in the
-- source's log.
ORDER BY id
SETTINGS non_replicated_deduplication_window = 10000;

-- The sharding key must consist of columns of the sorting key: all changes of a row have to meet on one shard.
CREATE TABLE IF NOT EXISTS ods.orders AS ods.orders_local
ENGINE = Distributed('events_cluster', 'ods', 'orders_local', cityHash64(id));

-- Readers ask for the rows as they are: SELECT … FROM ods.orders FINAL
