package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// What becomes known of a block after it was put on disk stands in files beside its own, because two processes may learn it at the same time:
// the pipeline that its range is committed, and a replay that it is about to be sent.
const (
	committedMark = ".committed"
	sentMark      = ".sent" // holds when
)

// Commit notes that the range of a block is committed: from here on nobody else will send it. A file that has been dropped since is no error.
func Commit(path string) error { return ignoreMissing(mark(path, committedMark, nil)) }

// MarkSent notes that a block is about to be sent, so that whoever finds its file after a crash knows. at is when it may first have landed. A
// mark that is there stays as it is. A block whose file is gone is not to be sent: the error is fs.ErrNotExist.
func MarkSent(path string, at time.Time) error {
	text, err := at.UTC().MarshalText()
	if err != nil {
		return fmt.Errorf("marking %q as sent: %w", path, err)
	}
	return mark(path, sentMark, text)
}

func mark(path, mark string, content []byte) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("marking a spool file: %w", err)
	}
	if _, err := os.Stat(path + mark); err == nil {
		return nil
	}
	return writeDurably(path+mark, content)
}

// readMarks completes a header with what became known later.
func (h *Header) readMarks(path string) error {
	if _, err := os.Stat(path + committedMark); err == nil && h.Range != nil {
		h.Range.Committed = true
	}
	text, err := os.ReadFile(path + sentMark)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading a mark of a spool file: %w", err)
	}
	if h.Sent {
		return nil
	}
	h.Sent = true
	if err := h.Written.UnmarshalText([]byte(strings.TrimSpace(string(text)))); err != nil {
		return &CorruptError{Path: path + sentMark, Reason: err.Error()}
	}
	return nil
}
