//go:build unix

package spool

import (
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A disk that fills up is stood for by a limit to the size of files: a part of the block is written, and then no more.
func TestAFullDiskLeavesNothing(t *testing.T) {
	s := open(t, 0)
	h, input := block(t, 20000)
	whole, err := s.Put(h, input)
	require.NoError(t, err)
	before, err := os.ReadFile(whole)
	require.NoError(t, err)

	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	less := limit
	less.Cur = 1000
	require.Greater(t, len(before), 1000)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &less))
	h.Reason = "another one"
	_, err = s.Put(h, input)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	require.ErrorContains(t, err, "writing spool file")

	after, err := os.ReadFile(whole)
	require.NoError(t, err)
	require.Equal(t, before, after, "what was there stays as it was")
	files, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	require.Len(t, files, 1)
}

// That nothing can be written is told at start, and not when the first block has nowhere else to go.
func TestADirectoryThatCannotBeWrittenIsRefused(t *testing.T) {
	_, err := Open("/proc", 0)
	require.Error(t, err)
}
