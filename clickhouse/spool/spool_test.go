package spool

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// block is a block with a column of each kind of wire form: fixed, variable, and with a state before its data.
func block(t *testing.T, rows int) (Header, proto.Input) {
	t.Helper()
	id, name, tag := new(proto.ColUInt64), new(proto.ColStr), new(proto.ColStr).LowCardinality()
	for i := range rows {
		id.Append(uint64(i))
		name.Append(string(rune('a' + i%26)))
		tag.Append("tag")
	}
	h := Header{
		Database: "dw", Table: "events_local", Shard: 1, Layout: []byte{1, 2, 3}, Name: "g/t/0/1-2/dw.events_local/2",
		Cluster: "events_cluster", Written: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Reason: "shard 2 was away", Rows: rows,
	}
	return h, proto.Input{{Name: "id", Data: id}, {Name: "name", Data: name}, {Name: "tag", Data: tag}}
}

// wire is what ch-go sends for an input.
func wire(t *testing.T, input proto.Input, rows int) []byte {
	t.Helper()
	var b proto.Buffer
	require.NoError(t, proto.Block{Columns: len(input), Rows: rows}.EncodeRawBlock(&b, proto.Version, input))
	return b.Buf
}

func open(t *testing.T, maxBytes int64) *Spool {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "spool"), maxBytes)
	require.NoError(t, err)
	return s
}

func TestABlockComesBackAsItWas(t *testing.T) {
	s := open(t, 0)
	h, input := block(t, 1000)
	path, err := s.Put(h, input)
	require.NoError(t, err)

	got, back, err := Read(path)
	require.NoError(t, err)
	require.Equal(t, wire(t, input, 1000), wire(t, back, 1000))
	require.Equal(t, "UInt64", got.Columns[0].Type)
	require.Equal(t, "LowCardinality(String)", got.Columns[2].Type)
	got.Columns, got.Size, got.Checksum = nil, 0, 0
	require.Equal(t, h, got)

	list, err := List(s.dir)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.NoError(t, list[0].Err)
	require.Equal(t, h.Name, list[0].Header.Name)
	require.NoError(t, Drop(path))
	list, err = List(s.dir)
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestTheSameBlockTakesOnePlace(t *testing.T) {
	s := open(t, 0)
	h, input := block(t, 10)
	first, err := s.Put(h, input)
	require.NoError(t, err)
	second, err := s.Put(h, input)
	require.NoError(t, err)
	require.Equal(t, first, second)
	h.Name = "another"
	third, err := s.Put(h, input)
	require.NoError(t, err)
	require.NotEqual(t, first, third)
	list, err := List(s.dir)
	require.NoError(t, err)
	require.Len(t, list, 2)
}

// What is written for each replica of a shard must not take the place of another one's.
func TestEachReplicaHasItsOwnPlace(t *testing.T) {
	s := open(t, 0)
	h, input := block(t, 10)
	h.Each, h.Replica = true, "a:9000"
	first, err := s.Put(h, input)
	require.NoError(t, err)
	h.Replica = "b:9000"
	second, err := s.Put(h, input)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
}

func TestWhatIsKnownOfABlockIsKept(t *testing.T) {
	s := open(t, 0)
	h, input := block(t, 10)
	h.Sent = false
	h.Range = &Range{Topic: "t", From: 1, To: 11}
	path, err := s.Put(h, input)
	require.NoError(t, err)
	read := func() Header {
		h, _, err := Read(path)
		require.NoError(t, err, "the rows are as they were")
		return h
	}
	h = read()
	require.True(t, h.MayHaveLanded(), "the next owner of its range may have sent it")
	require.NoError(t, Commit(path))
	h = read()
	require.False(t, h.MayHaveLanded())
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.NoError(t, MarkSent(path, at))
	require.NoError(t, MarkSent(path, at.Add(time.Hour)))
	h = read()
	require.True(t, h.MayHaveLanded())
	require.Equal(t, at, h.Written, "when it was first sent")
	h.Range = &Range{Topic: "t", From: 1, To: 11}
	_, err = s.Put(h, input)
	require.NoError(t, err)
	h = read()
	require.False(t, h.Range.Committed, "whoever put it there again had the range again")
	require.True(t, h.Sent)
	require.NoError(t, Commit(path))
	require.NoError(t, Drop(path))
	require.NoError(t, Commit(path))
	files, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	require.Empty(t, files, "dropped is dropped")
}

func TestADamagedMarkIsNoticed(t *testing.T) {
	s := open(t, 0)
	h, input := block(t, 10)
	path, err := s.Put(h, input)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+sentMark, []byte("yesterday"), 0o600))
	_, _, err = Read(path)
	var corrupt *CorruptError
	require.ErrorAs(t, err, &corrupt)
	list, err := List(s.dir)
	require.NoError(t, err)
	require.ErrorAs(t, list[0].Err, &corrupt)
}

func TestTheBoundHolds(t *testing.T) {
	h, input := block(t, 1000)
	s := open(t, 0)
	path, err := s.Put(h, input)
	require.NoError(t, err)
	one, err := os.Stat(path)
	require.NoError(t, err)

	bounded, err := Open(s.dir, one.Size()+10)
	require.NoError(t, err)
	again, err := bounded.Put(h, input)
	require.NoError(t, err, "it takes the place of the same block")
	require.Equal(t, path, again)
	h.Name = "another"
	_, err = bounded.Put(h, input)
	require.ErrorIs(t, err, ErrFull, "what was there before counts")
	require.NoError(t, Drop(path))
	files, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	require.Empty(t, files, "a refused block leaves nothing behind")
	_, err = bounded.Put(h, input)
	require.NoError(t, err, "whoever replayed the first block has made room")
}

func TestAnUnwritableDirectoryLeavesNothing(t *testing.T) {
	s := open(t, 0)
	h, input := block(t, 10)
	require.NoError(t, os.RemoveAll(s.dir))
	_, err := s.Put(h, input)
	require.ErrorContains(t, err, "creating spool file")
	require.NoDirExists(t, s.dir)
}

// A block is in two hands when its range goes over to a process that has the same directory, and the one that had it wakes up late.
func TestTwoProcessesWriteTheSameBlock(t *testing.T) {
	dir := open(t, 0).dir
	var wg sync.WaitGroup
	start := make(chan struct{})
	for n := range 8 {
		s, err := Open(dir, 0)
		require.NoError(t, err)
		h, input := block(t, 20000)
		h.Reason = strings.Repeat("x", n)
		wg.Go(func() {
			<-start
			for range 20 {
				path, err := s.Put(h, input)
				assert.NoError(t, err)
				_, _, err = Read(path)
				assert.NoError(t, err)
			}
		})
	}
	close(start)
	wg.Wait()
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1)
}

// What a replay in another process has dropped is not to be sent, and is nothing to note.
func TestWhatIsGoneIsNotMarked(t *testing.T) {
	s := open(t, 0)
	h, input := block(t, 10)
	path, err := s.Put(h, input)
	require.NoError(t, err)
	require.NoError(t, Drop(path))
	require.ErrorIs(t, MarkSent(path, time.Now()), fs.ErrNotExist)
	require.NoError(t, Commit(path))
	files, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	require.Empty(t, files)
}

func TestUnfinishedFilesOfACrashGo(t *testing.T) {
	dir := t.TempDir()
	crashed, underWay := filepath.Join(dir, "x.chspool.1.tmp"), filepath.Join(dir, "x.chspool.2.tmp")
	for _, path := range []string{crashed, underWay} {
		require.NoError(t, os.WriteFile(path, []byte("half"), 0o600))
	}
	old := time.Now().Add(-2 * time.Minute)
	require.NoError(t, os.Chtimes(crashed, old, old))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("mine"), 0o600))
	_, err := Open(dir, 0)
	require.NoError(t, err)
	require.NoFileExists(t, crashed)
	require.FileExists(t, underWay, "another process may be writing it")
	require.FileExists(t, filepath.Join(dir, "notes.txt"))
	require.ErrorContains(t, Drop(filepath.Join(dir, "notes.txt")), "not a spool file")
}

// Whatever byte is damaged, the block is not handed out, and the file stays.
func TestEveryDamageIsNoticed(t *testing.T) {
	s := open(t, 0)
	h, input := block(t, 20)
	path, err := s.Put(h, input)
	require.NoError(t, err)
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x41
		_, _, err := decode(bad)
		require.Errorf(t, err, "byte %d", i)
		_, _, err = decode(good[:i])
		require.Errorf(t, err, "cut at %d", i)
	}
	require.NoError(t, os.WriteFile(path, good[:len(good)-1], 0o600))
	_, _, err = Read(path)
	var corrupt *CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.FileExists(t, path)
	list, err := List(s.dir)
	require.NoError(t, err)
	require.Error(t, list[0].Err)
	require.ErrorContains(t, list[0].Err, "it is kept")
}

func FuzzDecode(f *testing.F) {
	var b proto.ColUInt64
	b.Append(1)
	good, err := encode(Header{Rows: 1}, proto.Input{{Name: "id", Data: &b}})
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte(magic))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _, _ = decode(data) })
}
