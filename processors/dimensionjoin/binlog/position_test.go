package binlog

import (
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/stretchr/testify/require"
)

func TestPlaceBefore(t *testing.T) {
	ascending := []place{{"binlog.000009", 4}, {"binlog.000009", 1000}, {"binlog.000010", 4}, {"binlog.999999", 4}, {"binlog.1000000", 4}}
	for i, p := range ascending {
		for j, q := range ascending {
			require.Equal(t, i < j, p.before(q), "%v %v", p, q)
		}
	}
}

func TestParseGTIDs(t *testing.T) {
	const a, b = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"
	for _, tc := range []struct{ flavor, text, want string }{
		{mysql.MySQLFlavor, "", "none"},
		{mysql.MySQLFlavor, a + ":1-5", a + ":1-5"},
		{mysql.MySQLFlavor, a + ":1-5:7,\n" + b + ":1", a + ":1-5:7," + b + ":1"},
		{mysql.MySQLFlavor, a + ":1-5:nightly:1-3", "none"},
		{mysql.MySQLFlavor, a + ":1-5,\n" + b + ":n1:1", "none"},
		{mysql.MariaDBFlavor, "", "none"},
		{mysql.MariaDBFlavor, "0-1-5,1-2-6", "0-1-5,1-2-6"},
	} {
		set, err := parseGTIDs(tc.flavor, tc.text)
		require.NoError(t, err)
		got := "none"
		if set != nil {
			got = set.String()
		}
		require.Equal(t, tc.want, got)
	}
	_, err := parseGTIDs(mysql.MySQLFlavor, "uuid:1-5")
	require.ErrorContains(t, err, `reading the server's GTIDs "uuid:1-5"`)
}

func TestAdvance(t *testing.T) {
	p := position{place: place{"binlog.000001", 4}}
	require.NoError(t, p.advance(100, "0-1-5"))
	require.Equal(t, "binlog.000001:100", p.String(), "a server that is followed by file")

	var err error
	p.gtid, err = parseGTIDs(mysql.MariaDBFlavor, "0-1-5,1-1-1")
	require.NoError(t, err)
	require.NoError(t, p.advance(200, "0-2-6"))
	require.NoError(t, p.advance(300, ""))
	require.Equal(t, "0-2-6,1-1-1", p.String(), "one of a domain, whichever server it is from")
	require.Equal(t, uint64(300), p.offset)
	require.Error(t, p.advance(400, "x"))
}

// Another server can go on from a position only if it has all that came before.
func TestPositionOnAnotherServer(t *testing.T) {
	const a, b = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"
	at := func(text string) position {
		set, err := parseGTIDs(mysql.MySQLFlavor, text)
		require.NoError(t, err)
		return position{gtid: set}
	}
	ours := at(a + ":1-100")
	for text, want := range map[string]bool{
		a + ":1-100": true, a + ":1-101," + b + ":1-5": true, a + ":1-99": false, a + ":1-50:52-100": false, a + ":1-99," + b + ":1": false, b + ":1-200": false, "": false,
	} {
		p := at(text)
		require.Equal(t, want, p.has(ours), text)
	}
}
