package dimensionjoin

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/redpanda-data/benthos/v4/public/bloblang"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/delivery"
	"github.com/benthos-clickhouse/connect/internal/benthoslog"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/lookup"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

func init() {
	service.MustRegisterBatchProcessor(Name, Spec(), New)
}

// processor is dimension_join.
type processor struct {
	joiner      *lookup.Joiner
	connections *connections
	db          *sql.DB
	store       *cache.Store
	mappings    []*bloblang.Executor
	metrics     *exporter
	watcher     *watcher   // nil when the binlog is not followed
	inspector   *inspector // nil without an inspect_address
	scratch     sync.Pool  // of *scratch
	closed      atomic.Bool
}

// scratch is what one batch needs, reused.
type scratch struct {
	events  []lookup.Event
	origins []origin
	arrays  int // begun by the events
}

func (s *scratch) add(ev lookup.Event) {
	if ev.First {
		s.arrays++
	}
	s.events = append(s.events, ev)
}

// addSingle adds an event that is a message of its own. Those in a row share an array, since one for each would be an allocation for each.
func (s *scratch) addSingle(ev lookup.Event) {
	ev.First = len(s.events) == 0 || s.events[len(s.events)-1].Line
	s.add(ev)
}

// origin is what a message of the batch was.
type origin struct {
	first, count int // its events
	array        int // that their outcomes are in
	records      *delivery.Records
	structured   bool
}

// New makes the processor. It asks the server nothing yet: one that is down is waited for by the first batch.
func New(conf *service.ParsedConfig, res *service.Resources) (service.BatchProcessor, error) {
	s, err := parse(conf)
	if err != nil {
		return nil, err
	}
	open := newConnections()
	s.source.Dial = open.dial
	db, server, err := source.Open(s.source)
	if err != nil {
		return nil, err
	}
	p := &processor{connections: open, db: db, mappings: s.mappings}
	p.scratch.New = func() any { return &scratch{} }
	if s.cacheLabel != "" {
		p.store, err = cache.Shared(s.cacheLabel, s.cache)
	} else {
		p.store, err = cache.New(s.cache)
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("%s: %w", djFieldCache, err)
	}
	s.join.Session = source.Session(server)
	s.join.Logger = benthoslog.New(res.Logger())
	if p.joiner, err = lookup.New(s.join, db, p.store); err != nil {
		p.store.Close()
		db.Close()
		return nil, err
	}
	names := make([]string, len(s.join.Dimensions))
	for i := range names {
		names[i] = s.join.Dimensions[i].Source.Name
	}
	p.metrics = newExporter(res.Metrics(), p.joiner, names)
	if s.inspect != "" {
		if p.inspector, err = serveInspect(s.inspect, p.joiner, s.join.Logger); err != nil {
			p.joiner.Close()
			p.store.Close()
			db.Close()
			return nil, err
		}
	}
	go p.metrics.run() // ends with Close
	if s.binlog {
		p.watcher = watch(p.joiner, db, server, s.serverID, s.join.Logger)
	}
	return p, nil
}

// ProcessBatch joins the batch: one batch out, in the same order, and of the same length unless events were dropped. It does
// not return an error while ctx lives: Benthos would let the batch go on, unjoined, to the output.
func (p *processor) ProcessBatch(ctx context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	s := p.scratch.Get().(*scratch)
	defer p.release(s)
	p.read(s, batch)
	arrays, err := p.joiner.Join(ctx, s.events)
	if err != nil {
		return nil, err
	}
	joined := p.write(s, batch, arrays)
	p.metrics.export(false)
	if len(joined) == 0 {
		return nil, nil // every event was dropped: the batch is acknowledged
	}
	return []service.MessageBatch{joined}, nil
}

// release keeps the scratch for another batch, without what it refers to.
func (p *processor) release(s *scratch) {
	clear(s.events)
	clear(s.origins)
	s.events, s.origins, s.arrays = s.events[:0], s.origins[:0], 0
	p.scratch.Put(s)
}

// notObject stands for content that no row can be joined to.
var notObject = []byte("null")

// read takes the events out of the messages.
func (p *processor) read(s *scratch, batch service.MessageBatch) {
	for _, msg := range batch {
		o := origin{first: len(s.events), count: 1}
		if v, ok := msg.MetaGetMut(delivery.MetaRecords); ok {
			o.records, _ = v.(*delivery.Records)
		}
		switch {
		case o.records != nil:
			p.readRecords(s, msg, &o)
		case msg.HasStructured() && !msg.HasBytes():
			o.structured = true
			ev := lookup.Event{Doc: notObject, Computed: p.computed(msg)}
			if v, err := msg.AsStructuredMut(); err == nil {
				if object, ok := v.(map[string]any); ok {
					ev.Object = object
				}
			}
			s.addSingle(ev)
		default:
			doc, _ := msg.AsBytes()
			s.addSingle(lookup.Event{Doc: doc, Computed: p.computed(msg)})
		}
		o.array = s.arrays - 1
		s.origins = append(s.origins, o)
	}
}

func (p *processor) readRecords(s *scratch, msg *service.Message, o *origin) {
	content, _ := msg.AsBytes()
	if err := o.records.Check(content); err != nil {
		// The bytes are somebody else's now: the message is left as it is, and the error says who has to change what.
		s.addSingle(lookup.Event{Doc: notObject})
		o.records = nil
		msg.SetError(fmt.Errorf("joining dimensions: %w", err))
		return
	}
	o.count = o.records.Len()
	for i := range o.count {
		ev := lookup.Event{Doc: o.records.Value(content, i), Line: true, First: i == 0}
		if len(p.mappings) > 0 {
			record := msg.Copy() // for the mappings that read metadata
			record.SetBytes(ev.Doc)
			ev.Computed = p.computed(record)
		}
		s.add(ev)
	}
}

// computed evaluates the key expressions that are not paths, on the message's structure.
func (p *processor) computed(msg *service.Message) func(int) (any, error) {
	if len(p.mappings) == 0 {
		return nil
	}
	return func(ref int) (any, error) {
		// A copy, so that parsing for the key leaves the message in the form it has.
		result, err := msg.Copy().BloblangQuery(p.mappings[ref])
		if err != nil || result == nil {
			return nil, err
		}
		v, err := result.AsStructured()
		if err != nil {
			return nil, err
		}
		object, _ := v.(map[string]any)
		return object[mappedValue], nil
	}
}

// write puts the joined events into the messages.
func (p *processor) write(s *scratch, batch service.MessageBatch, arrays [][]byte) service.MessageBatch {
	joined := make(service.MessageBatch, 0, len(batch))
	for i, msg := range batch {
		o := &s.origins[i]
		if o.records != nil {
			if o.count == 0 || writeRecords(msg, o.records, s.events[o.first:o.first+o.count], arrays[o.array]) {
				joined = append(joined, msg)
			}
			continue
		}
		ev := &s.events[o.first]
		switch {
		case ev.Drop:
			continue
		case ev.Err != nil:
			if msg.GetError() == nil {
				msg.SetError(ev.Err)
			}
		case o.structured:
			msg.SetStructuredMut(ev.Object)
		default:
			msg.SetBytes(arrays[o.array][ev.Start:ev.End:ev.End])
		}
		joined = append(joined, msg)
	}
	return joined
}
