package clickhouse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"

	"github.com/benthos-clickhouse/connect/clickhouse/cluster"
	"github.com/benthos-clickhouse/connect/clickhouse/insert"
	"github.com/benthos-clickhouse/connect/clickhouse/spool"
)

const (
	flagPath  = "path"
	flagDSN   = "dsn"
	flagMap   = "address-map"
	flagJSON  = "json"
	flagForce = "force"
	flagKeep  = "keep"
	flagYes   = "yes"
)

func spoolCommand() *cli.Command {
	path := &cli.StringFlag{Name: flagPath, Usage: "the spool's directory (spool.path of the output); FILES may be named instead"}
	asJSON := &cli.BoolFlag{Name: flagJSON, Usage: "print one JSON object per block"}
	return &cli.Command{
		Name:  "spool",
		Usage: "Blocks that were put on disk because their attempts were used up (on_exhausted: spool)",
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "List the blocks, the oldest first", ArgsUsage: "[FILES]",
				Description: "connect clickhouse spool list --path /var/lib/connect/spool",
				Flags:       []cli.Flag{path, asJSON}, Action: spoolList,
			},
			{
				Name: "show", Usage: "Show what blocks hold and why they are here, and check that they can be read", ArgsUsage: "[FILES]",
				Description: "connect clickhouse spool show --path /var/lib/connect/spool",
				Flags:       []cli.Flag{path, asJSON}, Action: spoolShow,
			},
			{
				Name: "replay", Usage: "Insert blocks under the names they were first sent with, and drop the files",
				ArgsUsage: "[FILES]",
				Description: "What is in the table already changes nothing: rows that come with topic, partition and offset are looked for, and others are\n" +
					"recognised by their block's name for as long as the table remembers names (replicated_deduplication_window…). A block that may have\n" +
					"landed before that is refused, unless --force is given. Replay once the consumer group has committed what it read.\n\n" +
					"   CLICKHOUSE_DSN=clickhouse://default:secret@ch-1:9000 connect clickhouse spool replay --path /var/lib/connect/spool",
				Flags: []cli.Flag{
					path, asJSON,
					&cli.StringFlag{Name: flagDSN, EnvVars: []string{"CLICKHOUSE_DSN"}, Required: true, Usage: "clickhouse://user:password@host:9000[,host:9000][?secure=true]"},
					&cli.StringSliceFlag{Name: flagMap, Usage: "discovered=reachable host:port, as in address_map"},
					&cli.BoolFlag{Name: flagForce, Usage: "also what may be in the table already and is no longer remembered: rows may be doubled"},
					&cli.BoolFlag{Name: flagKeep, Usage: "leave the files where they are"},
				},
				Action: spoolReplay,
			},
			{
				Name: "drop", Usage: "Delete blocks for good: their rows are lost unless they are in the table", ArgsUsage: "FILES",
				Description: "connect clickhouse spool drop --yes FILES",
				Flags:       []cli.Flag{asJSON, &cli.BoolFlag{Name: flagYes, Usage: "do not refuse"}}, Action: spoolDrop,
			},
		},
	}
}

// entries are the files named, or all of the directory.
func entries(c *cli.Context) ([]spool.Entry, error) {
	if dir := c.String(flagPath); dir != "" && c.NArg() == 0 {
		return spool.List(dir)
	}
	if c.NArg() == 0 {
		return nil, errors.New("name a directory with --path, or files")
	}
	var out []spool.Entry
	for _, path := range c.Args().Slice() {
		if strings.HasPrefix(path, "-") {
			return nil, fmt.Errorf("%s stands behind the files: put flags before them, or write ./%s for a file of that name", path, path)
		}
		if dir := c.String(flagPath); dir != "" && filepath.Base(path) == path {
			path = filepath.Join(dir, path)
		}
		e, err := spool.Stat(path)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// row is a file in JSON.
type row struct {
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	Block  *block `json:"block,omitempty"`
	Result string `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
}

// block is a header as it is shown, with the shard's number in place of its index in the layout.
type block struct {
	spool.Header
	Shard int `json:"shard"`
}

// shardNum is what ClickHouse calls a shard: system.clusters counts them from 1.
func shardNum(h spool.Header) int { return h.Shard + 1 }

func newRow(e spool.Entry, result string, err error) row {
	r := row{File: e.Path, Bytes: e.Bytes, Result: result}
	if e.Err == nil {
		r.Block = &block{e.Header, shardNum(e.Header)}
	}
	if err == nil {
		err = e.Err
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

func (r row) print(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

func spoolList(c *cli.Context) error {
	all, err := entries(c)
	if err != nil {
		return err
	}
	if c.Bool(flagJSON) {
		for _, e := range all {
			if err := newRow(e, "", nil).print(c.App.Writer); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		fmt.Fprintln(c.App.Writer, "the spool is empty")
		return nil
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "FILE\tTABLE\tSHARD\tROWS\tSIZE\tWRITTEN\tMAY HAVE LANDED\tREASON")
	for _, e := range all {
		if e.Err != nil {
			fmt.Fprintf(w, "%s\t-\t-\t-\t%s\t-\t-\t%v\n", filepath.Base(e.Path), humanize.IBytes(uint64(e.Bytes)), e.Err)
			continue
		}
		h := e.Header
		fmt.Fprintf(w, "%s\t%s.%s\t%d\t%d\t%s\t%s\t%t\t%s\n", filepath.Base(e.Path), h.Database, h.Table, shardNum(h), h.Rows,
			humanize.IBytes(uint64(e.Bytes)), h.Written.Format(time.RFC3339), h.MayHaveLanded(), shortened(h.Reason))
	}
	return w.Flush()
}

// shortened keeps a table's lines on the screen.
func shortened(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:79]) + "…"
	}
	return s
}

func spoolShow(c *cli.Context) error {
	all, err := entries(c)
	if err != nil {
		return err
	}
	damaged := 0
	for _, e := range all {
		_, _, err := spool.Read(e.Path)
		if err != nil {
			damaged++
		}
		if c.Bool(flagJSON) {
			if err := newRow(e, "", err).print(c.App.Writer); err != nil {
				return err
			}
			continue
		}
		describe(c.App.Writer, e, err)
	}
	if damaged > 0 {
		return fmt.Errorf("%d of %d files cannot be read", damaged, len(all))
	}
	return nil
}

func describe(out io.Writer, e spool.Entry, err error) {
	fmt.Fprintln(out, e.Path)
	if err != nil {
		fmt.Fprintf(out, "  %v\n\n", err)
		return
	}
	h := e.Header
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, line := range [][2]string{
		{"table", h.Database + "." + h.Table},
		{"cluster", h.Cluster},
		{"shard", fmt.Sprint(shardNum(h))},
		{"replica", h.Replica},
		{"name", h.Name},
		{"rows", fmt.Sprint(h.Rows)},
		{"size", humanize.IBytes(uint64(e.Bytes))},
		{"written", h.Written.Format(time.RFC3339)},
		{"may have landed", fmt.Sprint(h.MayHaveLanded())},
		{"reason", h.Reason},
	} {
		if line[1] != "" {
			fmt.Fprintf(w, "  %s\t%s\n", line[0], line[1])
		}
	}
	for _, col := range h.Columns {
		fmt.Fprintf(w, "  column\t%s %s (%s)\n", col.Name, col.Type, humanize.IBytes(uint64(col.Bytes)))
	}
	_ = w.Flush()
	fmt.Fprintln(out)
}

func spoolReplay(c *cli.Context) error {
	all, err := entries(c)
	if err != nil {
		return err
	}
	r := &replayer{c: c, open: map[string]*cluster.Cluster{}}
	defer r.close()
	bar := progressbar.NewOptions(len(all), progressbar.OptionSetWriter(c.App.ErrWriter), progressbar.OptionSetDescription("replaying"),
		progressbar.OptionShowCount(), progressbar.OptionSetVisibility(!c.Bool(flagJSON)), progressbar.OptionOnCompletion(func() { fmt.Fprintln(c.App.ErrWriter) }))
	failed := 0
	for _, e := range all {
		err := r.replay(c.Context, e)
		_ = bar.Add(1)
		if err != nil {
			failed++
		}
		if c.Bool(flagJSON) {
			result := "inserted"
			if err != nil {
				result = "failed"
			}
			if err := newRow(e, result, err).print(c.App.Writer); err != nil {
				return err
			}
		} else if err != nil {
			fmt.Fprintf(c.App.ErrWriter, "\n%s: %v\n", filepath.Base(e.Path), err)
		}
		if c.Context.Err() != nil {
			return c.Context.Err()
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d blocks were not inserted and are kept", failed, len(all))
	}
	if !c.Bool(flagJSON) {
		fmt.Fprintf(c.App.Writer, "%d blocks with %d rows are in their tables\n", len(all), r.rows)
	}
	return nil
}

// replayer keeps the clusters that it has found open.
type replayer struct {
	c    *cli.Context
	open map[string]*cluster.Cluster
	rows int
}

func (r *replayer) replay(ctx context.Context, e spool.Entry) error {
	if e.Err != nil {
		return e.Err
	}
	found, err := r.cluster(ctx, e.Header)
	if err != nil {
		return err
	}
	h, err := insert.Replay(ctx, found, e.Path, r.c.Bool(flagForce))
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	if err != nil {
		return err
	}
	r.rows += h.Rows
	if r.c.Bool(flagKeep) {
		return nil
	}
	if err := spool.Drop(e.Path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // another process has replayed it as well
}

// errGone is a file that was listed and is no longer there.
var errGone = errors.New("file is gone: another process has replayed or dropped it meanwhile")

// cluster finds the shards of the block's table.
func (r *replayer) cluster(ctx context.Context, h spool.Header) (*cluster.Cluster, error) {
	key := fmt.Sprint(h.Database, h.Table, h.Cluster, h.Shards)
	if c, ok := r.open[key]; ok {
		return c, nil
	}
	conf := &config{}
	if err := conf.readDSN(r.c.String(flagDSN)); err != nil {
		return nil, err
	}
	conf.cluster.Database, conf.cluster.Table = h.Database, h.Table
	conf.cluster.Cluster, conf.cluster.Shards = h.Cluster, h.Shards
	var err error
	if conf.cluster.AddressMap, err = pairs(r.c.StringSlice(flagMap)); err != nil {
		return nil, err
	}
	c, err := cluster.Open(ctx, conf.cluster)
	if err != nil {
		return nil, err
	}
	r.open[key] = c
	return c, nil
}

func (r *replayer) close() {
	for _, c := range r.open {
		_ = c.Close()
	}
}

func spoolDrop(c *cli.Context) error {
	all, err := entries(c)
	if err != nil {
		return err
	}
	if !c.Bool(flagYes) {
		return fmt.Errorf("the rows of %d blocks would be lost: give --yes if you mean it", len(all))
	}
	for _, e := range all {
		if err := spool.Drop(e.Path); err != nil {
			return err
		}
		if c.Bool(flagJSON) {
			if err := newRow(e, "dropped", nil).print(c.App.Writer); err != nil {
				return err
			}
		}
	}
	return nil
}
