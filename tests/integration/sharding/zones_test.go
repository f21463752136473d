package sharding

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

// zones have offsets of odd minutes, half-hour summer times, days left out, and changes at midnight. Names that the
// time zone database keeps as mere links are not among them: their history before 1970 depends on how it was packed.
var zones = []string{
	"UTC", "Europe/Berlin", "Europe/London", "Europe/Moscow", "America/New_York", "America/Los_Angeles", "America/Sao_Paulo", "America/St_Johns", "America/Caracas",
	"Africa/Monrovia", "Africa/Johannesburg", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo", "Asia/Shanghai", "Asia/Pyongyang", "Australia/Lord_Howe", "Australia/Sydney",
	"Pacific/Apia", "Pacific/Kiritimati", "Pacific/Chatham", "Pacific/Auckland",
}

func TestTimeZones(t *testing.T) {
	client := server.Client(t)
	for _, zone := range zones {
		for _, typ := range []string{"DateTime('%s')", "DateTime64(2, '%s')"} {
			name := fmt.Sprintf(typ, zone)
			t.Run(name, func(t *testing.T) {
				parsed, err := column.ParseType(name)
				require.NoError(t, err)
				e, err := sharding.Parse("cityHash64(toString(at), toYYYYMM(at), toDate(at))")
				require.NoError(t, err)
				f, err := e.Bind([]*column.Type{parsed})
				require.NoError(t, err)
				proof, err := f.NewProof(1000, *seed)
				require.NoError(t, err)
				require.NoError(t, proof.Check(answers(t, client, proof)), "seed %d", *seed)
			})
		}
	}
}

// TestClocks compares what clocks show around every time they were set from 1900 to 2037, odd minutes and repeated midnights included.
func TestClocks(t *testing.T) {
	client := server.Client(t)
	run := func(query string, input proto.Input) {
		require.NoError(t, client.Do(t.Context(), ch.Query{Body: query, Input: input}), query)
	}
	run("CREATE TABLE rows.instants (n Int64) ENGINE = Memory", nil)
	for _, zone := range zones {
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		run("TRUNCATE TABLE rows.instants", nil)
		run("INSERT INTO rows.instants VALUES", proto.Input{{Name: "n", Data: instants(location)}})
		var n proto.ColInt64
		var shown proto.ColStr
		q := ch.Query{
			Body:   fmt.Sprintf("SELECT n, toString(fromUnixTimestamp64Second(n, '%s')) AS shown FROM rows.instants", zone),
			Result: proto.Results{{Name: "n", Data: &n}, {Name: "shown", Data: &shown}},
			OnResult: func(context.Context, proto.Block) error {
				for i := range n {
					require.Equal(t, shown.Row(i), column.WallClock(n[i], location).Format(time.DateTime), "%d in %s", n[i], zone)
				}
				return nil
			},
		}
		require.NoError(t, client.Do(t.Context(), q))
	}
}

// instants are every half hour of the days around each time the clocks are set, and the seconds next to it.
func instants(location *time.Location) (at proto.ColInt64) {
	const first, day = -2208988800 + 86400, 86400 // ClickHouse's calendar begins with 1900
	add := func(seconds int64) { at = append(at, max(seconds, first)) }
	add(first)
	_, end := time.Unix(first, 0).In(location).ZoneBounds()
	for !end.IsZero() && end.Year() < 2038 {
		for d := int64(-day - 3600); d < day+3600; d += 1800 {
			add(end.Unix() + d + d%7)
		}
		for d := int64(-2); d < 2; d++ {
			add(end.Unix() + d)
		}
		_, end = end.ZoneBounds()
	}
	return at
}
