package insert

import (
	"context"
	"slices"
)

// A record whose rows go to several shards must not get half of them in, so a row of it that its shard would refuse has to be known
// before any shard has taken another one: these rows, which are few, are tried on temporary tables first.

// trySplit rejects the records with rows in several blocks of which a server refuses one, and takes their other rows out of the cut.
func (w *Writer) trySplit(ctx context.Context, j *job, c *cut) error {
	if c.target.changes == nil {
		return nil
	}
	var found []Rejection
	bad := j.rejected() // a cut that is made again whole has them again, and blocks that have landed since are without them
	for _, parts := range c.byShard {
		for _, p := range parts {
			if len(p.split) == 0 || j.has(p.name) {
				continue
			}
			s := &shipment{w: w, j: j, t: c.target, part: p}
			records := p.splitRecords(bad)
			if len(records) == 0 {
				continue
			}
			refused, err := s.tryRecords(ctx, records)
			if err != nil {
				return err
			}
			found = append(found, refused...)
		}
	}
	if len(found) > 0 && !w.opts.KeepRejected {
		return &RejectedError{Records: found}
	}
	for _, r := range found {
		bad[int32(r.Index)] = true
		j.reject(r)
	}
	return c.without(j, bad)
}

// rejected are the records that have been found to be at fault.
func (j *job) rejected() map[int32]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	bad := make(map[int32]bool, len(j.result.Rejected))
	for _, r := range j.result.Rejected {
		bad[int32(r.Index)] = true
	}
	return bad
}

// splitRecords lists the part's records that have rows in other parts too, without the bad ones.
func (p *part) splitRecords(bad map[int32]bool) []int32 {
	records := make([]int32, 0, len(p.split))
	for _, s := range p.split {
		if !bad[s.record] {
			records = append(records, s.record)
		}
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
		if diagnose(err).action == RefreshSchema {
			return nil, &staleError{s.failure(err)}
		}
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
	if len(bad) == 0 {
		return nil
	}
	for shard, parts := range c.byShard {
		kept := parts[:0]
		for _, p := range parts {
			isBad := func(i int32) bool { return bad[i] }
			if !slices.ContainsFunc(p.rows, isBad) {
				kept = append(kept, p)
				continue
			}
			rest := slices.DeleteFunc(slices.Clone(p.rows), isBad)
			if len(rest) == 0 {
				continue
			}
			again, err := j.rebuild(c.target, p, rest, p.name)
			if err != nil {
				return err
			}
			kept = append(kept, again)
		}
		c.byShard[shard] = kept
	}
	return nil
}
