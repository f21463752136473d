// Package source reads dimension rows from MySQL and MariaDB.
//
// It owns what a dimension is on the server's side: its schema, the queries that read it, how a key taken from an event
// becomes a query parameter and how a row that came back is matched to it, and the encoding of a row as JSON members.
//
// Keys compare exactly. Server-side collations may find 'ABC' for 'abc' or ignore trailing spaces; a row is joined only to
// the key that equals its key columns in canonical form (see KeyColumn), so that a lookup, a full load and a binlog event
// always agree. Rows that came back for another spelling are counted, never joined.
//
// It must never cache, and never know about events beyond the bytes of a key.
package source
