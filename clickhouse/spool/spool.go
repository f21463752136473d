package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/cespare/xxhash/v2"
)

const (
	suffix    = ".chspool"
	temporary = ".tmp"
)

// Spool is a directory of blocks with a bound. It is safe for concurrent use by one process.
type Spool struct {
	dir string
	max int64

	mu sync.Mutex // one Put at a time
}

// Open makes the directory if it is not there. maxBytes bounds the sum of the files; 0 means no bound. Temporary files that a
// crash left behind are removed once they are a minute old: they were never acknowledged. A directory that nothing can be written to is an error now rather than when
// a block has nowhere else to go.
func Open(dir string, maxBytes int64) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("making spool directory: %w", err)
	}
	s := &Spool{dir: dir, max: maxBytes}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading spool directory: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), temporary) || !strings.Contains(e.Name(), suffix) || underWay(e) {
			continue
		}
		if err := ignoreMissing(os.Remove(filepath.Join(dir, e.Name()))); err != nil {
			return nil, fmt.Errorf("removing unfinished spool file: %w", err)
		}
	}
	f, err := create(filepath.Join(dir, "probe"+suffix))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Close(), ignoreMissing(os.Remove(f.Name()))); err != nil {
		return nil, fmt.Errorf("trying the spool directory: %w", err)
	}
	return s, nil
}

// underWay tells whether another process may still be writing a temporary file.
func underWay(e fs.DirEntry) bool {
	info, err := e.Info()
	return err != nil || time.Since(info.ModTime()) < time.Minute
}

// room tells whether a file of so many bytes fits in, in the place of the one of its name. The directory is looked at each time, because a
// replay in another process takes files away.
func (s *Spool) room(path string, bytes int64) error {
	if s.max <= 0 {
		return nil
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("reading spool directory: %w", err)
	}
	var held int64
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), suffix) || e.Name() == filepath.Base(path) {
			continue
		}
		if info, err := e.Info(); err == nil {
			held += info.Size()
		}
	}
	if held+bytes > s.max {
		return fmt.Errorf("spooling %d bytes to %q, which holds %d of %d: %w", bytes, s.dir, held, s.max, ErrFull)
	}
	return nil
}

// Put writes a block and returns once it would survive a crash of the machine. A block of the same name and shard replaces the
// file of the first. ErrFull when the bound is reached; any other error is the file system's. Either way nothing is left behind.
func (s *Spool) Put(h Header, input proto.Input) (path string, err error) {
	data, err := encode(h, input)
	if err != nil {
		return "", fmt.Errorf("encoding block %q: %w", h.Name, err)
	}
	path = filepath.Join(s.dir, fileName(h))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.room(path, int64(len(data))); err != nil {
		return "", err
	}
	// Whoever puts the block here again is another owner of its range.
	if err := ignoreMissing(os.Remove(path + committedMark)); err != nil {
		return "", fmt.Errorf("removing a mark of an earlier block: %w", err)
	}
	if err := writeDurably(path, data); err != nil {
		return "", err
	}
	return path, nil
}

// fileName is the same for the same block, so that a batch that is spooled again after a crash takes no second place.
func fileName(h Header) string {
	clean := strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, h.Database+"."+h.Table)
	id := h.Name
	if h.Each {
		id += "/" + h.Replica
	}
	return fmt.Sprintf("%s-shard%d-%016x%s", clean, h.Shard+1, xxhash.Sum64String(id), suffix)
}

// create makes a temporary file of its own for this path: two processes may have the directory, and write the same block.
func create(path string) (*os.File, error) {
	f, err := os.OpenFile(fmt.Sprintf("%s.%016x%s", path, rand.Uint64(), temporary), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("creating spool file: %w", err)
	}
	return f, nil
}

func writeDurably(path string, data []byte) (err error) {
	f, err := create(path)
	if err != nil {
		return err
	}
	tmp := f.Name()
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), ignoreMissing(os.Remove(tmp)))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("writing spool file: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing spool file: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("renaming spool file: %w", err)
	}
	tmp = path // what fails from here on takes the file back
	if err := f.Close(); err != nil {
		return fmt.Errorf("closing spool file: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// syncDir makes a rename in the directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening spool directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("syncing spool directory: %w", err)
	}
	return nil
}

// Entry is one file of a spool.
type Entry struct {
	Path   string
	Bytes  int64
	Header Header
	Err    error // *CorruptError when the header, which is then empty, or a mark cannot be read
}

// List reads the headers of a directory's files, oldest block first. Files that are not the spool's are passed over.
func List(dir string) ([]Entry, error) {
	names, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*"+suffix))
	if err != nil {
		return nil, fmt.Errorf("listing spool: %w", err)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("listing spool: %w", err)
	}
	entries := make([]Entry, 0, len(names))
	for _, path := range names {
		e, err := Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // dropped since
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.Header.Written.Compare(b.Header.Written) })
	return entries, nil
}

// Stat reads the header of one file; its rows are only looked at by Read.
func Stat(path string) (Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return Entry{}, fmt.Errorf("reading spool file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Entry{}, fmt.Errorf("reading spool file: %w", err)
	}
	head, err := readHead(f)
	if err != nil {
		return Entry{}, fmt.Errorf("reading spool file: %w", err)
	}
	e := Entry{Path: path, Bytes: info.Size()}
	h, _, err := decodeHeader(head)
	if err == nil && e.Bytes-int64(len(head)) != h.Size {
		err = errCutOff
	}
	if err != nil {
		e.Err = &CorruptError{Path: path, Reason: err.Error()}
		return e, nil
	}
	e.Err = h.readMarks(path)
	e.Header = h
	return e, nil
}

// escapeGlob keeps a directory's own name from being read as a pattern.
func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// Read returns a file's block, ready to be sent. The error is a *CorruptError when the bytes are not what was written.
func Read(path string) (Header, proto.Input, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Header{}, nil, fmt.Errorf("reading spool file: %w", err)
	}
	h, input, err := decode(data)
	if err != nil {
		return h, nil, &CorruptError{Path: path, Reason: err.Error()}
	}
	err = h.readMarks(path)
	return h, input, err
}

// Drop deletes a file for good.
func Drop(path string) error {
	if !strings.HasSuffix(path, suffix) {
		return fmt.Errorf("dropping %q: not a spool file (*%s)", path, suffix)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("dropping spool file: %w", err)
	}
	for _, mark := range []string{committedMark, sentMark} {
		if err := ignoreMissing(os.Remove(path + mark)); err != nil {
			return fmt.Errorf("dropping a mark of a spool file: %w", err)
		}
	}
	return syncDir(filepath.Dir(path))
}
