package sharding

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
	"github.com/benthos-clickhouse/connect/clickhouse/sharding"
)

// grower makes random expressions over columnTypes.
type grower struct {
	*rand.Rand
	columns []string
}

func newGrower() *grower {
	g := &grower{Rand: rand.New(rand.NewPCG(*seed, 7))}
	for name := range columnTypes {
		g.columns = append(g.columns, name)
	}
	slices.Sort(g.columns)
	return g
}

var literals = []string{"0", "1", "7", "255", "-1", "-129", "65536", "'a'", "'Ab9'", "'12'", "true", "18446744073709551615", "-9223372036854775808"}

func (g *grower) expression(depth int) string {
	if depth == 0 || g.IntN(5) == 0 {
		if g.IntN(4) == 0 {
			return literals[g.IntN(len(literals))]
		}
		return "`" + strings.ReplaceAll(g.columns[g.IntN(len(g.columns))], "`", "``") + "`"
	}
	switch g.IntN(4) {
	case 0:
		return "(" + g.expression(depth-1) + [...]string{" + ", " - ", " * ", " % "}[g.IntN(4)] + g.expression(depth-1) + ")"
	case 1:
		return "-(" + g.expression(depth-1) + ")"
	}
	all := sharding.Functions()
	f := all[g.IntN(len(all))]
	args := make([]string, max(f.MinArgs, 1))
	if f.MaxArgs < 0 {
		args = make([]string, 1+g.IntN(3))
	}
	for i := range args {
		args[i] = g.expression(depth - 1)
	}
	return f.Name + "(" + strings.Join(args, ", ") + ")"
}

// TestGrownExpressions: what is bound at all has the server's values, however it is nested.
func TestGrownExpressions(t *testing.T) {
	client := server.Client(t)
	g := newGrower()
	compared := 0
	for tries := 0; compared < 400; tries++ {
		require.Less(t, tries, 200_000, "too few expressions can be bound")
		expr := "cityHash64(tuple(" + g.expression(1+g.IntN(4)) + "))"
		e, err := sharding.Parse(expr)
		require.NoError(t, err)
		f, err := bindTo(e)
		var unsupported *sharding.UnsupportedError
		if errors.As(err, &unsupported) || err == nil && !f.Deterministic() {
			continue
		}
		require.NoError(t, err, expr)
		proof, err := f.NewProof(40, *seed+uint64(tries))
		if err != nil {
			require.ErrorContains(t, err, "none of 40 sampled rows has a value")
			continue
		}
		require.NoError(t, proof.Check(answers(t, client, proof)), "seed %d", *seed)
		compared++
	}
}

func bindTo(e *sharding.Expr) (*sharding.Func, error) {
	var types []*column.Type
	for _, name := range e.Columns() {
		typ, err := column.ParseType(columnTypes[name])
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", name, err)
		}
		types = append(types, typ)
	}
	return e.Bind(types, sharding.ServerZone("Etc/UTC"))
}
