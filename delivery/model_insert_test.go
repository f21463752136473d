package delivery

// insert sends one block of a range, in every way that can end.
func (r rules) insert(s state, zombie bool, i int, step func(state)) {
	c := who(&s, zombie)
	h := &c.ranges[i]
	if c.expired && !r.noAlive {
		n := s // the check before each block finds the lease dead
		*who(&n, zombie) = consumer{}
		step(n)
		return
	}
	if !h.tried && r.noIntent && !h.pinned {
		h.layout, h.routing = s.layout, s.routing
	}
	if zombie { // its block was cut before it froze
		now, then := s.routing, step
		s.routing = h.routing
		step = func(n state) {
			n.routing = now
			then(n)
		}
	}
	if h.lookUp || (h.old && !r.noHorizon) || (h.routing != s.routing && !r.noDigest) {
		r.lookUp(s, zombie, i, step)
		return
	}
	l := layouts[h.layout]
	if r.noLayoutPin {
		l.shards = layouts[s.layout].shards
	}
	if r.noReplicaPin || r.noLayoutPin {
		l.replica = layouts[s.layout].replica
	}
	for shard := range l.shards {
		if h.acked&(1<<shard) == 0 {
			r.insertBlock(s, zombie, i, l, shard, step)
		}
	}
}

func (r rules) insertBlock(s state, zombie bool, i int, l layout, shard int8, step func(state)) {
	b := blockOf(&s, who(&s, zombie).ranges[i].entry, l, shard)
	switch {
	case r.splitter:
		r.insertSplit(s, zombie, i, l, b, step)
		return
	case r.poison && !s.cured && b.rows&(1<<1) != 0:
		r.insertAroundPoison(s, zombie, i, l, b, step)
		return
	case r.split && (s.budget.memory > 0 || who(&s, zombie).ranges[i].half != 0):
		r.insertHalf(s, zombie, i, l, b, step)
	}
	n := s
	r.landVerified(&n, b)
	acknowledge(&who(&n, zombie).ranges[i], l, shard)
	step(n)
	if s.budget.spool > 0 {
		n := s
		h := &who(&n, zombie).ranges[i]
		n.budget.spool--
		n.file = file{block: b, to: h.to, held: true, sent: h.tried}
		acknowledge(h, l, shard)
		step(n)
	}
	if s.budget.lostAck > 0 {
		n := s
		n.budget.lostAck--
		r.landVerified(&n, b)
		n.retry(zombie, i)
		step(n)
	}
	if s.budget.killed > 0 {
		n := s // the server remembers the name and has not got the part
		n.budget.killed--
		n.nodes[b.node] |= b.name
		n.retry(zombie, i)
		step(n)
	}
}

// block is the rows of a range that go to one node, and the name they go by.
type block struct {
	node int8
	rows uint8
	name names
}

func blockOf(s *state, e entry, l layout, shard int8) block {
	b := block{node: l.replica*shardsOf + shard, name: nameOf(e, 0)}
	for o := e.from; o < e.to; o++ {
		if (o+s.routing)%l.shards == shard {
			b.rows |= 1 << o
		}
	}
	return b
}

// nameOf is the bit of a range, or of one of its halves.
func nameOf(e entry, half int8) names {
	return 1 << ((e.from*2 + (e.to - e.from - 1)) + half*(2*records))
}

// land is what the server does with a block.
func (r rules) land(n *state, b block) {
	switch {
	case r.noNames:
	case r.contentNames:
		// Equal content counts as the same block: records 0 and 1 are equal.
		b.name = names(b.rows)
		if r.equalContent && b.rows == 1<<1 {
			b.name = 1
		}
		fallthrough
	default:
		known := n.nodes[b.node]
		if !r.nonReplicated {
			known |= n.nodes[(b.node+shardsOf)%(shardsOf*replicas)]
		}
		if known&b.name != 0 {
			return
		}
		n.nodes[b.node] |= b.name
	}
	for o := range records {
		if b.rows&(1<<o) != 0 {
			n.rows[o] = min(n.rows[o]+1, 2)
		}
	}
}

func acknowledge(h *held, l layout, shard int8) {
	h.tried = true
	h.acked |= 1 << shard
	h.done = h.acked == 1<<l.shards-1
}

// retry gives up an attempt after an error: the whole range is delivered again.
func (s *state) retry(zombie bool, i int) {
	h := &who(s, zombie).ranges[i]
	h.tried, h.acked, h.half = true, 0, 0
	s.file.held = s.file.held && s.file.to != h.to
}

// landVerified looks, on tables where a killed server can remember a name without its part, whether the rows are there, and sends them again
// under the second name of the block if they are not.
func (r rules) landVerified(n *state, b block) {
	r.land(n, b)
	if !r.nonReplicated || r.noVerify {
		return
	}
	for o := range records {
		if b.rows&(1<<o) != 0 && n.rows[o] == 0 {
			b.name <<= 2 * records
			r.land(n, b)
			return
		}
	}
}

// lookUp finishes a range whose names cannot be relied on: first it records that every later attempt has to look up too, then, once no earlier
// owner can be sending any more, it finds by topic, partition and offset which rows are there, and inserts the others.
func (r rules) lookUp(s state, zombie bool, i int, step func(state)) {
	n := s
	h := &who(&n, zombie).ranges[i]
	switch {
	case !h.lookUp && !r.noLookUpMark:
		h.lookUp = true
		r.send(&n, zombie)
	case !zombie && s.zombie.live && !s.zombie.expired && !r.noSettle:
		return
	default:
		n.file.held = n.file.held && n.file.to != h.to
		for o := h.from; o < h.to; o++ {
			n.rows[o] = max(n.rows[o], 1)
		}
		h.done, h.tried = true, true
	}
	step(n)
}

// insertHalf is what must not be done: halves go by names of their own.
func (r rules) insertHalf(s state, zombie bool, i int, l layout, b block, step func(state)) {
	n := s
	h := &who(&n, zombie).ranges[i]
	if h.half == 0 {
		n.budget.memory--
	}
	e := h.entry
	for half := int8(0); half < 2; half++ {
		if h.half&(1<<half) != 0 || h.to-h.from < 2 {
			continue
		}
		part := b
		part.name, part.rows = nameOf(e, half+1), b.rows&(1<<(e.from+half))
		r.land(&n, part)
		h.half |= 1 << half
		if h.half == 3 {
			acknowledge(h, l, b.node%shardsOf)
			h.half = 0
		}
		step(n)
		return
	}
}

// insertAroundPoison deals with a block that the server refuses because of record 1.
func (r rules) insertAroundPoison(s state, zombie bool, i int, l layout, b block, step func(state)) {
	n := s
	h := &who(&n, zombie).ranges[i]
	n.dead[1] = true
	b.rows &^= 1 << 1
	if r.bisectInPlace {
		b.name = nameOf(h.entry, 1) // the half that went through while the row was looked for
	}
	r.land(&n, b)
	step(n) // the process may die here, with the range not yet acknowledged
	acknowledge(&who(&n, zombie).ranges[i], l, b.node%shardsOf)
	step(n)
}

// insertSplit is a range whose batch a processor has cut in two.
func (r rules) insertSplit(s state, zombie bool, i int, l layout, b block, step func(state)) {
	h := &who(&s, zombie).ranges[i]
	if h.half != 0 && !r.noClaim {
		return // the second write is refused, the range fails, and the stream stops with that reason
	}
	n := s
	g := &who(&n, zombie).ranges[i]
	if h.half == 0 {
		b.rows &= 1 << h.from
	} else {
		b.rows &^= 1 << h.from
	}
	r.land(&n, b)
	if g.half |= 1 + h.half; g.half == 3 || h.to-h.from < 2 {
		g.half = 0
		acknowledge(g, l, b.node%shardsOf)
	}
	step(n)
}

// takeOver makes a new consumer the owner under a new generation, with what Kafka holds.
func (s *state) takeOver(keepZombie bool) {
	if keepZombie {
		s.zombie = s.owner
	}
	s.generation++
	s.file.held = false
	s.owner = consumer{live: true, generation: s.generation, from: s.committed.watermark}
	for i, e := range s.committed.entries {
		if e.to > e.from {
			s.owner.ranges[i] = held{used: true, pinned: true, tried: true, entry: e}
		}
	}
	s.owner.pass()
}

// looksUp tells whether a range waits for an earlier owner's silence; to nothing else does it matter before the window has passed.
func (c *consumer) looksUp() bool {
	for _, h := range c.ranges {
		if h.used && h.lookUp && !h.done {
			return true
		}
	}
	return false
}

func (r rules) faults(s state, step func(state)) {
	b := s.budget
	if b.crash > 0 {
		n := s
		n.budget.crash--
		n.takeOver(false)
		step(n)
	}
	if b.rebalance > 0 && s.owner.live && !s.zombie.live {
		n := s
		n.budget.rebalance--
		n.takeOver(true)
		step(n)
	}
	if b.layout > 0 {
		for l, at := range layouts {
			// Which replica is written matters where they do not know each other's names.
			if n := s; int8(l) != s.layout && (at.replica == 0 || r.nonReplicated) {
				n.budget.layout--
				n.layout = int8(l)
				step(n)
			}
		}
	}
	if b.join > 0 {
		n := s
		n.budget.join--
		n.routing = 1 - n.routing
		step(n)
	}
	if b.cure > 0 {
		n := s
		n.budget.cure--
		n.cured = true
		step(n)
	}
	if s.zombie.live && !s.zombie.expired && s.owner.looksUp() {
		n := s // its session times out, and what it had sent has arrived or never will
		n.zombie.expired = true
		step(n)
	}
	if s.lateGen != 0 {
		n := s // the commit that nobody heard of again arrives after all
		if n.lateGen == n.generation {
			n.committed = n.late
		}
		n.late, n.lateGen = offset{}, 0
		step(n)
	}
	if b.replay > 0 && s.file.to != 0 {
		r.replay(s, step)
	}
	r.longFaults(s, step)
}

// longFaults are those that take long, or make much of the state void.
func (r rules) longFaults(s state, step func(state)) {
	if s.budget.window > 0 {
		n := s // the deduplication window passes
		n.budget.window--
		n.nodes = [shardsOf * replicas]names{}
		n.zombie.expired = n.zombie.live
		n.file.old = n.file.to != 0
		for i := range n.committed.entries {
			if e := &n.committed.entries[i]; e.to > e.from {
				e.old = true
			}
		}
		for i := range n.owner.ranges {
			if h := &n.owner.ranges[i]; h.used && (h.pinned || h.tried) {
				h.old = true
			}
		}
		step(n)
	}
	if s.budget.recreate > 0 {
		n := s // the topic is deleted and created again; its rows are other rows
		n.budget.recreate--
		if !r.noTopicID {
			n.nodes = [shardsOf * replicas]names{}
		}
		n.committed, n.late, n.lateGen, n.zombie = offset{}, offset{}, 0, consumer{}
		n.rows, n.dead, n.file = [records]uint8{}, [records]bool{}, file{}
		n.takeOver(false)
		step(n)
	}
}
