package insert

import (
	"strconv"

	"github.com/google/uuid"
)

// naming makes the blocks' names. Two blocks have the same name exactly when the second is a repetition of the first.
//
// Under exactly-once the base is the range, so that the name is the same after any crash; there is one block per range, table,
// shard and set of omitted columns. Under at-least-once the base is drawn for the batch, and a cut that is made again after
// the columns changed, or one part of several, takes another name.
type naming struct {
	base  string
	exact bool
	again uint64 // not 0 for what is left of a range whose other rows were found in the tables
}

func freshNaming(table string) naming {
	return naming{base: uuid.NewString() + "/" + table}
}

func rangeNaming(rangeName, table string) naming {
	return naming{base: rangeName + "/" + table, exact: true}
}

// block names one block: shard counts from 0, generation and part are those of the cut.
func (n naming) block(shard int, omitted uint64, generation, part int) string {
	b := make([]byte, 0, len(n.base)+32)
	b = append(b, n.base...)
	b = append(b, '/')
	b = strconv.AppendInt(b, int64(shard)+1, 10)
	if omitted != 0 {
		b = append(b, "/without-"...)
		b = strconv.AppendUint(b, omitted, 16)
	}
	if n.again != 0 {
		b = append(b, "/rest-"...)
		b = strconv.AppendUint(b, n.again, 16)
	}
	if n.exact {
		return string(b)
	}
	b = append(b, "/cut-"...)
	b = strconv.AppendInt(b, int64(generation), 10)
	b = append(b, "/part-"...)
	return string(strconv.AppendInt(b, int64(part), 10))
}
