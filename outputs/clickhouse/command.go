package clickhouse

import "github.com/urfave/cli/v2"

// Command is the `clickhouse` sub-command of the distribution; add it with service.CLIOptAddCommand.
func Command() *cli.Command {
	return &cli.Command{
		Name:        "clickhouse",
		Usage:       "Look after what clickhouse_native leaves behind",
		Subcommands: []*cli.Command{spoolCommand()},
	}
}
