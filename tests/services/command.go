package services

import (
	"context"
	"io"
)

// EnsureCommand installs a Debian package when a command that a test needs is not there.
func EnsureCommand(ctx context.Context, command, debianPackage string, log io.Writer) error {
	store, err := openCache(log)
	if err != nil {
		return err
	}
	return store.ensureCommand(ctx, command, debianPackage)
}
