package clickhouse

import "github.com/urfave/cli/v2"

func spoolCommand() *cli.Command {
	return &cli.Command{Name: "spool", Usage: "List, show, replay and drop blocks that were put on disk"}
}
