package output

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/insert"
)

func indexes(rejected []insert.Rejection) []int {
	out := make([]int, len(rejected))
	for i, r := range rejected {
		out[i] = r.Index
	}
	return out
}

func TestRowsThatCannotBeReadAreRejected(t *testing.T) {
	db := tables(t)
	w := open(t, db)
	docs := events(0, 100)
	docs[3] = `{"id":`
	docs[50] = `{"id":"many","user_id":1}`
	docs[99] = `[]`
	result := write(t, w, docs)
	require.Equal(t, 97, result.Inserted)
	require.Equal(t, []int{3, 50, 99}, indexes(result.Rejected))
	require.Equal(t, "id", result.Rejected[1].Column)
	require.Equal(t, "UInt64", result.Rejected[1].Type)
	requireAll(t, db, 97)
}

func TestRowsThatTheServerRefusesAreFound(t *testing.T) {
	db := tables(t)
	w := open(t, db)
	docs := events(0, 1000)
	for _, i := range []int{0, 17, 18, 500, 999} {
		docs[i] = fmt.Sprintf(`{"id":%d,"user_id":%d,"price":-1}`, i, i)
	}
	result := write(t, w, docs)
	require.Equal(t, []int{0, 17, 18, 500, 999}, indexes(result.Rejected))
	require.Equal(t, 995, result.Inserted)
	require.Equal(t, 469, result.Rejected[0].Code)
	require.Contains(t, result.Rejected[0].Reason, "positive")
	requireAll(t, db, 995)
}

func TestABatchOfNothingButFaults(t *testing.T) {
	db := tables(t)
	w := open(t, db)
	docs := documents{`{"id":1,"price":-1}`, `{"id":2,"price":-1}`, `nonsense`}
	result := write(t, w, docs)
	require.Equal(t, []int{0, 1, 2}, indexes(result.Rejected))
	require.Zero(t, result.Inserted)
	requireAll(t, db, 0)
}

func TestWithoutADeadLetterNothingIsDropped(t *testing.T) {
	db := tables(t)
	w := open(t, db, func(o *insert.Options) { o.KeepRejected = false })
	docs := events(0, 100)
	docs[7] = `{"id":"x"}`
	_, err := w.Write(t.Context(), docs, nil)
	require.ErrorIs(t, err, insert.ErrRejected)
	require.ErrorContains(t, err, `record 7 in column "id" (UInt64)`)
	requireAll(t, db, 0)
}

func TestDefaultsAreTheServers(t *testing.T) {
	db := tables(t)
	w := open(t, db)
	write(t, w, documents{
		`{"id":1,"name":"four"}`,
		`{"id":2,"name":"abc","length":77,"origin":"app"}`,
		`{"id":3,"origin":null,"note":null}`,
	})
	require.Equal(t, [][]string{{"1", "web", "4"}, {"2", "app", "77"}, {"3", "web", "0"}},
		servers.Servers[0].Query(t, "SELECT id, origin, length FROM "+db+".events ORDER BY id"))
}

func TestColumnsAddedAndDroppedWhileRunning(t *testing.T) {
	db := tables(t)
	w := open(t, db)
	write(t, w, documents{`{"id":1,"extra":"a"}`})
	servers.Exec(t, "ALTER TABLE "+db+".events_local DROP COLUMN note, ADD COLUMN extra String")
	servers.Exec(t, "ALTER TABLE "+db+".events DROP COLUMN note, ADD COLUMN extra String")
	result := write(t, w, documents{`{"id":2,"extra":"b"}`, `{"id":3,"extra":"c","user_id":55}`})
	require.Equal(t, 2, result.Inserted)
	require.Equal(t, [][]string{{"1", ""}, {"2", "b"}, {"3", "c"}},
		servers.Servers[0].Query(t, "SELECT id, extra FROM "+db+".events ORDER BY id"))
}

func TestALargeBatchGoesOutInParts(t *testing.T) {
	db := tables(t)
	w := open(t, db, func(o *insert.Options) { o.MaxBlockRows = 300 })
	require.Equal(t, 2000, write(t, w, events(0, 2000)).Inserted)
	requireAll(t, db, 2000)
}

func TestEqualBatchesAreTwoBatches(t *testing.T) {
	db := tables(t)
	w := open(t, db)
	write(t, w, events(0, 100))
	write(t, w, events(0, 100))
	rows, distinct := count(t, db)
	require.Equal(t, "200", rows, "the second batch was taken for a repetition of the first")
	require.Equal(t, "100", distinct)
}

// Each set of columns that is left to the server is a block of its own, and what makes many of them is said once.
func TestRowsLeaveOutDefaultsInEveryCombination(t *testing.T) {
	const optional = 5
	columns := "id UInt64"
	for k := range optional {
		columns += fmt.Sprintf(", c%d UInt64 DEFAULT id + %d", k, 1000*k)
	}
	columns += ", always UInt64 DEFAULT id * 2"
	db := tablesOf(t, columns, "id")
	var log bytes.Buffer
	w := open(t, db, func(o *insert.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	var docs documents
	for id := range 640 {
		doc := fmt.Sprintf(`{"id":%d`, id)
		for k := range optional {
			if id>>k&1 == 1 {
				doc += fmt.Sprintf(`,"c%d":7`, k)
			}
		}
		docs = append(docs, doc+"}")
	}
	require.Equal(t, 640, write(t, w, docs).Inserted)
	for k := range optional {
		require.Equal(t, "0", servers.Servers[0].Value(t, fmt.Sprintf(
			"SELECT countIf(c%[1]d != if(bitTest(id, %[1]d), 7, id + %[2]d) OR always != id * 2) FROM %[3]s.events", k, 1000*k, db)))
	}
	requireAll(t, db, 640)
	write(t, w, docs[:64])
	require.Equal(t, 1, strings.Count(log.String(), "in many combinations"), log.String())
	require.Contains(t, log.String(), `columns="[c0 c1 c2 c3 c4]"`, "not the one that all rows leave out")
}
