package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/require"
)

// received collects what one end of a connection is sent.
func received(t *testing.T) (*liveConn, func() []byte) {
	t.Helper()
	near, far := net.Pipe()
	all := make(chan []byte)
	go func() { b, _ := io.ReadAll(far); all <- b }()
	return &liveConn{Conn: near}, func() []byte {
		require.NoError(t, near.Close())
		return <-all
	}
}

func TestBlocksAreReadBackWhateverTheirSize(t *testing.T) {
	for _, codec := range []Compression{CompressionNone, CompressionLZ4, CompressionZSTD} {
		for _, rows := range []int{1, 1000, 100_000} {
			t.Run(fmt.Sprintf("%s/%d", codec, rows), func(t *testing.T) {
				var id proto.ColUInt64
				var text proto.ColStr
				for i := range rows {
					id.Append(uint64(i))
					text.Append(strings.Repeat("x", i%23))
				}
				input := proto.Input{{Name: "id", Data: &id}, {Name: "text", Data: &text}}
				conn, end := received(t)
				var pool framers
				for range 2 { // the second time with recycled buffers
					require.NoError(t, conn.beginBlock(t.Context()))
					f := pool.take(codec)
					f.ctx, f.conn = t.Context(), conn
					require.NoError(t, f.block(proto.Version, input))
					conn.endBlock(f.out)
					pool.give(f)
					n, err := conn.Write([]byte("next"))
					require.NoError(t, err)
					require.Equal(t, 4, n)
				}
				r := proto.NewReader(bytes.NewReader(end()))
				for range 2 {
					requireBlock(t, r, codec, &id, &text)
				}
			})
		}
	}
}

func requireBlock(t *testing.T, r *proto.Reader, codec Compression, id *proto.ColUInt64, text *proto.ColStr) {
	t.Helper()
	code, err := r.UVarInt()
	require.NoError(t, err)
	require.Equal(t, uint64(proto.ClientCodeData), code)
	table, err := r.Str()
	require.NoError(t, err)
	require.Empty(t, table)
	if codec != CompressionNone {
		r.EnableCompression()
	}
	var block proto.Block
	var gotID proto.ColUInt64
	var gotText proto.ColStr
	require.NoError(t, block.DecodeBlock(r, proto.Version, proto.Results{{Name: "id", Data: &gotID}, {Name: "text", Data: &gotText}}))
	r.DisableCompression()
	require.Equal(t, *id, gotID)
	require.Equal(t, text.Rows(), gotText.Rows())
	for i := range text.Rows() {
		require.Equal(t, text.Row(i), gotText.Row(i))
	}
	next, err := r.ReadRaw(4)
	require.NoError(t, err)
	require.Equal(t, "next", string(next))
}

func TestNothingIsWrittenIntoABlock(t *testing.T) {
	conn, end := received(t)
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, conn.beginBlock(ctx))
	f := new(framers).take(CompressionNone)
	f.ctx, f.conn = ctx, conn
	require.NoError(t, f.send(make([]byte, gather)))
	_, err := conn.Write([]byte{3})
	require.ErrorIs(t, err, errInBlock, "as ch-go does to cancel a query")

	cancel()
	require.ErrorIs(t, f.send(make([]byte, gather)), context.Canceled)
	_, err = conn.Write([]byte{3})
	require.ErrorIs(t, err, errInBlock, "half a block is on the connection")
	require.ErrorIs(t, conn.beginBlock(ctx), context.Canceled)
	require.Len(t, end(), gather)
}
