-- The three dimensions that config/clickstream.yaml joins. Keys compare byte by byte (utf8mb4_bin): 'sku-1' is not 'SKU-1'.
CREATE TABLE IF NOT EXISTS dim_product (
  sku        VARCHAR(32)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  name       VARCHAR(120) NOT NULL,
  category   VARCHAR(60)  NOT NULL,
  brand      VARCHAR(60)  NOT NULL,
  PRIMARY KEY (sku)
);

CREATE TABLE IF NOT EXISTS dim_geography (
  geo_id     INT UNSIGNED NOT NULL,
  country    CHAR(2)      NOT NULL,
  city       VARCHAR(80)  NOT NULL,
  PRIMARY KEY (geo_id)
);

CREATE TABLE IF NOT EXISTS dim_channel (
  code       VARCHAR(32)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  name       VARCHAR(80)  NOT NULL,
  medium     VARCHAR(40)  NOT NULL,
  PRIMARY KEY (code)
);
