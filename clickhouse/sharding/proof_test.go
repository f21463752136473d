package sharding

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/clickhouse/column"
)

func TestProofComparesRowByRow(t *testing.T) {
	f := bindAll(t, "cityHash64(x)", mustType(t, "UInt64"))
	proof, err := f.NewProof(50, 1)
	require.NoError(t, err)
	require.Equal(t, 50, proof.Rows)
	server := append([]uint64(nil), proof.want...)
	require.NoError(t, proof.Check(server))

	server[7]++
	var parity *ParityError
	require.ErrorAs(t, proof.Check(server), &parity)
	require.Equal(t, server[7], parity.Server)
	require.Equal(t, server[7]-1, parity.Client)
	require.ErrorContains(t, parity, parity.Row)
	require.ErrorContains(t, proof.Check(server[:49]), "49 values for 50 rows")
}

func TestProofLeavesOutRowsWithoutAValue(t *testing.T) {
	proof, err := bindAll(t, "100 % x", mustType(t, "Bool")).NewProof(100, 1)
	require.NoError(t, err)
	require.Greater(t, proof.Rows, 20)
	require.Less(t, proof.Rows, 80)
}

func TestNoProofOfRand(t *testing.T) {
	_, err := bindAll(t, "rand()", nil).NewProof(10, 1)
	require.ErrorIs(t, err, ErrVolatile)
}

func TestSamplesRepeatThemselves(t *testing.T) {
	var types []*column.Type
	for _, name := range KeyTypes() {
		types = append(types, mustType(t, name), mustType(t, "Nullable("+name+")"))
	}
	first, err := Samples(types, 100, 42)
	require.NoError(t, err)
	second, err := Samples(types, 100, 42)
	require.NoError(t, err)
	require.Equal(t, first, second)
	other, err := Samples(types, 100, 43)
	require.NoError(t, err)
	require.NotEqual(t, first, other)
	_, err = Samples([]*column.Type{mustType(t, "Array(UInt8)")}, 1, 1)
	require.ErrorContains(t, err, "Array(UInt8)")
}
