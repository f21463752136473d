package instructions

import (
	"context"
	"errors"
	"time"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/lookup"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// joinBatch is how many events are joined at once.
const joinBatch = 500

func join(docs [][]byte) (func() error, error) {
	now := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()}
	store, err := cache.New(cache.Options{MaxRows: 1 << 20, TTL: time.Hour, MissingTTL: time.Hour, Clock: now})
	if err != nil {
		return nil, err
	}
	config := lookup.Config{OnConflict: lookup.Overwrite, InitialBackoff: time.Millisecond, MaxBackoff: time.Millisecond}
	for _, d := range []struct {
		name, path string
		columns    []string
	}{
		{"product", "sku", []string{"name", "category", "brand"}},
		{"geo", "geo_id", []string{"country", "city"}},
		{"channel", "channel_code", []string{"name", "medium"}},
	} {
		dim, err := dimension(d.name, d.path, d.columns)
		if err != nil {
			return nil, err
		}
		config.Dimensions = append(config.Dimensions, dim)
	}
	joiner, err := lookup.NewFrom(config, store, func(cfg source.Config, _ *lookup.Stats) (lookup.Source, error) { return endless{cfg}, nil })
	if err != nil {
		return nil, err
	}
	batch := make([]lookup.Event, joinBatch)
	pass := func() error {
		for from := 0; from+joinBatch <= len(docs); from += joinBatch {
			for i := range batch {
				batch[i] = lookup.Event{Doc: docs[from+i]}
			}
			// Long enough for a joiner to forget the keys of the batch before, and to ask the cache.
			now.now += int64(time.Second)
			if _, err := joiner.Join(context.Background(), batch); err != nil {
				return err
			}
			for i := range batch {
				if err := batch[i].Err; err != nil {
					return err
				}
			}
		}
		return nil
	}
	return pass, pass() // every key is in the cache from here on
}

func dimension(name, path string, columns []string) (lookup.Dimension, error) {
	steps, err := jsonscan.ParsePath(path)
	d := lookup.Dimension{
		Source:    source.Config{Name: name, Table: name, Keys: []string{"k"}},
		Key:       []lookup.FieldRef{{Path: steps}},
		OnMissing: lookup.NullOnMissing,
	}
	for _, c := range columns {
		d.Source.Columns = append(d.Source.Columns, source.Column{Name: c, Member: name + "_" + c})
	}
	return d, err
}

// clock stands still unless it is moved, so that no run depends on how long it takes.
type clock struct{ now int64 }

// NowNano implements otter.Clock.
func (c *clock) NowNano() int64 { return c.now }

// Tick implements otter.Clock.
func (c *clock) Tick(time.Duration) <-chan time.Time { return nil }

// endless has a row for every key.
type endless struct{ config source.Config }

// Schema implements lookup.Source.
func (e endless) Schema(context.Context) (*source.Schema, error) {
	result := []source.ResultColumn{{Name: "k", Type: "VARCHAR"}}
	for _, c := range e.config.Columns {
		result = append(result, source.ResultColumn{Name: c.Name, Type: "VARCHAR"})
	}
	return source.NewSchema(e.config, result)
}

// Load implements lookup.Source.
func (e endless) Load(_ context.Context, schema *source.Schema, keys []string) (map[string]*source.Result, error) {
	out := make(map[string]*source.Result, len(keys))
	for _, k := range keys {
		literals := make([][]byte, len(e.config.Columns))
		for i, c := range e.config.Columns {
			literals[i] = jsonscan.AppendString(nil, c.Name+" of "+k)
		}
		out[k] = &source.Result{Versions: []source.Version{{From: source.Beginning, To: source.Forever, Row: schema.Shape.Restore(literals)}}}
	}
	return out, nil
}

var errEndless = errors.New("has no end")

// Scan implements lookup.Source.
func (endless) Scan(context.Context, *source.Schema, func(string, *source.Result) error) error {
	return errEndless
}

// Changes implements lookup.Source.
func (endless) Changes(context.Context, *source.Schema, string, string, func(string)) (string, error) {
	return "", errEndless
}
