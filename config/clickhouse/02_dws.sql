-- The DWS layer: aggregates that materialized views keep up to date on each shard, as rows arrive.
-- Their tables keep block names too: a repeated block must not be counted twice here either.
-- In place of events_cluster put the name of yours. On replicas: ReplicatedSummingMergeTree and the like, as in 01_events.sql.

-- Page views per minute
CREATE TABLE IF NOT EXISTS dw.page_views_per_minute_local
(
    minute      DateTime('UTC'),
    platform    LowCardinality(String),
    geo_country LowCardinality(String),
    views       UInt64
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, platform, geo_country)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dw.page_views_per_minute_mv TO dw.page_views_per_minute_local AS
SELECT
    toStartOfMinute(toDateTime(ts, 'UTC')) AS minute,
    platform,
    ifNull(geo_country, '') AS geo_country,
    count() AS views
FROM dw.events_local
WHERE event_type = 'page_view'
GROUP BY minute, platform, geo_country;

CREATE TABLE IF NOT EXISTS dw.page_views_per_minute AS dw.page_views_per_minute_local
ENGINE = Distributed('events_cluster', 'dw', 'page_views_per_minute_local');

-- Funnel by category: view → cart → purchase
CREATE TABLE IF NOT EXISTS dw.funnel_by_category_local
(
    day              Date,
    product_category LowCardinality(String),
    views            UInt64,
    carts            UInt64,
    purchases        UInt64,
    revenue          Decimal(38, 2)
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (day, product_category)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dw.funnel_by_category_mv TO dw.funnel_by_category_local AS
SELECT
    toDate(ts, 'UTC') AS day,
    ifNull(product_category, '') AS product_category,
    countIf(event_type = 'page_view') AS views,
    countIf(event_type = 'add_to_cart') AS carts,
    countIf(event_type = 'purchase') AS purchases,
    sumIf(price * quantity, event_type = 'purchase') AS revenue
FROM dw.events_local
GROUP BY day, product_category;

CREATE TABLE IF NOT EXISTS dw.funnel_by_category AS dw.funnel_by_category_local
ENGINE = Distributed('events_cluster', 'dw', 'funnel_by_category_local');

-- Unique users per hour, mergeable to any longer period
CREATE TABLE IF NOT EXISTS dw.unique_users_local
(
    hour        DateTime('UTC'),
    geo_country LowCardinality(String),
    users       AggregateFunction(uniq, UInt64)
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, geo_country)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dw.unique_users_mv TO dw.unique_users_local AS
SELECT
    toStartOfHour(toDateTime(ts, 'UTC')) AS hour,
    ifNull(geo_country, '') AS geo_country,
    uniqState(user_id) AS users
FROM dw.events_local
GROUP BY hour, geo_country;

CREATE TABLE IF NOT EXISTS dw.unique_users AS dw.unique_users_local
ENGINE = Distributed('events_cluster', 'dw', 'unique_users_local');
