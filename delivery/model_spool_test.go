package delivery

// commit notes in the file that its range is done, when the commit of its owner says so.
func (f *file) commit(c *consumer) {
	for _, h := range c.ranges {
		if f.held && h.used && h.done && h.to == f.to {
			f.committed = true
		}
	}
}

// replay sends the block that is on disk. It may die before it drops the file.
func (r rules) replay(s state, step func(state)) {
	n := s
	n.budget.replay--
	f := &n.file
	doubt := f.sent || !f.committed && !r.noDoubt
	if !r.noReplayMark {
		f.sent, f.old = true, f.old && doubt
	}
	switch {
	case !doubt:
		r.land(&n, f.block)
	case !r.untraced:
		for o := range records {
			if f.rows&(1<<o) != 0 && n.rows[o] == 0 {
				r.land(&n, f.block)
				break
			}
		}
		for o := range records { // what is missing yet goes by another name
			if f.rows&(1<<o) != 0 {
				n.rows[o] = max(n.rows[o], 1)
			}
		}
	case f.old:
		return // refused; that it is marked does not matter
	default:
		r.land(&n, f.block)
	}
	step(n)
	n.file = file{}
	step(n)
}
