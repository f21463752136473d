package insert

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/cespare/xxhash/v2"
)

// A spooled block of which some rows are in the table is sent as it is, and the server leaves these rows out: the block's columns are
// bytes here, of types that only the server has to understand. Of the offsets alone the values are read.

// findOffsets reads where the block's rows come from; nil where the table does not keep that in a column of integers.
func (r *replay) findOffsets() ([]int64, error) {
	if r.h.Range == nil || r.h.Range.Columns == nil {
		return nil, nil
	}
	for _, c := range r.input {
		if c.Name == r.h.Range.Columns.Offset {
			return integers(c.Data)
		}
	}
	return nil, nil
}

// integers reads a column that is still in wire form.
func integers(column proto.ColInput) ([]int64, error) {
	var b proto.Buffer
	column.EncodeColumn(&b)
	wire := proto.NewReader(bytes.NewReader(b.Buf))
	rows := column.Rows()
	switch column.Type() {
	case proto.ColumnTypeInt64:
		return decodeIntegers(wire, rows, new(proto.ColInt64))
	case proto.ColumnTypeUInt64:
		return decodeIntegers(wire, rows, new(proto.ColUInt64))
	case proto.ColumnTypeInt32:
		return decodeIntegers(wire, rows, new(proto.ColInt32))
	case proto.ColumnTypeUInt32:
		return decodeIntegers(wire, rows, new(proto.ColUInt32))
	}
	return nil, nil
}

func decodeIntegers[T ~int32 | ~uint32 | ~int64 | ~uint64](wire *proto.Reader, rows int, column proto.ColumnOf[T]) ([]int64, error) {
	if err := column.DecodeColumn(wire, rows); err != nil {
		return nil, fmt.Errorf("the offsets of its rows cannot be read: %w", err)
	}
	out := make([]int64, rows)
	for i := range out {
		out[i] = int64(column.Row(i))
	}
	return out, nil
}

// restName is another name than the block's, and the same one for the same rows.
func restName(name string, offsets []int64) string {
	var b []byte
	for _, o := range offsets {
		b = binary.LittleEndian.AppendUint64(b, uint64(o))
	}
	return name + "/missing-" + strconv.FormatUint(xxhash.Sum64(b), 16)
}

// restOf is an INSERT that takes, of the block that is sent with it, the rows of these offsets.
func (r *replay) restOf(offsets []int64) string {
	names, structure := make([]string, len(r.input)), make([]string, len(r.input))
	for i, c := range r.input {
		names[i] = quoteName(c.Name)
		structure[i] = names[i] + " " + string(c.Data.Type())
	}
	wanted := make([]string, len(offsets))
	for i, o := range offsets {
		wanted[i] = strconv.FormatInt(o, 10)
	}
	columns := strings.Join(names, ", ")
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM input(%s) WHERE toInt64(%s) IN (%s) FORMAT Native",
		r.layout.Target(r.h.Shard), columns, columns, quoteText(strings.Join(structure, ", ")),
		quoteName(r.h.Range.Columns.Offset), strings.Join(wanted, ", "))
}
