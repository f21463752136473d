package kafka

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
)

// doorkeeper remembers which broker was dialled last, and why it did not let this client in: kgo's errors do not name it.
type doorkeeper struct {
	mu     sync.Mutex
	broker string
	err    error
}

var (
	_ kgo.HookBrokerConnect = (*doorkeeper)(nil)
	_ kgo.HookBrokerRead    = (*doorkeeper)(nil)
)

// errHungUp stands for the end of a connection that was accepted: kgo tells it to the request that was being answered alone, and all others
// only that the connection has died.
var errHungUp = errors.New("the broker closed the connection without an answer")

// OnBrokerConnect implements kgo.HookBrokerConnect: err is that of dialling, TLS, the first request or SASL, whichever came first.
func (d *doorkeeper) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broker, d.err = net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port))), err
}

// OnBrokerRead implements kgo.HookBrokerRead.
func (d *doorkeeper) OnBrokerRead(_ kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = errHungUp
}

// refusal makes a *ConnectError of why no broker answered.
func (d *doorkeeper) refusal(cfg *config, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	broker := cmp.Or(d.broker, strings.Join(cfg.brokers, ", "))
	if d.err != nil {
		err = d.err
	}
	return &ConnectError{Broker: broker, Err: err, Advice: advice(err)}
}

// advice is what to do about an error of connecting; "" where waiting is all that there is.
func advice(err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var first *kgo.ErrFirstReadEOF
	switch {
	case errors.As(err, &authority):
		return "put the certificate of the authority that signed the broker's into tls.root_cas or tls.root_cas_file"
	case errors.As(err, &name):
		return "name the broker in seed_brokers (and in its advertised.listeners) as its certificate does"
	case errors.As(err, &invalid):
		return "renew the broker's certificate, or see that this machine's clock is right"
	case errors.As(err, &record):
		return "the broker does not speak TLS on this port: take the port of a TLS listener, or set tls.enabled to false"
	case strings.Contains(err.Error(), "remote error: tls: "):
		return "the broker refuses this client's certificate: give one that it trusts in tls.client_certs"
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return "check username, password or token in sasl"
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "choose a sasl.mechanism that the broker has in sasl.enabled.mechanisms"
	case errors.Is(err, kerr.IllegalSaslState):
		return "the broker wants no SASL on this port: take the port of a SASL listener, or remove sasl"
	case errors.As(err, &first), errors.Is(err, errHungUp), strings.Contains(err.Error(), "tls alert record"):
		return "set tls.enabled and sasl as the listener on this port wants them"
	}
	return ""
}

// groupAdvice is what to do about an error of being a member of the group; "" where joining again is all that there is.
func groupAdvice(err error) string {
	switch {
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return "grant READ on the group to this client"
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return "grant READ and DESCRIBE on the topics to this client"
	case errors.Is(err, kerr.InvalidSessionTimeout):
		return "set session_timeout between the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms"
	case errors.Is(err, kerr.InconsistentGroupProtocol):
		return "the group has members that share no entry of group_balancers with this one, or that are no consumers: use another consumer_group"
	case errors.Is(err, kerr.FencedInstanceID):
		return "another client of the group has the same instance_id: it must be unique"
	case errors.Is(err, kerr.GroupMaxSizeReached):
		return "the group is full: run fewer members, or raise the brokers' group.max.size"
	}
	return ""
}

// bearer is OAUTHBEARER with errors that say what the broker has against the token.
type bearer struct {
	sasl.Mechanism
	token string
}

// Authenticate implements sasl.Mechanism.
func (b bearer) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	s, first, err := b.Mechanism.Authenticate(ctx, host)
	return bearerSession{s, b.token}, first, err
}

type bearerSession struct {
	sasl.Session
	token string
}

// Challenge implements sasl.Session. A broker that takes the token has nothing to say (RFC 7628, 3.2.2).
func (s bearerSession) Challenge(answer []byte) (bool, []byte, error) {
	if len(answer) == 0 {
		return s.Session.Challenge(answer)
	}
	reason := string(answer)
	if at, ok := expiry(s.token); ok && time.Now().After(at) {
		reason = "it expired at " + at.UTC().Format(time.RFC3339)
	}
	return false, nil, fmt.Errorf("the token is refused (%s): %w", reason, kerr.SaslAuthenticationFailed)
}

// expiry reads when a JSON web token expires; ok is false where it does not say.
func expiry(token string) (at time.Time, ok bool) {
	_, rest, _ := strings.Cut(token, ".")
	body, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return at, false
	}
	var claims struct {
		Expires float64 `json:"exp"`
	}
	if err := json.Unmarshal(text, &claims); err != nil || claims.Expires == 0 {
		return at, false
	}
	return time.Unix(int64(claims.Expires), 0), true
}
