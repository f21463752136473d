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
	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/stretchr/testify/require"
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
	require.Equal(t, cluster.Deduplication{Blocks: 100, SenderTimeout: time.Hour}, got)

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

	cfg.TLS = &tls.Config{RootCAs: roots} // the name of the host dialled is not that of the certificate
	_, err = cluster.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "certificate")
	cfg.TLS = nil
	_, err = cluster.Open(t.Context(), cfg)
	require.Error(t, err)
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
