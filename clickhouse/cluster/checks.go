package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// suggestedBlocks and suggestedSeconds are what the statements in errors set: a week, as ClickHouse had it by default before 26.
const (
	suggestedBlocks  = 10000
	suggestedSeconds = 7 * 24 * 60 * 60
)

// Deduplication is for how long the local tables recognise a repeated block: the least that any replica grants.
type Deduplication struct {
	Replicated bool          // replicas share what they know of blocks
	Blocks     uint64        // a block is forgotten after that many newer ones (of one partition, on non-replicated tables)
	Window     time.Duration // a block is forgotten after that time; 0 is never
	// SenderTimeout is how long the server waits for the rest of a block, or for the next query: nothing that was sent
	// before it is taken later. The larger of receive_timeout and idle_connection_timeout.
	SenderTimeout time.Duration
}

// CheckDeduplication asks the replicas whether a repeated block would be dropped, which exactly-once delivery rests on. The error
// joins a *CheckError for each host with what to run there; an *UnavailableError for each shard nobody could be asked of.
func (c *Cluster) CheckDeduplication(ctx context.Context, l *Layout) (Deduplication, error) {
	least := Deduplication{Replicated: l.Table.Replicated()}
	var problems []error
	for i := range l.Shards {
		s := &l.Shards[i]
		if s.Weight == 0 {
			continue
		}
		down := &UnavailableError{Shard: s.Number}
		for _, r := range s.Replicas {
			if s.Pinned != nil && s.Pinned.ID() != r.ID() {
				continue
			}
			var d Deduplication
			err := c.on(ctx, r.Address, func(conn *Conn) (err error) {
				d, err = c.deduplication(ctx, conn, l, s, r)
				return err
			})
			var check *CheckError
			switch {
			case err == nil:
				least.narrow(d)
			case errors.As(err, &check), Fatal(err):
				problems = append(problems, err)
			default:
				down.add(r, err)
				continue
			}
			down.Shard = 0
		}
		if down.Shard != 0 {
			problems = append(problems, down)
		}
	}
	return least, errors.Join(problems...)
}

// narrow keeps the smaller promise.
func (d *Deduplication) narrow(o Deduplication) {
	if d.Blocks == 0 || o.Blocks < d.Blocks {
		d.Blocks = o.Blocks
	}
	if d.Window == 0 || o.Window > 0 && o.Window < d.Window {
		d.Window = o.Window
	}
	d.SenderTimeout = max(d.SenderTimeout, o.SenderTimeout)
}

// deduplication reads and judges the settings of one replica.
func (c *Cluster) deduplication(ctx context.Context, conn *Conn, l *Layout, s *Shard, r *Replica) (Deduplication, error) {
	fail := func(problem, run string) (Deduplication, error) {
		return Deduplication{}, &CheckError{Shard: s.Number, Host: r.String(), Problem: problem, Run: run}
	}
	t, err := c.describe(ctx, conn, s.Database, l.Table.Name)
	if err != nil {
		return Deduplication{}, err
	}
	name := quoteTable(s.Database, l.Table.Name)
	if !t.MergeTree() {
		return fail(fmt.Sprintf("table %s has engine %s, which does not drop repeated blocks: exactly-once delivery needs one of the MergeTree family", name, t.Engine), "")
	}
	settings, err := c.engineSettings(ctx, conn, t)
	if err != nil {
		return Deduplication{}, err
	}
	timeout, err := c.senderTimeout(ctx, conn)
	if err != nil {
		return Deduplication{}, err
	}
	d := Deduplication{Replicated: t.Replicated(), SenderTimeout: timeout}
	window := "non_replicated_deduplication_window"
	if d.Replicated {
		window = "replicated_deduplication_window"
		d.Window = time.Duration(settings["replicated_deduplication_window_seconds"]) * time.Second
	}
	if d.Blocks = settings[window]; d.Blocks == 0 {
		return fail(fmt.Sprintf("table %s does not remember inserted blocks (%s is 0), so that a repeated one would be stored twice", name, window),
			fmt.Sprintf("ALTER TABLE %s MODIFY SETTING %s = %d", name, window, suggestedBlocks))
	}
	if d.Window > 0 && d.SenderTimeout >= d.Window {
		return fail(fmt.Sprintf("table %s forgets a block after %s, but a connection may bring a late one for %s (receive_timeout, idle_connection_timeout)", name, d.Window, d.SenderTimeout),
			fmt.Sprintf("ALTER TABLE %s MODIFY SETTING replicated_deduplication_window_seconds = %d", name, suggestedSeconds))
	}
	return d, nil
}

// engineSettings reads the deduplication settings in force: those of the table over the server's.
func (c *Cluster) engineSettings(ctx context.Context, conn *Conn, t *Table) (map[string]uint64, error) {
	from := "system.merge_tree_settings"
	if t.Replicated() {
		from = "system.replicated_merge_tree_settings"
	}
	rows, err := conn.rows(ctx, []string{"name", "value"}, "FROM "+from+" WHERE name IN "+
		"('non_replicated_deduplication_window', 'replicated_deduplication_window', 'replicated_deduplication_window_seconds')")
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", from, err)
	}
	settings := map[string]uint64{}
	for _, r := range rows {
		settings[r[0]] = number(r[1])
	}
	def, err := parseEngine(t.EngineFull)
	if err != nil {
		return nil, err
	}
	for name, value := range def.settings {
		settings[name] = number(value)
	}
	return settings, nil
}

// senderTimeout reads for how long one of our connections may be silent before the server ends it.
func (c *Cluster) senderTimeout(ctx context.Context, conn *Conn) (time.Duration, error) {
	rows, err := conn.rows(ctx, []string{"name", "value"}, "FROM system.settings WHERE name IN ('receive_timeout', 'idle_connection_timeout')")
	if err != nil {
		return 0, fmt.Errorf("reading system.settings: %w", err)
	}
	for _, s := range c.cfg.Settings { // they go with inserts, but did not go with this query
		if s.Key == "receive_timeout" || s.Key == "idle_connection_timeout" {
			rows = append(rows, []string{s.Key, s.Value})
		}
	}
	var longest time.Duration
	for _, r := range rows {
		seconds, err := strconv.ParseFloat(r[1], 64)
		if err != nil {
			return 0, fmt.Errorf("reading system.settings: %w", err)
		}
		longest = max(longest, time.Duration(seconds*float64(time.Second)))
	}
	return longest, nil
}

// CheckGrants asks one replica of each shard that gets rows whether the user may insert into these columns (all of them, when none is
// named). The error joins a *PrivilegeError for each host with the GRANT to run. Servers without CHECK GRANT (before 24.11)
// are not asked: there the first INSERT tells.
func (c *Cluster) CheckGrants(ctx context.Context, l *Layout, columns ...string) error {
	insert := "INSERT"
	if len(columns) > 0 {
		quoted := make([]string, len(columns))
		for i, name := range columns {
			quoted[i] = quoteIdentifier(name)
		}
		insert += "(" + strings.Join(quoted, ", ") + ")"
	}
	var problems []error
	for i := range l.Shards {
		if l.Shards[i].Weight == 0 {
			continue
		}
		grant := insert + " ON " + l.Target(i)
		conn, err := c.Acquire(ctx, l, i)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		host := conn.Replica().String()
		granted, err := conn.granted(ctx, grant)
		conn.Release(err)
		switch {
		case err != nil:
			problems = append(problems, err)
		case !granted:
			problems = append(problems, &PrivilegeError{
				User: c.cfg.Username, Address: host,
				Run: fmt.Sprintf("GRANT %s TO %s", grant, quoteIdentifier(c.cfg.Username)),
			})
		}
	}
	return errors.Join(problems...)
}

// granted runs CHECK GRANT.
func (c *Conn) granted(ctx context.Context, grant string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cluster.cfg.QueryTimeout)
	defer cancel()
	var result proto.ColUInt8
	err := c.do(ctx, func(ctx context.Context) error {
		return c.client.Do(ctx, ch.Query{Body: "CHECK GRANT " + grant, Result: proto.Results{{Data: &result}}})
	})
	if ch.IsErr(err, proto.ErrSyntaxError) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("checking privileges: %w", typed(err, c.cluster.cfg.Username, c.node.address))
	}
	return result.Rows() == 1 && result[0] == 1, nil
}
