package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/tests/clickstream"
)

// connector is the running binary.
type connector struct {
	cmd     *exec.Cmd
	http    string
	logPath string
	started time.Time
	landed  time.Time
	done    chan struct{}
}

func startConnector(ctx context.Context, s *Stack, config string) (*connector, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s.Env = []string{
		"HTTP_ADDRESS=" + addr,
		"KAFKA_BROKERS=" + s.KafkaAddr,
		"MYSQL_DSN=" + s.MySQLDSN,
		"CLICKHOUSE_ADDRESSES=" + s.nodes()[0].Addr(),
	}
	c := &connector{http: addr, logPath: filepath.Join(s.Dir, "connect.log"), started: time.Now(), done: make(chan struct{})}
	log, err := os.Create(c.logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.cmd = exec.Command(s.Binary, "run", config)
	c.cmd.Env = append(os.Environ(), s.Env...)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the connector: %w", err)
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

func freeAddr() (string, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// stall is how long nothing may land before the demo gives up.
const stall = 3 * time.Minute

// follow waits until the consumer group has committed the end of the topic, drawing the rows that have landed, and kills and
// revives a shard on the way when asked to.
func follow(ctx context.Context, opts Options, s *Stack, c *connector, ledger *clickstream.Ledger) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.KafkaAddr))
	if err != nil {
		return fmt.Errorf("connecting to Kafka: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)

	total := ledger.Total().Events
	bar := newBar(opts.Out, int(total), "landing")
	outage := newOutage(opts, s)
	defer outage.wait()
	last, changed := int64(0), time.Now()
	for {
		rows := s.rows(ctx)
		_ = bar.Set64(min(rows, total))
		if rows != last {
			last, changed = rows, time.Now()
		}
		outage.at(ctx, rows, total)
		if rows >= total && !outage.under() && s.lag(ctx, admin) == 0 {
			c.landed = time.Now()
			return bar.Finish()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.done:
			return fmt.Errorf("the connector ended by itself: %v", c.cmd.ProcessState)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Since(changed) > stall {
			return fmt.Errorf("nothing landed for %s: %d of %d rows, lag %d", stall, rows, total, s.lag(ctx, admin))
		}
	}
}

// rows counts what has landed on the shards that answer.
func (s *Stack) rows(ctx context.Context) (sum int64) {
	for _, n := range s.nodes() {
		res, err := n.QueryContext(ctx, "SELECT count() FROM dw.events_local")
		if err != nil || len(res) == 0 {
			continue // a killed shard; its rows count again when it is back
		}
		v, _ := strconv.ParseInt(res[0][0], 10, 64)
		sum += v
	}
	return sum
}

// lag is the number of events the group has not committed; -1 when Kafka cannot say.
func (s *Stack) lag(ctx context.Context, admin *kadm.Client) int64 {
	lags, err := admin.Lag(ctx, group)
	if err != nil {
		return -1
	}
	var sum int64
	for _, topic := range lags[group].Lag {
		for _, p := range topic {
			if p.Err != nil || p.Lag < 0 {
				return -1
			}
			sum += p.Lag
		}
	}
	if len(lags[group].Lag) == 0 {
		return -1
	}
	return sum
}

var sample = regexp.MustCompile(`^(\w+)(?:\{(.*)\})? ([0-9.eE+-]+)$`)
var dimensionLabel = regexp.MustCompile(`dimension="([^"]*)"`)

// scrape reads the cache's counters from /metrics.
func (c *connector) scrape(ctx context.Context, r *Report) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.http+"/metrics", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("reading the connector's metrics: %w", err)
	}
	defer res.Body.Close()
	r.Cache = map[string]*CacheStats{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		m := sample.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		d := dimensionLabel.FindStringSubmatch(m[2])
		if d == nil {
			continue
		}
		value, _ := strconv.ParseFloat(m[3], 64)
		r.cache(d[1]).count(m[1], int64(value))
	}
	return lines.Err()
}

// stop ends the connector as an operator would, and notes what it cost.
func (c *connector) stop(r *Report) error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-time.After(45 * time.Second):
		return errors.New("it did not end within 45 s of SIGTERM")
	}
	state := c.cmd.ProcessState
	if state.ExitCode() != 0 {
		return fmt.Errorf("it ended with %v", state)
	}
	r.Seconds = c.landed.Sub(c.started).Seconds()
	r.CPUSeconds = (state.UserTime() + state.SystemTime()).Seconds()
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		r.PeakBytes = usage.Maxrss * 1024
	}
	return nil
}

func (c *connector) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

func (c *connector) log(n int64) string {
	f, err := os.Open(c.logPath)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > n {
		_, _ = f.Seek(-n, 2)
	}
	buf := make([]byte, n)
	k, _ := f.Read(buf)
	return string(buf[:k])
}
