package kafka_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/benthos-clickhouse/connect/tests/services"
)

// Listeners of the shared broker that ask who is there.
const (
	listenerTLS    = "tls"
	listenerMutual = "mutual"
	listenerSASL   = "sasl"
	listenerBoth   = "both"
)

// authority signs certificates, and keeps what it makes in files.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(dir, name string) (*authority, error) {
	a := &authority{dir: dir}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, key, err := a.sign(template, template)
	if err != nil {
		return nil, err
	}
	a.key = key
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return a, a.write(name+".pem", &pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// issue makes a certificate for a host that is also a user: name.crt, name.key, and both in name.pem.
func (a *authority) issue(name string) error {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, key, err := a.sign(template, a.cert)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	keyBlock, certBlock := &pem.Block{Type: "PRIVATE KEY", Bytes: secret}, &pem.Block{Type: "CERTIFICATE", Bytes: der}
	for file, blocks := range map[string][]*pem.Block{name + ".crt": {certBlock}, name + ".key": {keyBlock}, name + ".pem": {keyBlock, certBlock}} {
		if err := a.write(file, blocks...); err != nil {
			return err
		}
	}
	return nil
}

func (a *authority) sign(template, parent *x509.Certificate) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	signer := a.key
	if signer == nil {
		signer = key
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	return der, key, err
}

func (a *authority) write(file string, blocks ...*pem.Block) error {
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	return os.WriteFile(filepath.Join(a.dir, file), text, 0o600)
}

// securedListeners makes certificates in dir, and listeners that use them.
func securedListeners(dir string) ([]services.Listener, error) {
	ours, err := newAuthority(dir, "authority")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"broker", "client"} {
		if err := ours.issue(name); err != nil {
			return nil, err
		}
	}
	other, err := newAuthority(dir, "other-authority")
	if err != nil {
		return nil, err
	}
	if err := other.issue("stranger"); err != nil {
		return nil, err
	}
	encrypted := map[string]string{"ssl.keystore.type": "PEM", "ssl.keystore.location": filepath.Join(dir, "broker.pem")}
	mutual := map[string]string{
		"ssl.keystore.type": "PEM", "ssl.keystore.location": filepath.Join(dir, "broker.pem"), "ssl.client.auth": "required",
		"ssl.truststore.type": "PEM", "ssl.truststore.location": filepath.Join(dir, "authority.pem"),
	}
	// Without a handler of its own OAUTHBEARER validates tokens that nobody has signed.
	asked := map[string]string{
		"sasl.enabled.mechanisms":        "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		"plain.sasl.jaas.config":         `org.apache.kafka.common.security.plain.PlainLoginModule required user_me="secret";`,
		"scram-sha-256.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"oauthbearer.sasl.jaas.config":   `org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
	}
	both := map[string]string{}
	for _, from := range []map[string]string{encrypted, asked} {
		for name, value := range from {
			both[name] = value
		}
	}
	return []services.Listener{
		{Name: listenerTLS, Protocol: "SSL", Properties: encrypted},
		{Name: listenerMutual, Protocol: "SSL", Properties: mutual},
		{Name: listenerSASL, Protocol: "SASL_PLAINTEXT", Properties: asked},
		{Name: listenerBoth, Protocol: "SASL_SSL", Properties: both},
	}, nil
}

// token is a JSON web token without a signature.
func token(expires time.Time) string {
	encode := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"sub":"me","iat":%d,"exp":%d}`, expires.Add(-time.Hour).Unix(), expires.Unix())
	return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(claims)) + "."
}

// Ways to present oneself, as further fields of the input.
func withTLS(authority string) string {
	return fmt.Sprintf("    tls: { enabled: true, root_cas_file: %q }\n", filepath.Join(certificates, authority+".pem"))
}

func withCertificate(authority, name string) string {
	return fmt.Sprintf("    tls: { enabled: true, root_cas_file: %q, client_certs: [ { cert_file: %q, key_file: %q } ] }\n",
		filepath.Join(certificates, authority+".pem"), filepath.Join(certificates, name+".crt"), filepath.Join(certificates, name+".key"))
}

func withPassword(mechanism, password string) string {
	return fmt.Sprintf("    sasl: [ { mechanism: %s, username: me, password: %s } ]\n", mechanism, password)
}

func withToken(expires time.Time) string {
	return fmt.Sprintf("    sasl: [ { mechanism: OAUTHBEARER, token: %q } ]\n", token(expires))
}

// registerScram makes the user me known with both mechanisms.
func registerScram(t *testing.T, b *broker) {
	t.Helper()
	for _, m := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
		answers, err := b.admin.AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{User: "me", Mechanism: m, Iterations: 4096, Password: "secret"}})
		require.NoError(t, err)
		require.NoError(t, answers.Error())
	}
}

// TestSecuredListeners reads records and commits them with every way of encrypting and of presenting oneself.
func TestSecuredListeners(t *testing.T) {
	t.Parallel()
	b := realBroker(t)
	registerScram(t, b)
	ways := map[string]struct{ listener, input string }{
		"TLS":        {listenerTLS, withTLS("authority")},
		"mutual TLS": {listenerMutual, withCertificate("authority", "client")},
	}
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"} {
		login := withPassword(mechanism, "secret")
		if mechanism == "OAUTHBEARER" {
			login = withToken(time.Now().Add(time.Hour))
		}
		ways[mechanism] = struct{ listener, input string }{listenerSASL, login}
		ways[mechanism+" over TLS"] = struct{ listener, input string }{listenerBoth, withTLS("authority") + login}
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := b.scene(t, "secured-"+strings.ReplaceAll(name, " ", "-"), 2, 1)
			s.produce(t, 0, 100)
			startStream(t, settings{
				Broker: shared.Kafka.Secured(way.listener), Topic: s.topic, Group: s.topic, Warehouse: s.warehouse.addr, Input: quick + "\n" + way.input,
			}.yaml())
			s.requireOnce(t)
		})
	}
}

// TestRefusedAtTheDoor presents what the broker does not take. The error names the broker and says what to do.
func TestRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	b := realBroker(t)
	registerScram(t, b)
	for name, way := range map[string]struct{ listener, input, want string }{
		"wrong password, PLAIN":         {listenerSASL, withPassword("PLAIN", "wrong"), "check username, password or token in sasl"},
		"wrong password, SCRAM-SHA-256": {listenerSASL, withPassword("SCRAM-SHA-256", "wrong"), "check username, password or token in sasl"},
		"wrong password, SCRAM-SHA-512": {listenerBoth, withTLS("authority") + withPassword("SCRAM-SHA-512", "wrong"), "check username, password or token in sasl"},
		"expired token":                 {listenerBoth, withTLS("authority") + withToken(time.Now().Add(-time.Minute)), "the token is refused (it expired at "},
		"unknown authority":             {listenerTLS, withTLS("other-authority"), "tls.root_cas_file"},
		"no certificate":                {listenerMutual, withTLS("authority"), "tls.client_certs"},
		"certificate of a stranger":     {listenerMutual, withCertificate("authority", "stranger"), "tls.client_certs"},
		"no TLS":                        {listenerTLS, "", "set tls.enabled and sasl"},
		"no SASL":                       {listenerSASL, "", "set tls.enabled and sasl"},
		"TLS where there is none":       {"", withTLS("authority"), "set tls.enabled and sasl"},
		"SASL where there is none":      {"", withPassword("PLAIN", "secret"), "remove sasl"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := b.addr
			if way.listener != "" {
				addr = shared.Kafka.Secured(way.listener)
			}
			lines := &lines{}
			conf := settings{Broker: addr, Topic: "refused", Group: "refused", Warehouse: "127.0.0.1:1", Input: quick + "\n" + way.input}
			runLogged(t, conf.yaml(), lines)
			require.Eventually(t, func() bool { return len(lines.of(slog.LevelWarn)) > 0 }, patience, 10*time.Millisecond)
			for _, line := range lines.of(slog.LevelWarn) {
				require.Contains(t, line, "connecting to Kafka broker "+addr)
				require.Contains(t, line, way.want)
			}
		})
	}
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	kept []slog.Record
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) WithGroup(string) slog.Handler            { return l }
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, r)
	return nil
}

// of lists the input's lines of a level or a worse one.
func (l *lines) of(level slog.Level) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.kept {
		if r.Level >= level && !strings.Contains(r.Message, "recording_sink") {
			out = append(out, r.Message)
		}
	}
	return out
}

func runLogged(t *testing.T, conf string, to slog.Handler) {
	t.Helper()
	b := service.NewStreamBuilder()
	require.NoError(t, b.SetYAML(conf))
	b.SetLogger(slog.New(to))
	stream, err := b.Build()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = stream.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}
