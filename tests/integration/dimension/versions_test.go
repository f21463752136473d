package dimension

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAsOf(t *testing.T) {
	server.Exec(t, `
		SET time_zone = '+00:00';
		CREATE OR REPLACE TABLE scd (k INT, v VARCHAR(20), f DATETIME(3) NULL, u DATETIME(3) NULL, fs TIMESTAMP NULL, us TIMESTAMP NULL, fm BIGINT, um BIGINT);
		INSERT INTO scd (k, v, f, u) VALUES
			(1, 'first',  NULL,                  '2026-01-01 00:00:00'),
			(1, 'second', '2026-01-01 00:00:00', '2026-02-01 00:00:00.500'),
			(1, 'third',  '2026-03-01 00:00:00', NULL),
			(2, 'long',   '2026-01-01 00:00:00', '2026-12-31 00:00:00'),
			(2, 'within', '2026-02-01 00:00:00', '2026-03-01 00:00:00');
		UPDATE scd SET fs = f, us = u, fm = UNIX_TIMESTAMP(f) * 1000, um = UNIX_TIMESTAMP(u) * 1000;
		SET time_zone = DEFAULT`)
	const yaml = `
dsn: "$DSN"
dimensions:
  - name: scd
    table: scd
    key: { k: this.k }
    columns: [ v ]
    load: %s
    as_of: { time: this.ts, valid_from: %s, valid_to: %q }
`
	type row struct{ k, ts, want string }
	rows := []row{
		{`1`, `"1990-01-01T00:00:00Z"`, `"first"`},
		{`1`, `"2025-12-31T23:59:59.999999Z"`, `"first"`},
		{`1`, `"2026-01-01T00:00:00Z"`, `"second"`}, // From belongs to the version
		{`1`, `"2026-01-01T01:00:00+01:00"`, `"second"`},
		{`1`, `"2026-01-31 23:59:59"`, `"second"`},
		{`1`, `1767225600000`, `"second"`},      // milliseconds
		{`1`, `"2026-02-01T00:00:01Z"`, `null`}, // between versions
		{`1`, `"2026-03-01T00:00:00Z"`, `"third"`},
		{`1`, `"2999-01-01T00:00:00Z"`, `"third"`},
		{`2`, `"2025-12-31T00:00:00Z"`, `null`},
		{`2`, `"2026-01-15T00:00:00Z"`, `"long"`},
		{`2`, `"2026-02-15T00:00:00Z"`, `"within"`}, // of overlapping versions the one that began last
		{`2`, `"2026-03-01T00:00:00Z"`, `"long"`},   // and the longer one again after it
		{`2`, `"2026-12-31T00:00:00Z"`, `null`},     // To does not belong to the version
		{`3`, `"2026-01-01T00:00:00Z"`, `null`},
		{`null`, `"2026-01-01T00:00:00Z"`, `null`},
	}
	for _, columns := range [][2]string{{"f", "u"}, {"fs", "us"}, {"fm", "um"}} {
		for _, load := range []string{"lazy", "full"} {
			t.Run(columns[0]+" "+load, func(t *testing.T) {
				p := join(t, fmt.Sprintf(yaml, load, columns[0], columns[1]))
				var docs, want []string
				for _, r := range rows {
					docs = append(docs, fmt.Sprintf(`{"k":%s,"ts":%s}`, r.k, r.ts))
					want = append(want, fmt.Sprintf(`{"k":%s,"ts":%s,"v":%s}`, r.k, r.ts, r.want))
				}
				require.Equal(t, want, run(t, p, docs...))
			})
		}
	}
	t.Run("boundary to the microsecond", func(t *testing.T) {
		p := join(t, fmt.Sprintf(yaml, "lazy", "f", "u"))
		require.Equal(t, []string{`{"k":1,"ts":"2026-02-01T00:00:00.499999Z","v":"second"}`, `{"k":1,"ts":"2026-02-01T00:00:00.5Z","v":null}`},
			run(t, p, `{"k":1,"ts":"2026-02-01T00:00:00.499999Z"}`, `{"k":1,"ts":"2026-02-01T00:00:00.5Z"}`))
	})
	t.Run("days", func(t *testing.T) {
		server.Exec(t, `
			CREATE OR REPLACE TABLE scd_days (k INT, v VARCHAR(20), f DATE, u DATE);
			INSERT INTO scd_days VALUES (1, 'january', '2026-01-01', '2026-02-01'), (1, 'march', '2026-03-01', NULL)`)
		p := join(t, strings.Replace(fmt.Sprintf(yaml, "lazy", "f", "u"), "table: scd", "table: scd_days\n    time_zone: Europe/Berlin", 1))
		for ts, want := range map[string]string{
			`"2025-12-31T22:59:59.999999Z"`: `null`, `"2025-12-31T23:00:00Z"`: `"january"`, `"2026-01-01"`: `"january"`, `"2026-01-31T22:59:59.999999Z"`: `"january"`,
			`"2026-01-31T23:00:00Z"`: `null`, `"2026-02-01"`: `null`, `"2026-03-01 00:00:00"`: `"march"`, `"9999-12-31"`: `"march"`,
		} {
			require.Equal(t, []string{`{"k":1,"ts":` + ts + `,"v":` + want + `}`}, run(t, p, `{"k":1,"ts":`+ts+`}`))
		}
	})
	t.Run("units", func(t *testing.T) {
		for unit, second := range map[string]string{"s": "", "ms": "000", "us": "000000", "ns": "000000000"} {
			server.Exec(t, fmt.Sprintf(`
				CREATE OR REPLACE TABLE scd_units (k INT, v VARCHAR(20), f BIGINT, u BIGINT);
				INSERT INTO scd_units VALUES (1, 'a', 1767225600%s, 1767225601%[1]s), (1, 'b', 1767225601%[1]s, NULL), (1, 'before 1970', -9%[1]s, -8%[1]s)`, second))
			p := join(t, strings.Replace(strings.Replace(fmt.Sprintf(yaml, "lazy", "f", "u"), "table: scd", "table: scd_units", 1), "time: this.ts", "unit: "+unit+", time: this.ts", 1))
			for ts, want := range map[string]string{
				"1767225599" + second: `null`, "1767225600" + second: `"a"`, "1767225601" + second: `"b"`, "-9" + second: `"before 1970"`, "-8" + second: `null`,
				`"1767225600` + second + `"`: `"a"`, `"2026-01-01T00:00:00.999999Z"`: `"a"`, "1767225601" + second + ".0": `"b"`,
			} {
				require.Equal(t, []string{`{"k":1,"ts":` + ts + `,"v":` + want + `}`}, run(t, p, `{"k":1,"ts":`+ts+`}`), unit)
			}
		}
	})
	t.Run("no end", func(t *testing.T) {
		p := join(t, fmt.Sprintf(yaml, "lazy", "f", ""))
		require.Equal(t, []string{`{"k":1,"ts":"2026-02-15","v":"second"}`, `{"k":2,"ts":"2026-12-31","v":"within"}`},
			run(t, p, `{"k":1,"ts":"2026-02-15"}`, `{"k":2,"ts":"2026-12-31"}`), "a version ends where the next begins")
	})
	t.Run("no time", func(t *testing.T) {
		p := join(t, fmt.Sprintf(yaml, "lazy", "f", "u"))
		batch := process(t, p, `{"k":1}`, `{"k":1,"ts":"soon"}`, `{"k":1,"ts":{}}`, `{"k":1,"ts":"2026-03-01"}`)
		require.ErrorContains(t, batch[0].GetError(), "no time to join as of")
		require.ErrorContains(t, batch[1].GetError(), `"soon" is not an instant`)
		require.Error(t, batch[2].GetError())
		require.Equal(t, `{"k":1,"ts":"2026-03-01","v":"third"}`, content(t, batch[3]))
	})
}
