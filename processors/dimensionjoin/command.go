package dimensionjoin

import "github.com/urfave/cli/v2"

// Command is the `dimension` sub-command of the distribution; add it with service.CLIOptAddCommand.
func Command() *cli.Command {
	return &cli.Command{
		Name:  "dimension",
		Usage: "Look into the dimensions that dimension_join reads",
	}
}
