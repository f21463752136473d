package spool

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
)

// A file is
//
//	magic | header length, 4 bytes | header, JSON | CRC-32C of the header, 4 bytes | ZSTD frame
//
// with integers in little endian. The frame holds one block in ClickHouse's Native format as files have it (without block
// info and without the serialization byte), so that `zstd -d` and `clickhouse local` can read it where this program is not at hand.
const (
	magic     = "CHSPOOL1"
	maxHeader = 1 << 24
)

var errCutOff = errors.New("it does not hold as many bytes of rows as its header says")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header says what a spooled block is and how it has to be sent.
type Header struct {
	Database string `json:"database"`
	Table    string `json:"table"` // the local table
	Shard    int    `json:"shard"` // index from 0, in the layout; users are shown shard_num, which counts from 1
	Layout   []byte `json:"layout"`
	// Cluster is its name in system.clusters; Shards are the replicas of each shard, where there was no such name.
	Cluster  string     `json:"cluster,omitempty"`
	Shards   [][]string `json:"shards,omitempty"`
	Name     string     `json:"name"`              // the block's name: insert_deduplication_token
	Replica  string     `json:"replica,omitempty"` // host:port of the only one that may have it; otherwise any replica of the shard
	Each     bool       `json:"each,omitempty"`    // every replica of the shard gets the rows for itself, and this file is for Replica
	Written  time.Time  `json:"written"`           // when the block was first sent, or was spooled when it never was
	Sent     bool       `json:"sent"`              // the block was sent, and may have landed
	Range    *Range     `json:"range,omitempty"`   // nil under at-least-once
	Reason   string     `json:"reason"`
	Rows     int        `json:"rows"`
	Columns  []Column   `json:"columns"`
	Size     int64      `json:"size"`     // bytes of the frame
	Checksum uint64     `json:"checksum"` // xxHash64 of the frame
}

// Range says which records of Kafka a block under exactly-once is made of.
type Range struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"`
	To        int64  `json:"to"`
	Base      string `json:"base"` // what the names of all blocks of the range begin with
	// Columns keep the topic, the partition and the offset that each row comes from; nil where the table has none.
	Columns *Provenance `json:"columns,omitempty"`
	// Repeatable rows change nothing when they come again.
	Repeatable bool `json:"repeatable,omitempty"`
	// Committed is set once Kafka holds that the range is done. Before that its next owner may send the block as well.
	Committed bool `json:"committed"`
}

// Provenance names the columns of a table that tell where in Kafka a row comes from.
type Provenance struct {
	Topic     string `json:"topic"`
	Partition string `json:"partition"`
	Offset    string `json:"offset"`
}

// MayHaveLanded tells whether the block's rows may be in the table already: it was sent, or somebody else may have sent it since.
func (h *Header) MayHaveLanded() bool { return h.Sent || h.Range != nil && !h.Range.Committed }

// Column is one column of a spooled block.
type Column struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Bytes int    `json:"bytes"` // of its data within the decompressed block
}

// encode writes the block's columns in Native format and completes the header with what it takes to read them back.
func encode(h Header, input proto.Input) ([]byte, error) {
	block, err := native(&h, input)
	if err != nil {
		return nil, err
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("preparing compression: %w", err)
	}
	frame := enc.EncodeAll(block, nil)
	h.Size, h.Checksum = int64(len(frame)), xxhash.Sum64(frame)
	header, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encoding header: %w", err)
	}
	out := make([]byte, 0, len(magic)+8+len(header)+len(frame))
	out = append(out, magic...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(header)))
	out = append(out, header...)
	out = binary.LittleEndian.AppendUint32(out, crc32.Checksum(header, castagnoli))
	return append(out, frame...), nil
}

func native(h *Header, input proto.Input) ([]byte, error) {
	var b proto.Buffer
	b.PutInt(len(input))
	b.PutInt(h.Rows)
	h.Columns = make([]Column, 0, len(input))
	for _, col := range input {
		if n := col.Data.Rows(); n != h.Rows {
			return nil, fmt.Errorf("column %q has %d rows, the block %d", col.Name, n, h.Rows)
		}
		b.PutString(col.Name)
		b.PutString(string(col.Data.Type()))
		if v, ok := col.Data.(proto.Preparable); ok {
			if err := v.Prepare(); err != nil {
				return nil, fmt.Errorf("preparing column %q: %w", col.Name, err)
			}
		}
		start := len(b.Buf)
		if v, ok := col.Data.(proto.StateEncoder); ok {
			v.EncodeState(&b)
		}
		col.Data.EncodeColumn(&b)
		h.Columns = append(h.Columns, Column{Name: col.Name, Type: string(col.Data.Type()), Bytes: len(b.Buf) - start})
	}
	return b.Buf, nil
}

// readHead reads a file up to the end of its header, or what there is of it.
func readHead(f io.Reader) ([]byte, error) {
	head, err := io.ReadAll(io.LimitReader(f, int64(len(magic)+4)))
	if err != nil || len(head) < len(magic)+4 {
		return head, err
	}
	n := min(binary.LittleEndian.Uint32(head[len(magic):]), maxHeader)
	rest, err := io.ReadAll(io.LimitReader(f, int64(n)+4))
	return append(head, rest...), err
}

// decodeHeader reads the header and returns what follows it. The error text says what is wrong with the bytes.
func decodeHeader(data []byte) (h Header, frame []byte, err error) {
	if !bytes.HasPrefix(data, []byte(magic)) {
		return h, nil, fmt.Errorf("it does not begin with %q", magic)
	}
	data = data[len(magic):]
	if len(data) < 4 {
		return h, nil, fmt.Errorf("it ends before its header")
	}
	n := binary.LittleEndian.Uint32(data)
	data = data[4:]
	if n > maxHeader || int64(len(data)) < int64(n)+4 {
		return h, nil, fmt.Errorf("it ends within its header")
	}
	header, data := data[:n], data[n:]
	if crc32.Checksum(header, castagnoli) != binary.LittleEndian.Uint32(data) {
		return h, nil, fmt.Errorf("its header does not fit its checksum")
	}
	if err := json.Unmarshal(header, &h); err != nil {
		return h, nil, fmt.Errorf("its header is not readable: %w", err)
	}
	return h, data[4:], nil
}

// decode takes a whole file apart.
func decode(data []byte) (Header, proto.Input, error) {
	h, frame, err := decodeHeader(data)
	if err != nil {
		return h, nil, err
	}
	if int64(len(frame)) != h.Size {
		return h, nil, errCutOff
	}
	if xxhash.Sum64(frame) != h.Checksum {
		return h, nil, fmt.Errorf("its rows do not fit their checksum")
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return h, nil, fmt.Errorf("preparing decompression: %w", err)
	}
	defer dec.Close()
	block, err := dec.DecodeAll(frame, nil)
	if err != nil {
		return h, nil, fmt.Errorf("its rows do not decompress: %w", err)
	}
	input, err := split(h, block)
	return h, input, err
}

// split finds each column's bytes in a Native block.
func split(h Header, block []byte) (proto.Input, error) {
	r := bytes.NewReader(block)
	columns, err := binary.ReadUvarint(r)
	if err != nil || columns != uint64(len(h.Columns)) {
		return nil, fmt.Errorf("its block has %d columns, its header %d", columns, len(h.Columns))
	}
	rows, err := binary.ReadUvarint(r)
	if err != nil || rows != uint64(h.Rows) {
		return nil, fmt.Errorf("its block has %d rows, its header %d", rows, h.Rows)
	}
	input := make(proto.Input, 0, len(h.Columns))
	for _, c := range h.Columns {
		prefix := appendString(appendString(nil, c.Name), c.Type)
		at := len(block) - r.Len()
		end := at + len(prefix) + c.Bytes
		if c.Bytes < 0 || end > len(block) || !bytes.Equal(block[at:at+len(prefix)], prefix) {
			return nil, fmt.Errorf("column %q is not where its header says", c.Name)
		}
		input = append(input, proto.InputColumn{Name: c.Name, Data: rawColumn{c.Type, h.Rows, block[at+len(prefix) : end]}})
		if _, err := r.Seek(int64(end), 0); err != nil {
			return nil, fmt.Errorf("skipping column %q: %w", c.Name, err)
		}
	}
	return input, nil
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// rawColumn is a column in wire form, state prefix included.
type rawColumn struct {
	typ  string
	rows int
	data []byte
}

func (c rawColumn) Type() proto.ColumnType       { return proto.ColumnType(c.typ) }
func (c rawColumn) Rows() int                    { return c.rows }
func (c rawColumn) EncodeColumn(b *proto.Buffer) { b.Buf = append(b.Buf, c.data...) }
func (c rawColumn) WriteColumn(w *proto.Writer)  { w.ChainWrite(c.data) }
