package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
)

func manyIDs(n int) *proto.ColUInt64 {
	ids := make(proto.ColUInt64, n)
	for i := range ids {
		ids[i] = uint64(i)
	}
	return &ids
}

func TestCheckDeduplication(t *testing.T) {
	db := tables(t)
	c := open(t, config(db, "events"))
	got, err := c.CheckDeduplication(t.Context(), c.Layout())
	require.NoError(t, err)
	require.Equal(t, cluster.Deduplication{Blocks: 100, SenderTimeout: 5 * time.Minute}, got)

	servers.Nodes[1][1].Exec(t, fmt.Sprintf("ALTER TABLE %s.events_local RESET SETTING non_replicated_deduplication_window", db))
	_, err = c.CheckDeduplication(t.Context(), c.Layout())
	var check *cluster.CheckError
	require.ErrorAs(t, err, &check)
	require.True(t, cluster.Fatal(err))
	require.Equal(t, uint32(2), check.Shard)
	require.Equal(t, servers.Nodes[1][1].Addr(), check.Host)
	servers.Nodes[1][1].Exec(t, check.Run)
	got, err = c.CheckDeduplication(t.Context(), c.Layout())
	require.NoError(t, err, "what the error said to run helps")
	require.Equal(t, uint64(100), got.Blocks, "the least of all")

	servers.Exec(t, fmt.Sprintf("CREATE TABLE %[1]s.n (id UInt64) ENGINE = Null; CREATE TABLE %[1]s.nd AS %[1]s.n ENGINE = Distributed('events_cluster', %[1]s, n)", db))
	c = open(t, config(db, "nd"))
	_, err = c.CheckDeduplication(t.Context(), c.Layout())
	require.ErrorContains(t, err, "has engine Null, which does not drop repeated blocks")
}

// replicated attaches a ReplicatedMergeTree: without Keeper it is read-only, which is all that is asked of it here.
func replicated(t *testing.T, db, settings string) {
	t.Helper()
	servers.Exec(t, fmt.Sprintf("ATTACH TABLE %s.r UUID '%s' (id UInt64) ENGINE = ReplicatedMergeTree('/t', 'r') ORDER BY id %s", db, servers.Servers[0].Value(t, "SELECT generateUUIDv4()"), settings))
}

func TestReplicatedTables(t *testing.T) {
	db := database(t)
	replicated(t, db, "")
	cfg := config(db, "r")
	cfg.Cluster = "two"
	c := open(t, cfg)
	l := c.Layout()
	require.True(t, l.Table.Replicated())
	require.Same(t, l, l.Pin(l.Table.Replicated()))
	health := l.Shards[0].Replicas[0].Health()
	require.True(t, health.Up)
	require.True(t, health.ReadOnly)
	require.True(t, health.Lagging)
	_, err := insertOn(t, c, 0, 1)
	require.True(t, ch.IsException(err), "the only replica is used even so: %v", err)

	got, err := c.CheckDeduplication(t.Context(), l)
	require.NoError(t, err, "the defaults of the server are enough")
	require.Equal(t, cluster.Deduplication{Replicated: true, Blocks: 10000, Window: time.Hour, SenderTimeout: 5 * time.Minute}, got)

	cfg.Settings = []ch.Setting{{Key: "receive_timeout", Value: "3600", Important: true}}
	c = open(t, cfg)
	_, err = c.CheckDeduplication(t.Context(), l)
	require.ErrorContains(t, err, "forgets a block after 1h0m0s, but a connection may bring a late one for 1h0m0s")
	require.ErrorContains(t, err, "MODIFY SETTING replicated_deduplication_window_seconds = 604800")
}

func TestReplicatedTableThatForgets(t *testing.T) {
	db := database(t)
	replicated(t, db, "SETTINGS replicated_deduplication_window = 0")
	cfg := config(db, "r")
	cfg.Cluster = "two"
	c := open(t, cfg)
	_, err := c.CheckDeduplication(t.Context(), c.Layout())
	var check *cluster.CheckError
	require.ErrorAs(t, err, &check)
	require.Contains(t, check.Run, "MODIFY SETTING replicated_deduplication_window = 10000")
}

// A sender that was frozen must not find its connection as it left it an hour ago.
func TestServerEndsOurIdleConnections(t *testing.T) {
	db := tables(t)
	c := open(t, config(db, "events"))
	var value proto.ColStr
	require.NoError(t, c.Query(t.Context(), ch.Query{
		Body: "SELECT CAST(getSetting('idle_connection_timeout'), 'String')", Result: proto.Results{{Data: &value}},
	}))
	require.Equal(t, "120", value.Row(0))
}

func TestCheckDeduplicationWithAShardDown(t *testing.T) {
	db := tables(t)
	c := open(t, config(db, "events"))
	kill(t, servers.Nodes[1][0])
	_, err := c.CheckDeduplication(t.Context(), c.Layout())
	require.NoError(t, err, "one replica can tell")
	kill(t, servers.Nodes[1][1])
	_, err = c.CheckDeduplication(t.Context(), c.Layout())
	var unavailable *cluster.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.Equal(t, uint32(2), unavailable.Shard)
	require.False(t, cluster.Fatal(err))
}

func TestCheckGrants(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events")
	cfg.Username = "reader"
	c := open(t, cfg)
	err := c.CheckGrants(t.Context(), c.Layout(), "id", "name")
	var privilege *cluster.PrivilegeError
	require.ErrorAs(t, err, &privilege)
	require.Equal(t, "GRANT INSERT(`id`, `name`) ON `testcheckgrants`.`events_local` TO `reader`", privilege.Run)
	require.True(t, cluster.Fatal(err))
	_, err = insertOn(t, c, 0, 1)
	require.True(t, ch.IsErr(err, proto.ErrAccessDenied), "the check tells what the server does")

	cfg.Username = "partial"
	c = open(t, cfg)
	require.NoError(t, c.CheckGrants(t.Context(), c.Layout(), "id", "name"))
	require.Error(t, c.CheckGrants(t.Context(), c.Layout(), "id", "at"))
	require.Error(t, c.CheckGrants(t.Context(), c.Layout()))
	_, err = insertOn(t, c, 0, 2)
	require.NoError(t, err)
}

func TestLeastGrants(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events")
	cfg.Username = "least"
	c := open(t, cfg)
	require.NoError(t, c.CheckGrants(t.Context(), c.Layout()))
	_, err := c.CheckDeduplication(t.Context(), c.Layout())
	require.NoError(t, err)
	require.NoError(t, c.CheckViews(t.Context(), c.Layout()))
	_, err = c.Defaults(t.Context(), c.Layout().Table)
	require.NoError(t, err)
	_, err = c.FreeSpace(t.Context(), c.Layout())
	require.NoError(t, err)
	_, err = insertOn(t, c, 1, 1)
	require.NoError(t, err)
}

func TestClosedClusterGivesNoConnections(t *testing.T) {
	db := tables(t)
	c, err := cluster.Open(t.Context(), config(db, "events"))
	require.NoError(t, err)
	l := c.Layout()
	held, err := c.Acquire(t.Context(), l, 0)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	require.NoError(t, write(t, held, l.Target(0), 1), "a connection in use is not taken away")
	held.Release(nil)
	_, err = c.Acquire(t.Context(), l, 0)
	require.ErrorIs(t, err, cluster.ErrClosed)
	_, err = c.AcquireReplica(t.Context(), l.Shards[0].Replicas[0])
	require.ErrorIs(t, err, cluster.ErrClosed)
	_, err = c.Refresh(t.Context())
	require.ErrorIs(t, err, cluster.ErrClosed)
}

func TestMinimalGrantsSuffice(t *testing.T) {
	db := tables(t)
	cfg := config(db, "events")
	cfg.Username = "writer"
	c := open(t, cfg)
	require.NoError(t, c.CheckGrants(t.Context(), c.Layout()))
	_, err := c.CheckDeduplication(t.Context(), c.Layout())
	require.NoError(t, err)
	_, err = c.Defaults(t.Context(), c.Layout().Table)
	require.NoError(t, err)
	_, err = insertOn(t, c, 1, 1)
	require.NoError(t, err)
}

// TestTLS goes through a proxy that ends TLS in front of a node, since the servers here have none.
func TestTLS(t *testing.T) {
	db := tables(t)
	certificate, roots := selfSigned(t, "ch.internal")
	address := tlsProxy(t, servers.Servers[0].Addr(), certificate)
	cfg := config(db, "events_local")
	cfg.Addresses, cfg.Cluster = []string{address}, "nat"
	cfg.AddressMap = map[string]string{"unreachable.invalid:9000": address}
	cfg.TLS = &tls.Config{RootCAs: roots, ServerName: "ch.internal"}
	c := open(t, cfg)
	_, err := insertOn(t, c, 0, 1)
	require.NoError(t, err)
	require.Equal(t, 1, countAll(t, db))
	first, err := c.Acquire(t.Context(), c.Layout(), 0)
	require.NoError(t, err)
	first.Release(nil)
	second, err := c.Acquire(t.Context(), c.Layout(), 0)
	require.NoError(t, err)
	require.Same(t, first, second, "looking whether it is closed does no harm")
	err = write(t, second, c.Layout().Target(0), 2)
	second.Release(err)
	require.NoError(t, err)

	cfg.TLS = &tls.Config{RootCAs: roots} // the name of the host dialled is not that of the certificate
	_, err = cluster.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "certificate")
	cfg.TLS = nil
	_, err = cluster.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "does it want `tls`?")

	cfg.TLS = &tls.Config{RootCAs: roots, ServerName: "ch.internal"}
	cfg.Addresses = servers.Addrs()[:1]
	_, err = cluster.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "the port does not speak TLS")
}

func selfSigned(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func tlsProxy(t *testing.T, to string, certificate tls.Certificate) string {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer out.Close()
				go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
	return listener.Addr().String()
}
