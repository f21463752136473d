package kafka

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

func lz4Frame(t testing.TB, content []byte, opts ...lz4.Option) []byte {
	t.Helper()
	var b bytes.Buffer
	w := lz4.NewWriter(&b)
	require.NoError(t, w.Apply(opts...))
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func noise(n int) (out []byte) {
	for i := 0; len(out) < n; i++ {
		sum := sha256.Sum256(fmt.Append(nil, i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func TestFramesAreDecoded(t *testing.T) {
	contents := map[string][]byte{
		"empty": {}, "short": []byte("a"), "text": bytes.Repeat([]byte("some words, "), 100_000), "zeros": make([]byte, 9<<20), "noise": noise(300_000),
	}
	options := map[string]struct {
		plain bool
		opts  []lz4.Option
	}{
		"large blocks":    {true, nil},
		"small blocks":    {true, []lz4.Option{lz4.BlockSizeOption(lz4.Block64Kb)}},
		"no checksum":     {true, []lz4.Option{lz4.ChecksumOption(false)}},
		"block checksums": {false, []lz4.Option{lz4.BlockChecksumOption(true)}},
	}
	for name, content := range contents {
		for form, o := range options {
			t.Run(name+" "+form, func(t *testing.T) {
				p := &pools{}
				src := lz4Frame(t, content, append(o.opts, lz4.SizeOption(uint64(len(content))))...)
				got, err := newDecompressor(p).Decompress(src, kgo.CodecLz4)
				require.NoError(t, err)
				require.True(t, bytes.Equal(content, got))
				blocks, limit, plain := frameBlocks(src)
				require.Equal(t, o.plain, plain)
				if plain {
					got, ok := decodeBlocks(nil, blocks, limit)
					require.True(t, ok)
					require.True(t, bytes.Equal(content, got))
				}
			})
		}
	}
}

// A batch that compresses better than those before it must not leave a buffer behind that is as large as a block may be.
func TestABufferThatIsTooShortGrowsWithItsContent(t *testing.T) {
	content := bytes.Repeat([]byte("some words, "), 5000)
	blocks, limit, ok := frameBlocks(lz4Frame(t, content))
	require.True(t, ok)
	require.Equal(t, 4<<20, limit)
	for _, room := range []int{0, 1, 1000, len(content) / 2, len(content) - 1} {
		got, ok := decodeBlocks(make([]byte, 0, room), blocks, limit)
		require.True(t, ok)
		require.True(t, bytes.Equal(content, got))
		require.Less(t, cap(got), 4*len(content))
	}
}

func TestOtherCodecsAreLeftToTheClient(t *testing.T) {
	d := newDecompressor(&pools{})
	for _, codec := range []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.ZstdCompression(), kgo.NoCompression()} {
		c, err := kgo.DefaultCompressor(codec)
		require.NoError(t, err)
		content := bytes.Repeat([]byte("words "), 1000)
		packed, id := content, kgo.CodecNone
		if c != nil {
			packed, id = c.Compress(new(bytes.Buffer), content)
		}
		got, err := d.Decompress(packed, id)
		require.NoError(t, err)
		require.Equal(t, content, got)
	}
}

// FuzzFrames: what is decoded here is what the library's reader decodes, or it is left to the client's own decompressor.
func FuzzFrames(f *testing.F) {
	f.Add(lz4Frame(f, []byte("some words, some words, some words")))
	f.Add(lz4Frame(f, noise(100)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, src []byte) {
		blocks, limit, ok := frameBlocks(src)
		if !ok {
			return
		}
		got, ok := decodeBlocks(nil, blocks, limit)
		if !ok {
			return
		}
		want, err := kgo.DefaultDecompressor().Decompress(src, kgo.CodecLz4)
		if err == nil {
			require.Len(t, got, len(want))
			require.True(t, bytes.Equal(want, got))
		}
	})
}
