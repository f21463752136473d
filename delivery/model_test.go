package delivery

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The model: Kafka (one partition, the group's committed offset with its metadata, the generation), two consumers (the owner, and one that has been
// superseded without knowing), and ClickHouse (shards and replicas that remember block names). explore visits every state that any interleaving of
// protocol steps and faults reaches, within a budget of faults, and judges each.
//
// States are comparable values of fixed size, so that a map finds those seen before.

const (
	records  = 3 // offsets 0…2
	maxRange = 2 // records in a range
	slots    = records
	shardsOf = 2
	replicas = 2
)

// layout is an index into layouts: how many shards there are, and which replica of each is written.
type layout struct{ shards, replica int8 }

var layouts = [...]layout{{2, 0}, {1, 0}, {2, 1}}

// entry is a range above the watermark in the committed offset's metadata.
type entry struct {
	from, to int8
	layout   int8
	routing  int8 // stands for the digest of (offset → shard)
	done     bool
	old      bool // prepared longer ago than the deduplication window
	lookUp   bool // the names are not to be relied on: rows are looked for
}

// offset is a committed offset: what a new owner finds.
type offset struct {
	watermark int8
	entries   [slots]entry
}

// held is a range in the memory of a consumer.
type held struct {
	entry
	used   bool
	pinned bool  // the intent is in Kafka, as far as this consumer knows
	tried  bool  // an insert was attempted, or may have been by an earlier owner
	acked  uint8 // shards that answered
	half   uint8 // halves that went out when the block was split
}

// consumer is a process that owns, or believes that it owns, the partition.
type consumer struct {
	live       bool
	generation int8
	from       int8 // next offset to cut at
	ranges     [slots]held
	expired    bool // has been without a heartbeat for longer than the deduplication window
	unsure     bool // a commit's answer was lost
}

// names is a set of block names in one node: bit for each range, and for each half of a range.
type names uint32

// budget counts the faults that may still happen.
type budget struct {
	crash, rebalance, lostAck, layout, join, window, memory, killed, cure, late, recreate, spool, replay int8
}

type state struct {
	committed  offset
	generation int8
	late       offset // a commit still on its way
	lateGen    int8   // the generation it was sent under; 0 for none
	owner      consumer
	zombie     consumer
	layout     int8
	routing    int8 // what a join yields now
	nodes      [shardsOf * replicas]names
	rows       [records]uint8
	dead       [records]bool
	cured      bool // the row at fault would be accepted now
	file       file
	budget     budget
}

// file is a block that was put on disk.
type file struct {
	block
	to        int8 // end of its range; 0 for no file
	sent      bool // it was sent when it was put there, or a replay has begun to
	held      bool // the owner's present attempt at the range goes by it
	committed bool // Kafka holds that the range is done, by that attempt
	old       bool // put there, or first sent, longer ago than the deduplication window
}

// rules of DESIGN.md section 6, each of which can be switched off, and what the world is like.
type rules struct {
	noNames       bool // blocks have no names at all
	contentNames  bool // blocks are named by their content
	noIntent      bool // insert without preparing
	noFence       bool // Kafka takes commits of stale generations
	highWatermark bool // commit the end of what was acknowledged last
	noLayoutPin   bool // every attempt uses the layout of the moment
	noReplicaPin  bool // every attempt uses the replica of the moment
	noDigest      bool // a second attempt routes as its join says
	split         bool // a block that is too large is halved
	bisectInPlace bool // rows at fault are found on the table itself
	noAlive       bool // a block goes out without asking whether the lease lives
	noHorizon     bool // old intents are inserted again blindly
	noVerify      bool // a repeated block's rows are taken to be there, even if the server was killed
	noLookUpMark  bool // look rows up without recording that from now on they are looked up
	noSettle      bool // look rows up while an earlier owner may still be sending
	noClaim       bool // a lease may be used by two writes
	noRejoin      bool // go on committing after a commit's answer was lost
	noTopicID     bool // block names hold the topic's name only
	noDoubt       bool // what was spooled without having been sent counts as not sent for ever
	noReplayMark  bool // a replay does not note that it begins
	splitter      bool // world: a processor splits batches
	poison        bool // world: record 1 cannot be inserted
	equalContent  bool // world: records 0 and 1 have equal content
	allowedStuck  bool // world: stopping with a reason is right
	nonReplicated bool // world: a replica does not know the other's names
	untraced      bool // world: the tables do not keep where rows come from
}

// verdict is what is wrong with a state.
type verdict string

const (
	fine      verdict = ""
	loss      verdict = "loss"
	duplicate verdict = "duplicate"
	stuck     verdict = "stuck"
)

func (s *state) judge() verdict {
	for o := range int8(records) {
		if s.rows[o] > 1 {
			return duplicate
		}
		if o < s.committed.watermark && s.rows[o] == 0 && !s.dead[o] && (s.file.to == 0 || s.file.rows&(1<<o) == 0) {
			return loss
		}
	}
	return fine
}

// explore visits every reachable state, breadth first, and returns the first verdict that is not fine.
func explore(r rules, b budget) (verdict, int) {
	start := state{generation: 1, budget: b}
	start.owner = consumer{live: true, generation: 1}
	seen := map[state]struct{}{start: {}}
	queue := []state{start}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if v := s.judge(); v != fine {
			return v, len(seen)
		}
		moved := false
		step := func(n state) {
			moved = true
			if _, ok := seen[n]; !ok {
				seen[n] = struct{}{}
				queue = append(queue, n)
			}
		}
		r.consumerSteps(s, false, step)
		r.consumerSteps(s, true, step)
		progress := moved || s.zombie.live
		r.faults(s, step)
		if !progress && s.committed.watermark < records && !r.allowedStuck {
			return stuck, len(seen)
		}
	}
	return fine, len(seen)
}

// who is the consumer that takes a step in n.
func who(n *state, zombie bool) *consumer {
	if zombie {
		return &n.zombie
	}
	return &n.owner
}

func (r rules) consumerSteps(s state, zombie bool, step func(state)) {
	c := who(&s, zombie)
	if !c.live {
		return
	}
	if c.unsure && !r.noRejoin {
		n := s // the group is joined again before anything else is committed
		n.takeOver(false)
		step(n)
		return
	}
	for size := int8(1); size <= maxRange; size++ {
		if n := s; who(&n, zombie).cut(size) {
			step(n)
		}
	}
	for i := range c.ranges {
		h := &c.ranges[i]
		if !h.used || h.done {
			continue
		}
		if !h.pinned && !r.noIntent {
			r.prepare(s, zombie, i, step)
			continue
		}
		r.insert(s, zombie, i, step)
	}
	r.commit(s, zombie, step)
}

// cut takes the next range; boundaries that an earlier owner fixed are never crossed.
func (c *consumer) cut(size int8) bool {
	end := int8(records)
	open, free := 0, -1
	for i, h := range c.ranges {
		switch {
		case !h.used:
			free = i
		case !h.done:
			open++
		}
		if h.used && h.from > c.from {
			end = min(end, h.from)
		}
	}
	to := c.from + size
	if to > end || free < 0 || open >= 2 {
		return false
	}
	c.ranges[free] = held{used: true, entry: entry{from: c.from, to: to}}
	c.from = to
	c.pass()
	return true
}

// pass moves over ranges whose boundaries are fixed: their records are read as they are.
func (c *consumer) pass() {
	for range slots {
		for _, h := range c.ranges {
			if h.used && h.from == c.from {
				c.from = h.to
			}
		}
	}
}

// watermark is the offset below which everything is done.
func (c *consumer) watermark(high bool) int8 {
	w, top := c.from, int8(0)
	for _, h := range c.ranges {
		if h.used && !h.done {
			w = min(w, h.from)
		}
		if h.used && h.done {
			top = max(top, h.to)
		}
	}
	if high {
		return max(w, top)
	}
	return w
}

// report is what this consumer's next commit says.
func (c *consumer) report(r rules) offset {
	o := offset{watermark: c.watermark(r.highWatermark)}
	n := 0
	for from := range int8(records) { // ascending, so that equal logs are equal values
		for _, h := range c.ranges {
			if h.used && h.from == from && h.to > o.watermark && (h.pinned || h.done) {
				o.entries[n] = h.entry
				n++
			}
		}
	}
	return o
}

// send commits, if the generation allows; a consumer that is refused learns that it lost the partition.
func (r rules) send(n *state, zombie bool) bool {
	c := who(n, zombie)
	if c.generation != n.generation && !r.noFence {
		*c = consumer{}
		return false
	}
	n.committed = c.report(r)
	n.file.commit(c)
	for i := range c.ranges { // below the watermark nothing is remembered
		if h := &c.ranges[i]; h.used && h.done && h.to <= n.committed.watermark {
			*h = held{}
		}
	}
	return true
}

func (r rules) prepare(s state, zombie bool, i int, step func(state)) {
	n := s
	h := &who(&n, zombie).ranges[i]
	h.pinned, h.layout, h.routing = true, n.layout, n.routing
	r.send(&n, zombie)
	step(n)
}

func (r rules) commit(s state, zombie bool, step func(state)) {
	c := who(&s, zombie)
	if c.report(r) == s.committed {
		return
	}
	n := s
	r.send(&n, zombie)
	step(n)
	if s.budget.late > 0 && !zombie && c.generation == s.generation {
		n := s
		n.budget.late--
		n.late, n.lateGen = c.report(r), s.generation
		n.owner.unsure = true
		step(n)
	}
}

func TestProtocolHoldsUnderEveryInterleaving(t *testing.T) {
	for name, c := range map[string]struct {
		rules  rules
		budget budget
	}{
		"crash, rebalance, lost acknowledgement, layout change": {rules{}, budget{crash: 1, rebalance: 1, lostAck: 1, layout: 1}},
		"two crashes, on tables that are not replicated":        {rules{nonReplicated: true}, budget{crash: 2, lostAck: 1, layout: 1}},
		"join that answers otherwise, twice":                    {rules{}, budget{crash: 2, lostAck: 1, join: 2}},
		"join that answers otherwise, and a frozen owner":       {rules{}, budget{rebalance: 1, join: 1}},
		"window passes":                              {rules{}, budget{crash: 1, rebalance: 1, window: 1}},
		"memory limit":                               {rules{}, budget{crash: 1, lostAck: 1, memory: 1}},
		"row at fault, cured later":                  {rules{poison: true}, budget{crash: 1, lostAck: 1, cure: 1, layout: 1}},
		"server killed within an insert":             {rules{nonReplicated: true}, budget{crash: 1, killed: 1}},
		"processor that splits":                      {rules{splitter: true, allowedStuck: true}, budget{crash: 1}},
		"equal records":                              {rules{equalContent: true}, budget{crash: 1, layout: 1}},
		"commit that arrives late":                   {rules{}, budget{crash: 1, late: 1}},
		"topic created again":                        {rules{}, budget{crash: 1, recreate: 1}},
		"block on disk":                              {rules{}, budget{crash: 1, spool: 1, replay: 2, window: 1}},
		"block on disk, join that answers otherwise": {rules{}, budget{crash: 1, spool: 1, replay: 1, join: 1}},
		"block on disk, on tables that cannot be looked through": {rules{untraced: true, allowedStuck: true}, budget{crash: 1, spool: 1, replay: 2, window: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			v, n := explore(c.rules, c.budget)
			require.Equal(t, fine, v, "after %d states", n)
			t.Logf("%d states", n)
		})
	}
}

func TestEachRuleIsNeeded(t *testing.T) {
	for name, c := range map[string]struct {
		rules  rules
		budget budget
		want   verdict
	}{
		"block names":                              {rules{noNames: true}, budget{lostAck: 1}, duplicate},
		"names that do not depend on content":      {rules{contentNames: true, equalContent: true}, budget{layout: 1}, loss},
		"intent before the first insert":           {rules{noIntent: true}, budget{crash: 1}, duplicate},
		"commits are fenced":                       {rules{noFence: true}, budget{crash: 1, rebalance: 1}, duplicate},
		"commit of the low watermark":              {rules{highWatermark: true}, budget{crash: 1}, loss},
		"pinned layout":                            {rules{noLayoutPin: true}, budget{crash: 1, layout: 1}, duplicate},
		"pinned replica":                           {rules{noReplicaPin: true, nonReplicated: true}, budget{lostAck: 1, layout: 1}, duplicate},
		"digest of the routing":                    {rules{noDigest: true}, budget{lostAck: 1, join: 1}, duplicate},
		"one block per range and shard":            {rules{split: true}, budget{crash: 1, memory: 1}, duplicate},
		"rows at fault are found aside":            {rules{bisectInPlace: true, poison: true}, budget{crash: 1, cure: 1, layout: 1}, duplicate},
		"lease is alive before each block":         {rules{noAlive: true}, budget{rebalance: 1, window: 1}, duplicate},
		"horizon of deduplication":                 {rules{noHorizon: true}, budget{crash: 1, window: 1}, duplicate},
		"interrupted insert is verified":           {rules{noVerify: true, nonReplicated: true}, budget{killed: 1}, loss},
		"a look-up is recorded before it starts":   {rules{noLookUpMark: true}, budget{crash: 2, join: 2}, duplicate},
		"a look-up waits until others are silent":  {rules{noSettle: true}, budget{rebalance: 1, join: 1}, duplicate},
		"lease is claimed by one write":            {rules{noClaim: true, splitter: true}, budget{}, loss},
		"joining again after a lost commit answer": {rules{noRejoin: true}, budget{crash: 1, late: 1}, duplicate},
		"topic id in the names":                    {rules{noTopicID: true}, budget{recreate: 1}, loss},
		"a block on disk may be sent by others":    {rules{noDoubt: true}, budget{crash: 1, spool: 1, replay: 1, window: 1}, duplicate},
		"a replay is noted before it sends":        {rules{noReplayMark: true}, budget{spool: 1, replay: 2, window: 1}, duplicate},
	} {
		t.Run(name, func(t *testing.T) {
			v, n := explore(c.rules, c.budget)
			require.Equal(t, c.want, v, "after %d states", n)
			t.Logf("%s after %d states", v, n)
		})
	}
}
