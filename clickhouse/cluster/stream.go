package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
)

// frameSize is how much of a block goes into one compressed frame. A block is a sequence of frames on the wire
// (CompressedReadBuffer reads on from one to the next, 26.7), so that what a connection buffers does not depend on the block's size.
// It is a multiple of the 64 KiB that LZ4 looks back, and little enough to stay in the processor's cache.
const frameSize = 256 << 10

// streamed makes the query send its block straight from the columns' memory. ch-go would copy the block into one buffer,
// compress it into a second one, and keep both with the connection.
//
// The block goes out where ch-go asks for the next one: it has written all that comes before, waits for nothing, and ends the
// input when it is told that there is no more.
func (c *Conn) streamed(q ch.Query) ch.Query {
	input := q.Input
	q.Input = make(proto.Input, len(input))
	for i, col := range input {
		q.Input[i] = proto.InputColumn{Name: col.Name, Data: unsent{col.Data}}
	}
	q.OnInput = func(ctx context.Context) error {
		if err := c.sendBlock(ctx, input); err != nil {
			return err
		}
		return io.EOF
	}
	return q
}

// unsent is a column without rows, which still learns its type from the server.
type unsent struct{ proto.ColInput }

func (unsent) Rows() int { return 0 }

func (u unsent) Infer(t proto.ColumnType) error {
	if v, ok := u.ColInput.(proto.Inferable); ok {
		return v.Infer(t)
	}
	return nil
}

// sendBlock writes one data packet. When it fails, the connection takes nothing more.
func (c *Conn) sendBlock(ctx context.Context, input proto.Input) error {
	if err := c.net.beginBlock(ctx); err != nil {
		return err
	}
	f := c.cluster.frames.take(c.cluster.cfg.Compression)
	defer c.cluster.frames.give(f)
	f.ctx, f.conn = ctx, c.net
	if err := f.block(min(proto.Version, c.client.ServerInfo().Revision), input); err != nil {
		return err
	}
	c.net.endBlock(f.out)
	return nil
}

// framer writes a block to a connection in frames.
type framer struct {
	ctx    context.Context
	conn   *liveConn
	head   proto.Buffer     // what stands between the columns' values
	buf    []byte           // the beginning of the next frame
	out    []byte           // what is to be written together with what follows
	method *compress.Writer // nil without compression
}

// block sends a data packet, up to what is left in out.
func (f *framer) block(version int, input proto.Input) error {
	proto.ClientCodeData.Encode(&f.head)
	proto.ClientData{}.EncodeAware(&f.head, version)
	if err := f.send(f.head.Buf); err != nil {
		return err
	}
	f.head.Reset()
	block := proto.Block{Info: proto.BlockInfo{BucketNum: -1}, Columns: len(input), Rows: input[0].Data.Rows()}
	w := proto.NewWriter(f, &f.head)
	if err := block.WriteBlock(w, version, input); err != nil {
		return fmt.Errorf("encoding a block of %d rows: %w", block.Rows, err)
	}
	if _, err := w.Flush(); err != nil {
		return err
	}
	return f.flush()
}

// Write implements io.Writer.
func (f *framer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(f.buf) == 0 && len(p) >= frameSize {
			if err := f.frame(p[:frameSize]); err != nil {
				return 0, err
			}
			p = p[frameSize:]
			continue
		}
		part := min(len(p), frameSize-len(f.buf))
		f.buf, p = append(f.buf, p[:part]...), p[part:]
		if len(f.buf) == frameSize {
			if err := f.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// flush sends what has been gathered.
func (f *framer) flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	err := f.frame(f.buf)
	f.buf = f.buf[:0]
	return err
}

func (f *framer) frame(p []byte) error {
	if f.method == nil {
		return f.send(p)
	}
	if err := f.method.Compress(p); err != nil {
		return fmt.Errorf("compressing a block: %w", err)
	}
	return f.send(f.method.Data)
}

// gather is the size from which a write is worth its system call: what comes before a block, the end of it, and a block of a few rows
// go out together.
const gather = 32 << 10

// send ends with the context between two frames: an exception of the server ends it, too.
func (f *framer) send(p []byte) error {
	if err := f.ctx.Err(); err != nil {
		return err
	}
	if len(f.out) == 0 && len(p) >= gather {
		return f.conn.writeBlock(p)
	}
	if f.out = append(f.out, p...); len(f.out) < gather {
		return nil
	}
	err := f.conn.writeBlock(f.out)
	f.out = f.out[:0]
	return err
}

// framers recycles the buffers of blocks that were sent: about 3×frameSize each, and the codec's tables. The collector empties it.
type framers struct{ free sync.Pool }

func (s *framers) take(codec Compression) *framer {
	if f, ok := s.free.Get().(*framer); ok {
		return f
	}
	f := &framer{buf: make([]byte, 0, frameSize)}
	switch codec {
	case CompressionLZ4:
		f.method = compress.NewWriter(compress.LevelZero, compress.LZ4)
	case CompressionZSTD:
		f.method = compress.NewWriter(compress.LevelZero, compress.ZSTD)
	}
	return f
}

func (s *framers) give(f *framer) {
	f.ctx, f.conn = nil, nil
	f.head.Reset()
	f.buf, f.out = f.buf[:0], f.out[:0]
	s.free.Put(f)
}

// errInBlock refuses what ch-go would write into the middle of a block, that is, the packet with which it cancels a query: the
// server would take it for data.
var errInBlock = errors.New("a block is being sent")

// beginBlock reserves the connection for one block, unless the query has ended already.
func (c *liveConn) beginBlock(ctx context.Context) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	c.inBlock = true
	return nil
}

// writeBlock writes a part of the block that the connection is reserved for.
func (c *liveConn) writeBlock(p []byte) error {
	_, err := c.write(p)
	return err
}

// endBlock says that the block is complete but for its tail, which goes out with the next packet. Without it the connection stays
// reserved, because half a block is on it.
func (c *liveConn) endBlock(tail []byte) {
	c.turn.Lock()
	defer c.turn.Unlock()
	c.inBlock = false
	c.tail = append(c.tail[:0], tail...)
}
