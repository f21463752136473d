package lookup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
)

// open reads the snapshot. One that cannot be read costs a cold start, no more.
func (j *Joiner) open() {
	if j.config.Snapshot == "" {
		return
	}
	content, err := os.ReadFile(j.config.Snapshot)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		j.saved, err = cache.ReadSnapshot(content)
	}
	if err != nil {
		j.log.Warn("starting with an empty cache", "snapshot", j.config.Snapshot, "error", err)
	}
}

// restore puts the snapshot's rows into the cache, once the schemas are known that they have to belong to.
func (j *Joiner) restore(dims []planDim) {
	if j.saved == nil {
		return
	}
	for i := range dims {
		d := &dims[i]
		kept := d.view.Restore(j.saved, d.identity, d.schema.Shape, j.config.SnapshotStale)
		j.log.Debug("restored cached rows", "dimension", d.Source.Name, "entries", kept)
	}
	j.saved = nil
}

// save writes the snapshot, beside the old one at first: whatever happens, one of them is whole.
func (j *Joiner) save() {
	dims := j.latest.Load()
	if j.config.Snapshot == "" || dims == nil {
		return
	}
	if err := j.writeSnapshot(*dims); err != nil {
		j.log.Error("the cache was not saved", "snapshot", j.config.Snapshot, "error", err)
	}
}

func (j *Joiner) writeSnapshot(dims []planDim) (err error) {
	f, err := os.CreateTemp(filepath.Dir(j.config.Snapshot), filepath.Base(j.config.Snapshot)+".*")
	if err != nil {
		return fmt.Errorf("making the snapshot: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	sections := make([]cache.Section, len(dims))
	for i := range dims {
		sections[i] = cache.Section{Identity: dims[i].identity, View: dims[i].view, Columns: len(dims[i].schema.Values)}
	}
	if err := j.store.Save(f, sections); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing the snapshot: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("closing the snapshot: %w", err)
	}
	return os.Rename(f.Name(), j.config.Snapshot)
}
