package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/tests/clickstream"
	"github.com/benthos-clickhouse/connect/tests/instructions"
)

// Stage is a part of the work done alone, or a baseline that does all of it in another way.
type Stage struct {
	Name      string  `json:"name"`
	Rows      int     `json:"rows"`
	CPUMicros float64 `json:"cpu_us_per_row"`
	Note      string  `json:"note"`
}

// stageRows is how many rows a stage works on at once: a block.
const stageRows = 100_000

// stageWork is how many rows a stage does at least: enough for a CPU time in steps of some milliseconds.
const stageWork = 10 * stageRows

// StageNames in the order of a row's way. Each runs in a process of its own, so that its CPU time is its own.
var StageNames = []string{"fetch", "join", "decode", "encode+compress", "send"}

// BaselineNames are other ways to the same table, without a broker or a join.
var BaselineNames = []string{"clickhouse-go rows from AsStructured", "JSONEachRow over HTTP"}

// ServeStage does one stage or baseline and prints its Stage as JSON; it is what a stage's process runs.
func ServeStage(ctx context.Context, args []string) error {
	if len(args) != 6 {
		return errors.New("stage: want NAME KAFKA TOPIC CLICKHOUSE_NATIVE CLICKHOUSE_HTTP SINK")
	}
	name, kafka, topic, native, httpAddr, sink := args[0], args[1], args[2], args[3], args[4], args[5]
	work := map[string]func() (*Stage, error){
		"fetch":           func() (*Stage, error) { return fetch(ctx, kafka, topic) },
		"join":            join,
		"decode":          decode,
		"encode+compress": encode,
		"send":            func() (*Stage, error) { return send(sink) },
		BaselineNames[0]:  func() (*Stage, error) { return rowBatches(ctx, native) },
		BaselineNames[1]:  func() (*Stage, error) { return jsonEachRow(ctx, httpAddr) },

		references[0].name: encodingJSON,
		references[1].name: asStructured,
	}[name]
	if work == nil {
		return fmt.Errorf("stage: there is no %q", name)
	}
	s, err := work()
	if err != nil {
		return fmt.Errorf("stage %s: %w", name, err)
	}
	s.Name = name
	return json.NewEncoder(os.Stdout).Encode(s)
}

// stage runs one stage in a process of its own.
func (b *Bench) stage(ctx context.Context, name string) (*Stage, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	sink, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer sink.Close()
	go discard(sink)
	node := b.cluster.Servers[0]
	cmd := exec.CommandContext(ctx, self, "stage", name, b.kafka, base().topic(), node.Addr(), node.HTTPAddr(), sink.Addr().String())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("stage %s: %w", name, err)
	}
	var s Stage
	return &s, json.Unmarshal(out, &s)
}

// discard reads what is sent to the listener until that is closed.
func discard(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(io.Discard, c)
		}()
	}
}

// measure runs work, which returns the rows it did, often enough to be measurable, and gives the CPU time per row.
func measure(note string, work func() (int, error)) (*Stage, error) {
	return measureRows(stageWork, note, work)
}

func measureRows(least int, note string, work func() (int, error)) (*Stage, error) {
	if _, err := work(); err != nil { // warms caches and buffers
		return nil, err
	}
	start, rows := cpuTime(), 0
	for rows < least {
		n, err := work()
		if err != nil {
			return nil, err
		}
		rows += n
	}
	return &Stage{Rows: rows, CPUMicros: (cpuTime() - start).Seconds() * 1e6 / float64(rows), Note: note}, nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // cannot fail for this process
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func events() [][]byte {
	g := clickstream.New(clickstream.Options{Seed: 1, Malformed: -1})
	out := make([][]byte, stageRows)
	for i := range out {
		out[i], _ = g.Next(nil)
	}
	return out
}

func fetch(ctx context.Context, kafka, topic string) (*Stage, error) {
	total, err := records(ctx, kafka, topic)
	if err != nil {
		return nil, err
	}
	return measure("franz-go, LZ4, nothing done with the records", func() (int, error) {
		client, err := kgo.NewClient(kgo.SeedBrokers(kafka), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			return 0, err
		}
		defer client.Close()
		for rows := 0; ; {
			fetches := client.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				return 0, err
			}
			if rows += fetches.NumRecords(); rows >= total {
				return rows, nil
			}
		}
	})
}

// records is how many a topic holds.
func records(ctx context.Context, kafka, topic string) (int, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	n := 0
	ends.Each(func(o kadm.ListedOffset) { n += int(o.Offset) })
	return n, ends.Error()
}

// plan is that of the standard columns; the joined ones are missing from the events and take their defaults.
func plan() (*column.Plan, error) {
	var fields []column.Field
	for _, c := range splitColumns(standardColumns) {
		name, typ, _ := strings.Cut(c, " ")
		fields = append(fields, column.Field{Column: name, Type: typ})
	}
	return column.NewPlan(fields, column.Options{})
}

// splitColumns splits at the commas that stand outside of parentheses.
func splitColumns(s string) (out []string) {
	depth, start := 0, 0
	for i, r := range s {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			out = append(out, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[start:]))
}

func appendAll(r *column.Reader, block *column.Block, docs [][]byte) error {
	block.Reset()
	for _, doc := range docs {
		if err := r.ReadJSON(doc); err != nil {
			return err
		}
		if err := block.Append(r); err != nil {
			return err
		}
	}
	return nil
}

func decode() (*Stage, error) {
	p, err := plan()
	if err != nil {
		return nil, err
	}
	docs, r, block := events(), p.NewReader(), p.NewBlock(0)
	return measure("raw JSON to columns, one block", func() (int, error) {
		return len(docs), appendAll(r, block, docs)
	})
}

func join() (*Stage, error) {
	pass, err := instructions.Prepare("join")
	if err != nil {
		return nil, err
	}
	return measure("three dimensions, every key cached, spliced into the raw JSON", func() (int, error) {
		return instructions.Rows, pass()
	})
}

func filledBlock() (*column.Block, error) {
	p, err := plan()
	if err != nil {
		return nil, err
	}
	block := p.NewBlock(0)
	return block, appendAll(p.NewReader(), block, events())
}

func encode() (*Stage, error) {
	block, err := filledBlock()
	if err != nil {
		return nil, err
	}
	var buf proto.Buffer
	lz4 := compress.NewWriter(compress.LevelZero, compress.LZ4)
	return measure("columns to a Native block, LZ4", func() (int, error) {
		raw, err := encodeBlock(&buf, block)
		if err != nil {
			return 0, err
		}
		return block.Rows(), lz4.Compress(raw)
	})
}

func encodeBlock(buf *proto.Buffer, block *column.Block) ([]byte, error) {
	buf.Reset()
	b := proto.Block{Info: proto.BlockInfo{BucketNum: -1}, Columns: len(block.Input()), Rows: block.Rows()}
	err := b.EncodeBlock(buf, proto.Version, block.Input())
	return buf.Buf, err
}

func send(sink string) (*Stage, error) {
	block, err := filledBlock()
	if err != nil {
		return nil, err
	}
	var buf proto.Buffer
	raw, err := encodeBlock(&buf, block)
	if err != nil {
		return nil, err
	}
	lz4 := compress.NewWriter(compress.LevelZero, compress.LZ4)
	if err := lz4.Compress(raw); err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", sink)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return measure("the compressed block over loopback, the sender's end", func() (int, error) {
		_, err := conn.Write(lz4.Data)
		return block.Rows(), err
	})
}

// rowBatches is what a user would write with Benthos' structured messages and the database/sql-like driver.
func rowBatches(ctx context.Context, addr string) (*Stage, error) {
	conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{addr}, Compression: &clickhouse.Compression{Method: clickhouse.CompressionLZ4}})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS default.baseline ("+standardColumns+") ENGINE = Null"); err != nil {
		return nil, err
	}
	docs := events()
	return measure("AsStructured to map, Append per row, LZ4, Null engine", func() (int, error) {
		batch, err := conn.PrepareBatch(ctx, "INSERT INTO default.baseline")
		if err != nil {
			return 0, err
		}
		for _, doc := range docs {
			v, err := service.NewMessage(doc).AsStructured()
			if err != nil {
				return 0, err
			}
			if err := batch.Append(row(v.(map[string]any))...); err != nil {
				return 0, err
			}
		}
		return len(docs), batch.Send()
	})
}

func row(m map[string]any) []any {
	num := func(k string) int64 { n, _ := m[k].(json.Number).Int64(); return n }
	str := func(k string) string { return m[k].(string) }
	ts, _ := time.Parse(time.RFC3339Nano, str("ts"))
	id, _ := uuid.Parse(str("event_id"))
	var exps []string
	for _, e := range m["experiments"].([]any) {
		exps = append(exps, e.(string))
	}
	attrs := map[string]string{}
	for k, v := range m["attributes"].(map[string]any) {
		attrs[k] = v.(string)
	}
	return []any{
		id, ts, str("event_type"), uint64(num("user_id")), str("session_id"), str("device_id"), str("platform"), str("app_version"),
		str("url"), str("referrer"), str("sku"), uint32(num("geo_id")), str("channel_code"), m["price"].(json.Number).String(), uint16(num("quantity")),
		str("currency"), uint32(num("duration_ms")), m["is_new_user"].(bool), exps, attrs, net.ParseIP(str("ip")),
	}
}

// jsonEachRow lets ClickHouse parse: cheap for the client, but the server pays, on one node, and nothing is routed.
func jsonEachRow(ctx context.Context, addr string) (*Stage, error) {
	post := func(query string, body io.Reader) error {
		_, err := httpPost(ctx, addr, query, body)
		return err
	}
	if err := post("", strings.NewReader("CREATE TABLE IF NOT EXISTS default.baseline ("+standardColumns+") ENGINE = Null")); err != nil {
		return nil, err
	}
	docs := events()
	var body bytes.Buffer
	return measure("lines concatenated, uncompressed; the parsing is the server's", func() (int, error) {
		body.Reset()
		for _, doc := range docs {
			body.Write(doc)
			body.WriteByte('\n')
		}
		return len(docs), post("INSERT INTO default.baseline FORMAT JSONEachRow", bytes.NewReader(body.Bytes()))
	})
}

// httpQuery runs a query without a body.
func httpQuery(ctx context.Context, addr, query string) (string, error) {
	return httpPost(ctx, addr, "", strings.NewReader(query))
}

func httpPost(ctx context.Context, addr, query string, body io.Reader) (string, error) {
	target := "http://" + addr + "/?date_time_input_format=best_effort&query=" + url.QueryEscape(query)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, body)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.300s", res.Status, answer)
	}
	return string(answer), err
}
