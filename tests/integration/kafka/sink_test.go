package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/rpc"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/delivery"
)

func init() {
	spec := service.NewConfigSpec().Fields(
		service.NewStringField("warehouse"),
		service.NewIntField("seed").Default(1),
		service.NewFloatField("crash").Description("Chance to exit the process, at each step.").Default(0.0),
		service.NewStringField("crash_at").Description("Step to exit the process at, the first time it is reached.").Default(""),
		service.NewStringField("without").Description("Part of the protocol to leave out: intent, pin or names.").Default(""),
		service.NewIntField("pad").Description("Bytes to add to the layout.").Default(0),
		service.NewFloatField("fail").Description("Chance to fail after everything was inserted.").Default(0.0),
		service.NewBoolField("lease").Description("Whether the sink takes part in the protocol.").Default(true),
		service.NewDurationField("delay").Default("0s"),
	)
	err := service.RegisterBatchOutput("recording_sink", spec, func(conf *service.ParsedConfig, _ *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
		s := &sink{}
		s.warehouse, _ = conf.FieldString("warehouse")
		seed, _ := conf.FieldInt("seed")
		s.rng = rand.New(rand.NewPCG(uint64(seed), 2))
		s.crash, _ = conf.FieldFloat("crash")
		s.crashAt, _ = conf.FieldString("crash_at")
		s.without, _ = conf.FieldString("without")
		s.pad, _ = conf.FieldInt("pad")
		s.fail, _ = conf.FieldFloat("fail")
		s.lease, _ = conf.FieldBool("lease")
		s.delay, _ = conf.FieldDuration("delay")
		return s, service.BatchPolicy{}, 8, nil
	})
	if err != nil {
		panic(err)
	}
}

// sink speaks the output's half of the protocol to a warehouse: claim, prepare, insert a block per shard, release.
type sink struct {
	warehouse   string
	crash, fail float64
	crashAt     string
	without     string
	pad         int
	lease       bool
	delay       time.Duration

	client *rpc.Client
	mu     sync.Mutex
	rng    *rand.Rand
}

func (s *sink) Connect(context.Context) (err error) {
	s.client, err = rpc.Dial("tcp", s.warehouse)
	return err
}

func (s *sink) Close(context.Context) error { return nil }

func (s *sink) chance(p float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.Float64() < p
}

// step is a place where the process may die.
func (s *sink) step(name string) {
	if name == s.crashAt || s.chance(s.crash) {
		os.Exit(137)
	}
}

func (s *sink) WriteBatch(ctx context.Context, batch service.MessageBatch) (err error) {
	if !s.lease {
		return s.insertUnnamed(batch)
	}
	lease := delivery.FromContext(batch[0].Context())
	if lease == nil {
		return errors.New("message carries no lease")
	}
	for _, m := range batch {
		if delivery.FromContext(m.Context()).Range() != lease.Range() {
			return errors.New("batch mixes ranges")
		}
	}
	release, err := lease.Claim("db.t")
	if err != nil {
		return err
	}
	defer func() { release(err) }()
	return s.write(ctx, lease, batch)
}

func (s *sink) write(ctx context.Context, lease delivery.Lease, batch service.MessageBatch) error {
	var shards int
	if err := s.client.Call("Warehouse.Layout", 0, &shards); err != nil {
		return err
	}
	pinned, ok := lease.Pinned("db.t")
	if ok && s.without != "pin" {
		_, _ = fmt.Sscanf(string(pinned.Layout), "%d", &shards)
	}
	rows, err := rowsOf(batch)
	if err != nil {
		return err
	}
	layout := strconv.Itoa(shards) + strings.Repeat(" ", s.pad)
	wanted := delivery.Intent{Layout: []byte(layout), Digest: digest(rows, shards)}
	if ok && pinned.Digest != wanted.Digest && s.without == "" {
		return fmt.Errorf("range %v has another content than when it was prepared", lease.Range())
	}
	s.step("claimed")
	if s.without != "intent" {
		prepared, err := lease.Prepare(ctx, "db.t", wanted)
		if err != nil {
			return err
		}
		if string(prepared.Layout) != layout && s.without == "" {
			return fmt.Errorf("range %v was pinned to another layout meanwhile", lease.Range())
		}
	}
	s.step("prepared")
	time.Sleep(s.delay)
	for shard := range shards {
		if err := s.insert(lease, rows, shard, shards); err != nil {
			return err
		}
		s.step("inserted " + strconv.Itoa(shard))
	}
	s.step("written")
	if s.chance(s.fail) {
		return errors.New("failing after everything has landed")
	}
	lease.OnCommitted(func() {
		_ = s.client.Call("Warehouse.Committed", lease.Range().Name(), new(bool))
	})
	return nil
}

func (s *sink) insert(lease delivery.Lease, rows []string, shard, shards int) error {
	if err := lease.Alive(); err != nil {
		return err
	}
	b := Block{
		Shard: shard, Range: lease.Range().Name(), Layout: strconv.Itoa(shards),
		Name: lease.Range().Name() + "/db.t/" + strconv.Itoa(shard),
	}
	if s.without == "names" {
		b.Name = strconv.FormatInt(rand.Int64(), 10)
	}
	for i, r := range rows {
		if i%shards == shard {
			b.Rows = append(b.Rows, r)
		}
	}
	return s.client.Call("Warehouse.Insert", b, new(bool))
}

func (s *sink) insertUnnamed(batch service.MessageBatch) error {
	rows, err := rowsOf(batch)
	if err != nil {
		return err
	}
	s.step("unnamed")
	return s.client.Call("Warehouse.Insert", Block{Name: strconv.FormatInt(rand.Int64(), 10), Rows: rows}, new(bool))
}

// rowsOf names every record by where it stood, and checks that its value is the one produced there.
func rowsOf(batch service.MessageBatch) (rows []string, err error) {
	for _, m := range batch {
		content, err := m.AsBytes()
		if err != nil {
			return nil, err
		}
		if v, ok := m.MetaGetMut(delivery.MetaRecords); ok {
			rs := v.(*delivery.Records)
			if err := rs.Check(content); err != nil {
				return nil, err
			}
			for i := range rs.Len() {
				rows = append(rows, row(rs.Topic, int(rs.Partition), int(rs.Offsets[i]), rs.Value(content, i)))
			}
			continue
		}
		topic, _ := m.MetaGetMut("kafka_topic")
		partition, _ := m.MetaGetMut("kafka_partition")
		offset, _ := m.MetaGetMut("kafka_offset")
		rows = append(rows, row(topic.(string), partition.(int), offset.(int), content))
	}
	return rows, nil
}

func row(topic string, partition, offset int, value []byte) string {
	return fmt.Sprintf("%s/%d/%d=%s", topic, partition, offset, value)
}

func digest(rows []string, shards int) uint64 {
	h := fnv.New64a()
	for i, r := range rows {
		_, _ = fmt.Fprintf(h, "%s→%d;", r, i%shards)
	}
	return h.Sum64()
}
