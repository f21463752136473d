package insert

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRowNamed(t *testing.T) {
	const violated = "DB::Exception: Constraint `positive` for table dw.events (0b5e8a3c) is violated at row 17. Expression: (price >= 0). Column values: price = -1."
	n, ok := rowNamed(violated, 100)
	require.True(t, ok)
	require.Equal(t, 16, n)
	_, ok = rowNamed(violated, 16)
	require.False(t, ok, "not a row of this block")
	_, ok = rowNamed("DB::Exception: Cannot parse number", 100)
	require.False(t, ok)
}
