package lookup

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// Inspection is what is known of one key, in the cache and in the database now.
type Inspection struct {
	Dimension string     `json:"dimension"`
	Key       string     `json:"key"`
	Cache     CacheState `json:"cache"`
	Database  RowState   `json:"database"`
	Same      bool       `json:"same"` // the cache has what the database has
}

// CacheState is the cache's side of an Inspection.
type CacheState struct {
	State    string `json:"state"`
	Origin   string `json:"origin,omitempty"`
	Age      string `json:"age,omitempty"`
	FreshFor string `json:"fresh_for,omitempty"`
	RowState
}

// RowState is a row, or why there is none.
type RowState struct {
	Missing  bool         `json:"missing,omitempty"`
	Error    string       `json:"error,omitempty"`
	Versions []VersionRow `json:"rows,omitempty"`
}

// VersionRow is a row as it would be joined, and when it is valid; the interval is empty in a dimension without versions.
type VersionRow struct {
	From string          `json:"valid_from,omitempty"`
	To   string          `json:"valid_to,omitempty"`
	Row  json.RawMessage `json:"row"`
}

// Inspect looks a key up without joining anything and without any effect on the cache. key has the text of every key column.
func (j *Joiner) Inspect(ctx context.Context, dimension string, key map[string]string) (*Inspection, error) {
	p, err := j.plan(ctx)
	if err != nil {
		return nil, err
	}
	for i := range p.dims {
		if d := &p.dims[i]; d.Source.Name == dimension {
			return j.inspect(ctx, d, key)
		}
	}
	return nil, fmt.Errorf("there is no dimension %q", dimension)
}

func (j *Joiner) inspect(ctx context.Context, d *planDim, key map[string]string) (*Inspection, error) {
	fields := make([]source.Field, len(d.schema.Keys))
	for i, column := range d.Source.Keys {
		text, ok := key[column]
		if !ok {
			return nil, fmt.Errorf("dimension %q: its key column %q is needed; the key is %q", d.Source.Name, column, d.Source.Keys)
		}
		fields[i] = source.Field{Kind: jsonscan.String, Text: []byte(text)}
	}
	made, err := source.NewKeyer(d.Source.Name, d.schema.Keys).Key(fields)
	if err != nil {
		return nil, err
	}
	name := string(made)
	out := &Inspection{Dimension: d.Source.Name, Key: source.Describe(d.schema.Keys, name)}
	versioned := d.Source.AsOf != nil
	now := j.store.Now()
	entry, state := d.view.Peek(name, now)
	out.Cache.State = state.String()
	if entry != nil {
		versions := entry.Versions
		if !versioned && !entry.Missing && entry.Err == nil {
			versions = []source.Version{{Row: entry.Row}}
		}
		out.Cache.Origin = string(entry.Origin)
		out.Cache.Age = time.Duration(now - entry.LoadedAt).Round(time.Millisecond).String()
		out.Cache.FreshFor = time.Duration(max(entry.FreshUntil-now, 0)).Round(time.Millisecond).String()
		out.Cache.RowState = rowState(versions, entry.Err, versioned)
	}
	out.Database = d.now(ctx, name)
	was, _ := json.Marshal(out.Cache.RowState)
	is, _ := json.Marshal(out.Database)
	out.Same = entry != nil && string(was) == string(is)
	return out, nil
}

// now is what the database has for a key, or why it cannot be asked.
func (p *planDim) now(ctx context.Context, key string) RowState {
	results, err := p.source.Load(ctx, p.schema, []string{key})
	if err != nil {
		return RowState{Error: err.Error()}
	}
	return rowState(results[key].Versions, results[key].Err, p.Source.AsOf != nil)
}

func rowState(versions []source.Version, err error, versioned bool) RowState {
	s := RowState{Missing: err == nil && len(versions) == 0}
	if err != nil {
		s.Error = err.Error()
	}
	for i := range versions {
		v := VersionRow{Row: append(append([]byte{'{'}, versions[i].Row.Members...), '}')}
		if versioned {
			v.From, v.To = instant(versions[i].From), instant(versions[i].To)
		}
		s.Versions = append(s.Versions, v)
	}
	return s
}

func instant(t int64) string {
	switch t {
	case source.Beginning:
		return "ever"
	case source.Forever:
		return "for ever"
	default:
		return time.UnixMicro(t).UTC().Format(time.RFC3339Nano)
	}
}
