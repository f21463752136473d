package clickstream

// Totals are sums over events: per user in a Ledger, so that they can be added up per shard once the server has said which
// shard a user belongs to.
type Totals struct {
	Events, Purchases                int64
	PriceCents, Quantity, DurationMs int64
}

func (t *Totals) add(o Totals) {
	t.Events += o.Events
	t.Purchases += o.Purchases
	t.PriceCents += o.PriceCents
	t.Quantity += o.Quantity
	t.DurationMs += o.DurationMs
}

// Ledger keeps what a correct pipeline has to leave in ClickHouse.
type Ledger struct {
	users     []Totals // by user id - FirstUser
	Malformed map[string]int64
}

// NewLedger returns an empty ledger for the stream of the options.
func NewLedger(opts Options) *Ledger {
	opts.setDefaults()
	return &Ledger{users: make([]Totals, opts.Users), Malformed: map[string]int64{}}
}

// Add enters one event.
func (l *Ledger) Add(ev Event) {
	if ev.Malformed != "" {
		l.Malformed[ev.Malformed]++
		return
	}
	t := Totals{Events: 1, PriceCents: ev.PriceCents, Quantity: ev.Quantity, DurationMs: ev.DurationMs}
	if ev.Type == "purchase" {
		t.Purchases = 1
	}
	l.users[ev.UserID-FirstUser].add(t)
}

// PerShard adds up the users' totals by the shard index that shardOf gives for a user id.
func (l *Ledger) PerShard(shards int, shardOf func(userID uint64) int) []Totals {
	out := make([]Totals, shards)
	for i, t := range l.users {
		out[shardOf(uint64(i)+FirstUser)].add(t)
	}
	return out
}

// Total is the sum over all users.
func (l *Ledger) Total() Totals {
	var t Totals
	for _, u := range l.users {
		t.add(u)
	}
	return t
}

// MalformedTotal is the number of malformed events of all kinds.
func (l *Ledger) MalformedTotal() (n int64) {
	for _, c := range l.Malformed {
		n += c
	}
	return n
}

// Users is the number of user ids that the stream draws from.
func (l *Ledger) Users() int { return len(l.users) }
