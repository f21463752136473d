package lookup

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// memory is a dimension without a server.
type memory struct {
	config  source.Config
	columns []source.ResultColumn

	mu    sync.Mutex
	rows  map[string][]string // canonical key → JSON literals of the columns
	reads map[string]int      // how often each key was asked for
	loads int
	err   error
	log   []string      // scans and polls
	block chan struct{} // a load waits until it is closed
}

func (m *memory) Schema(context.Context) (*source.Schema, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	return source.NewSchema(m.config, m.columns)
}

func (m *memory) Load(ctx context.Context, schema *source.Schema, keys []string) (map[string]*source.Result, error) {
	m.mu.Lock()
	block := m.block
	m.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	if m.err != nil {
		return nil, m.err
	}
	out := make(map[string]*source.Result, len(keys))
	for _, k := range keys {
		m.reads[k]++
		out[k] = m.result(schema, k)
	}
	return out, nil
}

func (m *memory) result(schema *source.Schema, key string) *source.Result {
	values, ok := m.rows[key]
	if !ok {
		return &source.Result{}
	}
	literals := make([][]byte, len(values))
	for i, v := range values {
		literals[i] = []byte(v)
	}
	return &source.Result{Versions: []source.Version{{From: source.Beginning, To: source.Forever, Row: schema.Shape.Restore(literals)}}}
}

func (m *memory) Scan(_ context.Context, schema *source.Schema, emit func(string, *source.Result) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.log = append(m.log, "scan")
	for k := range m.rows {
		if err := emit(k, m.result(schema, k)); err != nil {
			return err
		}
	}
	return nil
}

// Changes only says how many rows there are.
func (m *memory) Changes(_ context.Context, _ *source.Schema, _, since string, _ func(string)) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = append(m.log, "changes since "+since)
	return strconv.Itoa(len(m.rows)), m.err
}

func (m *memory) set(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// retype gives the last column another type.
func (m *memory) retype(typ string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.columns[len(m.columns)-1].Type = typ
}

func (m *memory) put(key string, values ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows[key] = values
}

// clock is a settable clock for the cache.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.now.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) NowNano() int64                      { return c.now.Load() }
func (c *clock) Tick(time.Duration) <-chan time.Time { return nil }
func (c *clock) advance(d time.Duration)             { c.now.Add(int64(d)) }

var lazily = cache.Options{MaxRows: 1 << 20, TTL: 10 * time.Minute, RefreshAfter: 5 * time.Minute, MissingTTL: 30 * time.Second, MaxStale: time.Hour}

// dim describes a dimension in one line: name, path of the key, and the columns.
func dim(name, path string, columns ...string) Dimension {
	steps, err := jsonscan.ParsePath(path)
	if err != nil {
		panic(err)
	}
	d := Dimension{
		Source:    source.Config{Name: name, Table: name, Keys: []string{"k"}},
		Key:       []FieldRef{{Path: steps}},
		OnMissing: NullOnMissing,
	}
	for _, c := range columns {
		d.Source.Columns = append(d.Source.Columns, source.Column{Name: c, Member: name + "_" + c})
	}
	return d
}

// newJoiner joins from memory; the key columns are VARCHAR, or the type given by name.
func newJoiner(t testing.TB, config Config, options cache.Options, keyTypes map[string]string) (*Joiner, map[string]*memory) {
	t.Helper()
	store, err := cache.New(options)
	require.NoError(t, err)
	sources := map[string]*memory{}
	if config.OnConflict == "" {
		config.OnConflict = Overwrite
	}
	if config.MaxBackoff == 0 {
		config.InitialBackoff, config.MaxBackoff = time.Millisecond, time.Millisecond
	}
	j, err := NewFrom(config, store, func(cfg source.Config, _ *Stats) (Source, error) {
		m := &memory{config: cfg, rows: map[string][]string{}, reads: map[string]int{}}
		for _, k := range cfg.Keys {
			typ := keyTypes[cfg.Name]
			if typ == "" {
				typ = "VARCHAR"
			}
			m.columns = append(m.columns, source.ResultColumn{Name: k, Type: typ})
		}
		for _, c := range cfg.Columns {
			m.columns = append(m.columns, source.ResultColumn{Name: c.Name, Type: "VARCHAR"})
		}
		sources[cfg.Name] = m
		return m, nil
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		j.Close()
		store.Close()
	})
	return j, sources
}

func events(docs ...string) []Event {
	out := make([]Event, len(docs))
	for i, d := range docs {
		out[i].Doc = []byte(d)
	}
	return out
}

// joined joins documents and returns what they became; a failed one is "error: …", a dropped one "dropped".
func joined(t testing.TB, j *Joiner, docs ...string) []string {
	t.Helper()
	texts, err := tryJoin(t.Context(), j, docs...)
	require.NoError(t, err)
	return texts
}

// inBackground is joined for a batch that is expected to wait.
func inBackground(t testing.TB, j *Joiner, docs ...string) chan []string {
	t.Helper()
	done := make(chan []string, 1)
	go func() {
		texts, err := tryJoin(t.Context(), j, docs...)
		if err != nil {
			t.Error(err)
		}
		done <- texts
	}()
	return done
}

func tryJoin(ctx context.Context, j *Joiner, docs ...string) ([]string, error) {
	evs := events(docs...)
	arrays, err := j.Join(ctx, evs)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(evs))
	for i := range evs {
		switch {
		case evs[i].Err != nil:
			texts[i] = "error: " + evs[i].Err.Error()
		case evs[i].Drop:
			texts[i] = "dropped"
		default:
			texts[i] = string(arrays[0][evs[i].Start:evs[i].End])
		}
	}
	return texts, nil
}

func quoted(n int) string { return strconv.Quote(strings.Repeat("v", 5) + strconv.Itoa(n)) }
