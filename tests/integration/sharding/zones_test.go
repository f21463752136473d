package sharding

import (
	"fmt"
	"testing"

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
