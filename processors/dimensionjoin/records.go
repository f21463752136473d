package dimensionjoin

import (
	"maps"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/benthos-clickhouse/connect/delivery"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/lookup"
)

// writeRecords gives a message of several records its joined content, which is the text out, and the boundaries of it. Records
// that were dropped are taken out with their provenance. It reports whether any is left.
func writeRecords(msg *service.Message, r *delivery.Records, events []lookup.Event, out []byte) bool {
	dropped := 0
	for i := range events {
		if events[i].Drop {
			dropped++
		}
	}
	if dropped == len(events) {
		return false
	}
	errs := maps.Clone(r.Errors)
	ends := make([]int, 0, len(events)-dropped)
	for i := range events {
		ev := &events[i]
		if ev.Drop {
			continue
		}
		if ev.Err != nil && errs[i] == nil {
			if errs == nil {
				errs = map[int]error{}
			}
			errs[i] = ev.Err
		}
		ends = append(ends, ev.End)
	}
	rebuilt := r.Rebuilt(ends, errs)
	if dropped > 0 {
		rebuilt = without(r, events, ends, errs)
	}
	msg.SetBytes(out[:len(out):len(out)])
	msg.MetaSetMut(delivery.MetaRecords, rebuilt)
	return true
}

// without builds the boundaries of the records that are left, numbered anew.
func without(r *delivery.Records, events []lookup.Event, ends []int, errs map[int]error) *delivery.Records {
	left := &delivery.Records{Topic: r.Topic, Partition: r.Partition, Ends: ends}
	for i := range events {
		if events[i].Drop {
			continue
		}
		if err := errs[i]; err != nil {
			if left.Errors == nil {
				left.Errors = map[int]error{}
			}
			left.Errors[len(left.Offsets)] = err
		}
		left.Offsets = append(left.Offsets, r.Offsets[i])
		if r.Timestamps != nil {
			left.Timestamps = append(left.Timestamps, r.Timestamps[i])
		}
		if r.Keys != nil {
			left.Keys = append(left.Keys, r.Keys[i])
		}
	}
	return left
}
