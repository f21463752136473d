package kafka

import (
	"encoding/binary"
	"slices"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
)

// decompressor decodes LZ4, which Kafka carries in frames, block by block into the pooled buffer. The library's reader of frames decodes into a buffer of its own,
// up to 4 MiB large, and copies from there; it also adds up checksums, which the CRC of a record batch covers already. Whatever is not plain is left to the
// client's own decompressor, and so are errors.
type decompressor struct {
	pools *pools
	other kgo.Decompressor
}

func newDecompressor(p *pools) *decompressor { return &decompressor{p, kgo.DefaultDecompressor(p)} }

// Decompress implements kgo.Decompressor.
func (d *decompressor) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if codec != kgo.CodecLz4 {
		return d.other.Decompress(src, codec)
	}
	blocks, limit, ok := frameBlocks(src)
	if !ok {
		return d.other.Decompress(src, codec)
	}
	buf := d.pools.GetDecompressBytes(src, codec)
	out, ok := decodeBlocks(buf[:0], blocks, limit)
	if !ok {
		clear(out[:cap(out)])
		d.pools.PutDecompressBytes(out)
		return d.other.Decompress(src, codec)
	}
	return out, nil
}

// The header of an LZ4 frame (lz4_Frame_format.md 1.6): magic number, FLG, BD, perhaps the size of the content, a checksum.
const (
	frameMagic      = 0x184D2204
	flagVersion     = 0xC0
	flagVersion1    = 0x40
	flagIndependent = 0x20
	flagBlockSums   = 0x10
	flagContentSize = 0x08
	flagDictionary  = 0x01
	blockStored     = 1 << 31
	maxBatch        = 1 << 30 // as kgo.MaxDecompressBatchBytes has it by default
)

// frameBlocks finds where the blocks of a frame start, and how large each may become. Only independent blocks without checksums are plain.
func frameBlocks(src []byte) (blocks []byte, limit int, ok bool) {
	if len(src) < 7 || binary.LittleEndian.Uint32(src) != frameMagic {
		return nil, 0, false
	}
	flags, size := src[4], src[5]>>4&7
	if flags&flagVersion != flagVersion1 || flags&flagIndependent == 0 || flags&(flagBlockSums|flagDictionary) != 0 || size < 4 {
		return nil, 0, false
	}
	header := 7
	if flags&flagContentSize != 0 {
		header += 8
	}
	if len(src) < header {
		return nil, 0, false
	}
	return src[header:], 1 << (8 + 2*size), true
}

// decodeBlocks appends what the blocks hold, up to the end mark. The result is what has become of dst, also if that failed.
func decodeBlocks(dst, src []byte, limit int) ([]byte, bool) {
	for len(src) >= 4 {
		size := binary.LittleEndian.Uint32(src)
		stored := size&blockStored != 0
		n := int(size &^ blockStored)
		src = src[4:]
		switch {
		case size == 0:
			return dst, true
		case n > len(src) || len(dst) > maxBatch-limit:
			return dst, false
		case stored:
			dst = append(dst, src[:n]...)
		default:
			var ok bool
			if dst, ok = decodeBlock(dst, src[:n], limit); !ok {
				return dst, false
			}
		}
		src = src[n:]
	}
	return dst, false
}

// decodeBlock appends what one block holds. Where the room is too short it grows with what the block may reasonably hold: the limit is four megabytes
// with most producers, and a block seldom has a hundredth of it.
func decodeBlock(dst, block []byte, limit int) ([]byte, bool) {
	for {
		room := min(cap(dst)-len(dst), limit)
		if room > 0 { // the library takes no empty destination
			end := len(dst) + room
			n, err := lz4.UncompressBlock(block, dst[len(dst):end:end])
			if err == nil {
				return dst[:len(dst)+n], true
			}
			if room == limit {
				return dst, false
			}
		}
		dst = slices.Grow(dst, min(limit, 2*room+2*len(block)))
	}
}
