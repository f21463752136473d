package insert

import (
	"context"
	"slices"
)

// A record whose rows go to several shards must not get half of them in, so a row of it that its shard would refuse has to be known
// before any shard has taken another one: these rows, which are few, are tried on temporary tables first.

// trySplit rejects the records with rows in several blocks of which a server refuses one, and takes their other rows out of the cut.
func (w *Writer) trySplit(ctx context.Context, j *job, c *cut) error {
	var found []Rejection
	for _, parts := range c.byShard {
		for _, p := range parts {
			if len(p.split) == 0 || j.has(p.name) {
				continue
			}
			s := &shipment{w: w, j: j, t: c.target, part: p}
			refused, err := s.tryRecords(ctx, p.splitRecords())
			if err != nil {
				return err
			}
			found = append(found, refused...)
		}
	}
	if len(found) == 0 {
		return nil
	}
	if !w.opts.KeepRejected {
		return &RejectedError{First: found[0], Count: len(found)}
	}
	bad := make(map[int32]bool, len(found))
	for _, r := range found {
		bad[int32(r.Index)] = true
		j.reject(r)
	}
	return c.without(j, bad)
}

// splitRecords lists the part's records that have rows in other parts too.
func (p *part) splitRecords() []int32 {
	records := make([]int32, 0, len(p.split))
	for _, s := range p.split {
		records = append(records, s.record)
	}
	return slices.Compact(records)
}

// tryRecords asks the part's shard which of its rows of some records it would refuse. Where it cannot be asked, for want of a privilege or
// because blocks for it would go to disk anyway, none is.
func (s *shipment) tryRecords(ctx context.Context, records []int32) ([]Rejection, error) {
	var found []Rejection
	for _, engine := range s.scratchEngines() {
		refused, err := s.tryOn(ctx, engine, records)
		if err != nil {
			return nil, err
		}
		found = append(found, refused...)
		for _, r := range refused {
			records = slices.DeleteFunc(records, func(i int32) bool { return int(i) == r.Index })
		}
	}
	return found, nil
}

// tryOn tries the records on a temporary table of one engine, again and again while the shard does not answer.
func (s *shipment) tryOn(ctx context.Context, engine string, records []int32) ([]Rejection, error) {
	for {
		f := &search{s: s, engine: engine}
		err := f.run(ctx, records)
		if err == nil {
			return f.found, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.attempts++
		hopeless := diagnose(err).action == Stop
		if hopeless || s.attempts >= s.w.opts.Retries.MaxAttempts {
			if !hopeless && s.w.opts.Spool == nil {
				return nil, s.failure(err)
			}
			s.w.log.Warn("rows of changes that move a row between shards cannot be tried before they are inserted", "shard", s.part.shard+1, "error", err)
			return nil, nil
		}
		if err := sleep(ctx, max(s.w.opts.Retries.backoff(s.attempts), retryAfter(err))); err != nil {
			return nil, err
		}
	}
}

// without makes the blocks that have rows of some records anew from the others, under the same names.
func (c *cut) without(j *job, bad map[int32]bool) error {
	for shard, parts := range c.byShard {
		kept := parts[:0]
		for _, p := range parts {
			rest := slices.DeleteFunc(slices.Clone(p.rows), func(i int32) bool { return bad[i] })
			if len(rest) == 0 {
				continue
			}
			if len(rest) < len(p.rows) {
				var err error
				if p, err = j.rebuild(c.target, p, rest, p.name); err != nil {
					return err
				}
			}
			kept = append(kept, p)
		}
		c.byShard[shard] = kept
	}
	return nil
}
