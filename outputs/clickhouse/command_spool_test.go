package clickhouse

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"
)

func TestFlagsBehindFilesAreNotTakenForFiles(t *testing.T) {
	app := &cli.App{Writer: io.Discard, ErrWriter: io.Discard, Commands: []*cli.Command{Command()}, ExitErrHandler: func(*cli.Context, error) {}}
	file := filepath.Join(t.TempDir(), "1.chspool")
	require.NoError(t, os.WriteFile(file, []byte("damaged"), 0o600))
	err := app.RunContext(t.Context(), []string{"connect", "clickhouse", "spool", "drop", file, "--yes"})
	require.ErrorContains(t, err, "--yes stands behind the files")
	require.FileExists(t, file)
}
