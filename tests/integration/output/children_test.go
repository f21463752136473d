package output

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/proxy"
)

// unreliable is an output that fails its first writes, or hangs in each until its context ends. Tests find it by its name.
type unreliable struct {
	name  string
	fail  int
	hangs bool

	mu    sync.Mutex
	tried int
	taken []string
}

var unreliables sync.Map

func init() {
	spec := service.NewConfigSpec().Fields(service.NewStringField("name"), service.NewIntField("fail").Default(0), service.NewBoolField("hangs").Default(false))
	err := service.RegisterBatchOutput("unreliable", spec, func(conf *service.ParsedConfig, _ *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
		u := &unreliable{}
		u.name, _ = conf.FieldString("name")
		u.fail, _ = conf.FieldInt("fail")
		u.hangs, _ = conf.FieldBool("hangs")
		unreliables.Store(u.name, u)
		return u, service.BatchPolicy{}, 1, nil
	})
	if err != nil {
		panic(err)
	}
}

func (u *unreliable) Connect(context.Context) error { return nil }

func (u *unreliable) Close(context.Context) error { return nil }

func (u *unreliable) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tried++
	if u.hangs {
		u.mu.Unlock()
		<-ctx.Done()
		u.mu.Lock()
		return ctx.Err()
	}
	if u.tried <= u.fail {
		return errors.New("not today")
	}
	for _, m := range batch {
		content, err := m.AsBytes()
		if err != nil {
			return err
		}
		u.taken = append(u.taken, string(content))
	}
	return nil
}

// state is how often it was written to, and what it has taken.
func (u *unreliable) state() (tried int, taken []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.tried, u.taken
}

func unreliableOf(t *testing.T) *unreliable {
	t.Helper()
	u, ok := unreliables.Load(t.Name())
	require.True(t, ok)
	return u.(*unreliable)
}

// Rows that are in stay as they are while their batch's dead letters find nobody.
func TestStreamDeadLettersAreTriedAgain(t *testing.T) {
	db := tables(t)
	s := pipeline(t, common(db)+traced+fmt.Sprintf("  dead_letter: { unreliable: { name: %q, fail: 3 } }\n", t.Name()))
	docs := events(0, 100)
	docs[7] = `{"id":"seven"}`
	require.NoError(t, s.sendAll(t.Context(), messages(t, partition().Lease(0, 100), docs)))
	requireAll(t, db, 99)
	tried, taken := unreliableOf(t).state()
	require.Equal(t, 4, tried)
	require.Equal(t, []string{docs[7]}, taken)
}

// A pipeline that is stopped while its dead letters hang has acknowledged nothing, and the next one finishes the range.
func TestStreamStopsWhileDeadLettersHang(t *testing.T) {
	unreliables.Delete(t.Name()) // of an earlier run
	db := tables(t)
	config := func(hangs bool) string {
		return common(db) + traced + fmt.Sprintf("  dead_letter: { unreliable: { name: %q, hangs: %v } }\n", t.Name(), hangs)
	}
	s := pipeline(t, config(true))
	docs := events(0, 100)
	docs[7] = `{"id":"seven"}`
	l := partition().Lease(0, 100)
	answer := make(chan error, 1)
	sending, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	go func() { answer <- s.sendAll(sending, messages(t, l, docs)) }()
	require.Eventually(t, func() bool {
		u, ok := unreliables.Load(t.Name())
		if !ok {
			return false
		}
		tried, _ := u.(*unreliable).state()
		return tried > 0
	}, 20*time.Second, 10*time.Millisecond)
	_ = s.stop(time.Second) // its output for dead letters hangs longer
	giveUp()                // an engine that is stopped by force may answer nothing
	require.Error(t, <-answer)
	requireAll(t, db, 99)

	s = pipeline(t, config(false))
	require.NoError(t, s.sendAll(t.Context(), messages(t, l.Recover(), docs)))
	requireAll(t, db, 99)
	_, taken := unreliableOf(t).state()
	require.Equal(t, []string{docs[7]}, taken)
}

// alertsThatMayWait is how many alerts wait for their output at most.
const alertsThatMayWait = 64

// Nothing waits for alerts: neither rows nor the end of the pipeline.
func TestStreamAlertsThatHangHoldUpNothing(t *testing.T) {
	db := tables(t)
	dir := t.TempDir()
	proxies, addresses := proxied(t)
	var mapped strings.Builder
	for at, through := range addresses {
		fmt.Fprintf(&mapped, "%q: %q, ", at, through)
	}
	s := pipeline(t, common(db)+fmt.Sprintf(`
  address_map: { %s }
  batching: { count: 1 }
  max_in_flight: %d
  on_exhausted: spool
  spool: { path: %q }
  alert: { unreliable: { name: %q, hangs: true } }
`, mapped.String(), 2*alertsThatMayWait, dir, t.Name()))
	require.NoError(t, s.sendAll(t.Context(), batch(events(0, 10))))
	for _, p := range proxies {
		p.Set(proxy.Refuse)
		p.Cut()
	}
	var wg sync.WaitGroup
	for i := range 2 * alertsThatMayWait {
		wg.Go(func() { assert.NoError(t, s.sendAll(t.Context(), batch(events(10+i, 11+i)))) })
	}
	wg.Wait()
	files, err := filepath.Glob(filepath.Join(dir, "*.chspool"))
	require.NoError(t, err)
	require.Len(t, files, 2*alertsThatMayWait)
	tried, _ := unreliableOf(t).state()
	require.Equal(t, 1, tried)
	require.NoError(t, s.stop(30*time.Second))
}
