// Command worker runs one stage over the fixed input, for its instructions to be counted: worker STAGE PASSES.
package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/benthos-clickhouse/connect/tests/instructions"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want STAGE PASSES, not %d arguments", len(args))
	}
	passes, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("reading the number of passes: %w", err)
	}
	return instructions.Run(args[0], passes)
}
