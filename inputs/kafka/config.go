package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/benthos-clickhouse/connect/internal/lint"
)

const (
	kefSeedBrokers       = "seed_brokers"
	kefTopics            = "topics"
	kefRegexpTopics      = "regexp_topics"
	kefConsumerGroup     = "consumer_group"
	kefStartOffset       = "start_offset"
	kefRange             = "range"
	kefRangeCount        = "count"
	kefRangeByteSize     = "byte_size"
	kefRangePeriod       = "period"
	kefRecordsPerMessage = "records_per_message"
	kefRangesInFlight    = "ranges_in_flight"
	kefMaxBufferedBytes  = "max_buffered_bytes"
	kefMaxMetadataBytes  = "max_metadata_bytes"
	kefMetadata          = "metadata"
	kefIsolationLevel    = "isolation_level"
	kefGroupBalancers    = "group_balancers"
	kefRedelivery        = "redelivery"
	kefRedeliveryInitial = "initial_interval"
	kefRedeliveryMax     = "max_interval"
	kefClientID          = "client_id"
	kefInstanceID        = "instance_id"
	kefRackID            = "rack_id"
	kefSessionTimeout    = "session_timeout"
	kefRebalanceTimeout  = "rebalance_timeout"
	kefHeartbeatInterval = "heartbeat_interval"
	kefMetadataMaxAge    = "metadata_max_age"
	kefRequestOverhead   = "request_timeout_overhead"
	kefConnIdleTimeout   = "conn_idle_timeout"
	kefFetchMaxBytes     = "fetch_max_bytes"
	kefFetchMaxPartition = "fetch_max_partition_bytes"
	kefFetchMinBytes     = "fetch_min_bytes"
	kefFetchMaxWait      = "fetch_max_wait"
	kefTLS               = "tls"
	kefSASL              = "sasl"
	kefSASLMechanism     = "mechanism"
	kefSASLUsername      = "username"
	kefSASLPassword      = "password"
	kefSASLToken         = "token"
	kefSASLExtensions    = "extensions"
)

// config is the input's configuration, checked.
type config struct {
	brokers []string
	topics  []string
	regexp  bool
	group   string
	start   startOffset

	count             int
	byteSize          int64
	period            time.Duration
	recordsPerMessage int
	inFlight          int
	maxBuffered       int64
	maxMetadata       int
	fields            fields
	retryInitial      time.Duration
	retryMax          time.Duration

	clientID          string
	instanceID        string
	rackID            string
	sessionTimeout    time.Duration
	rebalanceTimeout  time.Duration
	heartbeatInterval time.Duration
	metadataMaxAge    time.Duration
	requestOverhead   time.Duration
	connIdleTimeout   time.Duration
	fetchMaxBytes     int32
	fetchMaxPartition int32
	fetchMinBytes     int32
	fetchMaxWait      time.Duration
	isolation         kgo.IsolationLevel
	balancers         []kgo.GroupBalancer
	tls               *tls.Config
	sasl              []sasl.Mechanism
}

// maxHeartbeatInterval is the longest interval that is chosen where none is configured.
const maxHeartbeatInterval = 3 * time.Second

// Limits of sizes: an intent has to fit, and no host reaches the others.
const (
	minMetadata      = 256
	maxRangeBytes    = 1 << 40
	maxBufferedBytes = 1 << 50
)

// startOffset is where a partition starts that the group has no offset for; the zero value is its earliest record.
type startOffset struct {
	latest    bool
	committed bool
	time      time.Time
}

func parseStart(s string) (startOffset, error) {
	switch s {
	case "earliest":
		return startOffset{}, nil
	case "latest":
		return startOffset{latest: true}, nil
	case "committed":
		return startOffset{committed: true}, nil
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return startOffset{}, fmt.Errorf("%q is neither earliest, latest, committed nor an RFC 3339 time", s)
	}
	return startOffset{time: at}, nil
}

// fieldReader reads fields of a parsed configuration and keeps the first error.
type fieldReader struct {
	conf *service.ParsedConfig
	err  error
}

func read[T any](r *fieldReader, get func(...string) (T, error), path ...string) (v T) {
	if r.err != nil {
		return v
	}
	v, r.err = get(path...)
	return v
}

func (r *fieldReader) bytes(limit uint64, path ...string) int64 {
	text := read(r, r.conf.FieldString, path...)
	if r.err != nil {
		return 0
	}
	n, err := lint.ParseSize(text, limit)
	if err != nil {
		r.err = fmt.Errorf("%s: %w", strings.Join(path, "."), err)
	}
	return n
}

func parseConfig(conf *service.ParsedConfig) (*config, error) {
	r := &fieldReader{conf: conf}
	c := &config{
		brokers:           commaList(read(r, conf.FieldStringList, kefSeedBrokers)),
		topics:            read(r, conf.FieldStringList, kefTopics),
		regexp:            read(r, conf.FieldBool, kefRegexpTopics),
		group:             read(r, conf.FieldString, kefConsumerGroup),
		count:             read(r, conf.FieldInt, kefRange, kefRangeCount),
		byteSize:          r.bytes(maxRangeBytes, kefRange, kefRangeByteSize),
		period:            read(r, conf.FieldDuration, kefRange, kefRangePeriod),
		recordsPerMessage: read(r, conf.FieldInt, kefRecordsPerMessage),
		inFlight:          read(r, conf.FieldInt, kefRangesInFlight),
		maxMetadata:       read(r, conf.FieldInt, kefMaxMetadataBytes),
		retryInitial:      read(r, conf.FieldDuration, kefRedelivery, kefRedeliveryInitial),
		retryMax:          read(r, conf.FieldDuration, kefRedelivery, kefRedeliveryMax),
		clientID:          read(r, conf.FieldString, kefClientID),
		instanceID:        read(r, conf.FieldString, kefInstanceID),
		rackID:            read(r, conf.FieldString, kefRackID),
		sessionTimeout:    read(r, conf.FieldDuration, kefSessionTimeout),
		rebalanceTimeout:  read(r, conf.FieldDuration, kefRebalanceTimeout),
		metadataMaxAge:    read(r, conf.FieldDuration, kefMetadataMaxAge),
		requestOverhead:   read(r, conf.FieldDuration, kefRequestOverhead),
		connIdleTimeout:   read(r, conf.FieldDuration, kefConnIdleTimeout),
		fetchMaxBytes:     int32(r.bytes(math.MaxInt32, kefFetchMaxBytes)),
		fetchMaxPartition: int32(r.bytes(math.MaxInt32, kefFetchMaxPartition)),
		fetchMinBytes:     int32(r.bytes(math.MaxInt32, kefFetchMinBytes)),
		fetchMaxWait:      read(r, conf.FieldDuration, kefFetchMaxWait),
	}
	if !c.regexp { // a pattern may have commas: x{1,3}
		c.topics = commaList(c.topics)
	}
	c.maxBuffered = 3 * c.byteSize
	if conf.Contains(kefMaxBufferedBytes) {
		c.maxBuffered = r.bytes(maxBufferedBytes, kefMaxBufferedBytes)
	}
	c.heartbeatInterval = min(maxHeartbeatInterval, c.sessionTimeout/3)
	if conf.Contains(kefHeartbeatInterval) {
		c.heartbeatInterval = read(r, conf.FieldDuration, kefHeartbeatInterval)
	}
	start := read(r, conf.FieldString, kefStartOffset)
	names := read(r, conf.FieldStringList, kefMetadata)
	isolation := read(r, conf.FieldString, kefIsolationLevel)
	balancers := read(r, conf.FieldStringList, kefGroupBalancers)
	if r.err != nil {
		return nil, r.err
	}
	var err error
	if c.start, err = parseStart(start); err != nil {
		return nil, fmt.Errorf("%s: %w", kefStartOffset, err)
	}
	if c.fields, err = parseFields(names); err != nil {
		return nil, err
	}
	if c.isolation, err = parseIsolation(isolation); err != nil {
		return nil, err
	}
	if c.balancers, err = parseBalancers(balancers); err != nil {
		return nil, err
	}
	if c.tls, err = parseTLS(conf); err != nil {
		return nil, err
	}
	if c.sasl, err = parseSASL(conf); err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	if err := kgo.ValidateOpts(c.clientOpts()...); err != nil {
		return nil, fmt.Errorf("checking client options: %w", err)
	}
	return c, nil
}

func commaList(in []string) (out []string) {
	for _, item := range in {
		for part := range strings.SplitSeq(item, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// validate checks what the linter only advises on.
func (c *config) validate() error {
	positive := []struct {
		name string
		ok   bool
	}{
		{kefRange + "." + kefRangeCount, c.count > 0},
		{kefRange + "." + kefRangePeriod, c.period > 0},
		{kefRecordsPerMessage, c.recordsPerMessage > 0},
		{kefRangesInFlight, c.inFlight > 0},
		{kefRedelivery + "." + kefRedeliveryInitial, c.retryInitial > 0},
		{kefSessionTimeout, c.sessionTimeout > 0},
		{kefHeartbeatInterval, c.heartbeatInterval > 0},
	}
	for _, p := range positive {
		if !p.ok {
			return fmt.Errorf("%s must be greater than zero", p.name)
		}
	}
	switch {
	case len(c.brokers) == 0:
		return fmt.Errorf("%s: %w", kefSeedBrokers, errNoBroker)
	case len(c.topics) == 0 || slices.Contains(c.topics, ""):
		return fmt.Errorf("%s: %w", kefTopics, errNoTopic)
	case c.group == "":
		return fmt.Errorf("%s must be set: intents are kept in the group's offsets", kefConsumerGroup)
	case c.maxMetadata < minMetadata:
		return fmt.Errorf("%s must be at least %d: an intent has to fit", kefMaxMetadataBytes, minMetadata)
	case c.retryMax < c.retryInitial:
		return fmt.Errorf("%s.%s must not be less than %s", kefRedelivery, kefRedeliveryMax, kefRedeliveryInitial)
	case c.heartbeatInterval > c.sessionTimeout/3:
		return fmt.Errorf("%s must be at most a third of %s", kefHeartbeatInterval, kefSessionTimeout)
	case c.rebalanceTimeout <= c.heartbeatInterval:
		return fmt.Errorf("%s must be longer than %s", kefRebalanceTimeout, kefHeartbeatInterval)
	case c.byteSize > c.maxBuffered:
		return fmt.Errorf("%s must hold at least one range of %s.%s", kefMaxBufferedBytes, kefRange, kefRangeByteSize)
	}
	for _, b := range c.brokers {
		if err := checkBroker(b); err != nil {
			return fmt.Errorf("%s: %w", kefSeedBrokers, err)
		}
	}
	if c.regexp {
		for _, t := range c.topics {
			if _, err := regexp.Compile(t); err != nil {
				return fmt.Errorf("compiling topic pattern: %w", err)
			}
		}
	}
	return nil
}

// checkBroker refuses what the client would take for the name of a host, and look up for ever: http://a:9 becomes [http://a:9]:9092.
func checkBroker(address string) error {
	if _, err := netip.ParseAddr(address); err == nil { // IPv6 without brackets
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port, err = net.SplitHostPort(address + ":9092")
	}
	n, numeric := strconv.ParseUint(port, 10, 16)
	if err != nil || numeric != nil || n == 0 || host == "" || strings.ContainsAny(host, "/?#@ ") {
		return fmt.Errorf("%q is not host:port", address)
	}
	return nil
}

// backoff is the wait before a delivery that follows so many failed ones.
func (c *config) backoff(failed int) time.Duration {
	wait := c.retryInitial
	for range failed - 1 {
		if wait *= 2; wait >= c.retryMax {
			return c.retryMax
		}
	}
	return wait
}

func (c *config) clientOpts() []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.brokers...),
		kgo.ClientID(c.clientID),
		kgo.ConsumerGroup(c.group),
		kgo.ConsumeTopics(c.topics...),
		kgo.Balancers(c.balancers...),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		// Where a partition starts, and what becomes of an offset out of range, is decided in position alone.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.KeepRetryableFetchErrors(),
		kgo.KeepControlRecords(), // they tell how far the log was read where no other records are left
		kgo.SessionTimeout(c.sessionTimeout),
		kgo.RebalanceTimeout(c.rebalanceTimeout),
		kgo.HeartbeatInterval(c.heartbeatInterval),
		kgo.MetadataMaxAge(c.metadataMaxAge),
		kgo.MetadataMinAge(min(c.metadataMaxAge, 5*time.Second)),
		kgo.RequestTimeoutOverhead(c.requestOverhead),
		kgo.ConnIdleTimeout(c.connIdleTimeout),
		kgo.FetchMaxBytes(c.fetchMaxBytes),
		kgo.FetchMaxPartitionBytes(c.fetchMaxPartition),
		kgo.FetchMinBytes(c.fetchMinBytes),
		kgo.FetchMaxWait(c.fetchMaxWait),
		kgo.FetchIsolationLevel(c.isolation),
		kgo.Rack(c.rackID),
		kgo.SASL(c.sasl...),
	}
	if c.regexp {
		opts = append(opts, kgo.ConsumeRegex())
	}
	if c.instanceID != "" {
		opts = append(opts, kgo.InstanceID(c.instanceID))
	}
	if c.tls != nil {
		dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: c.tls}
		opts = append(opts, kgo.Dialer(dialer.DialContext))
	}
	return opts
}

func parseIsolation(s string) (kgo.IsolationLevel, error) {
	switch s {
	case "read_committed":
		return kgo.ReadCommitted(), nil
	case "read_uncommitted":
		return kgo.ReadUncommitted(), nil
	}
	return kgo.IsolationLevel{}, fmt.Errorf("unknown %s %q", kefIsolationLevel, s)
}

func parseBalancers(names []string) (out []kgo.GroupBalancer, err error) {
	for _, name := range names {
		switch name {
		case "cooperative_sticky":
			out = append(out, kgo.CooperativeStickyBalancer())
		case "sticky":
			out = append(out, kgo.StickyBalancer())
		case "range":
			out = append(out, kgo.RangeBalancer())
		case "round_robin":
			out = append(out, kgo.RoundRobinBalancer())
		default:
			return nil, fmt.Errorf("unknown entry %q in %s: use cooperative_sticky, sticky, range or round_robin", name, kefGroupBalancers)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s must name at least one balancer", kefGroupBalancers)
	}
	return out, nil
}

func parseTLS(conf *service.ParsedConfig) (*tls.Config, error) {
	t, enabled, err := conf.FieldTLSToggled(kefTLS)
	if err != nil || !enabled {
		return nil, err
	}
	return t, nil
}

func parseSASL(conf *service.ParsedConfig) (out []sasl.Mechanism, err error) {
	if !conf.Contains(kefSASL) {
		return nil, nil
	}
	list, err := conf.FieldObjectList(kefSASL)
	if err != nil {
		return nil, err
	}
	for i, entry := range list {
		m, err := parseMechanism(entry)
		if err != nil {
			return nil, fmt.Errorf("parsing %s entry %d: %w", kefSASL, i, err)
		}
		if m != nil {
			out = append(out, m)
		}
	}
	return out, nil
}

func parseMechanism(conf *service.ParsedConfig) (sasl.Mechanism, error) {
	r := &fieldReader{conf: conf}
	mechanism := read(r, conf.FieldString, kefSASLMechanism)
	user := read(r, conf.FieldString, kefSASLUsername)
	password := read(r, conf.FieldString, kefSASLPassword)
	token := read(r, conf.FieldString, kefSASLToken)
	extensions := read(r, conf.FieldStringMap, kefSASLExtensions)
	if r.err != nil {
		return nil, r.err
	}
	switch mechanism {
	case "", "none":
		return nil, nil
	case "PLAIN":
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
	case "OAUTHBEARER":
		if token == "" {
			return nil, errors.New("OAUTHBEARER needs a token")
		}
		return bearer{oauth.Auth{Token: token, Extensions: extensions}.AsMechanism(), token}, nil
	}
	return nil, fmt.Errorf("unknown mechanism %q: use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", mechanism)
}
