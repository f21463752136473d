package dimensionjoin

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/urfave/cli/v2"
)

// Command is the `dimension` sub-command of the distribution; add it with service.CLIOptAddCommand.
func Command() *cli.Command {
	return &cli.Command{
		Name:  "dimension",
		Usage: "Look into the dimensions that dimension_join reads",
		Subcommands: []*cli.Command{{
			Name:  "inspect",
			Usage: "Show what a running processor has cached for one key, and what the database has now",
			Description: "The processor answers at its inspect_address:\n\n" +
				"   connect dimension inspect --address 127.0.0.1:4196 --dimension product --key sku=A-1",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "address", Value: "127.0.0.1:4196", Usage: "the processor's inspect_address"},
				&cli.StringFlag{Name: "dimension", Required: true, Usage: "the dimension's name"},
				&cli.GenericFlag{Name: "key", Required: true, Value: &pairs{}, Usage: "column=value; once for each key column"},
			},
			Action: inspect,
		}},
	}
}

// inspect asks the running processor.
// pairs are the values of --key. The library's own lists are divided at commas, which a value may hold.
type pairs []string

// Set adds one.
func (p *pairs) Set(pair string) error {
	if !strings.Contains(pair, "=") {
		return fmt.Errorf("%q is not column=value", pair)
	}
	*p = append(*p, pair)
	return nil
}

func (p *pairs) String() string { return strings.Join(*p, " ") }

func inspect(c *cli.Context) error {
	query := url.Values{"dimension": {c.String("dimension")}}
	for _, pair := range *c.Generic("key").(*pairs) {
		query.Add("key", pair)
	}
	target := url.URL{Scheme: "http", Host: c.String("address"), Path: inspectPath, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(c.Context, http.MethodGet, target.String(), nil)
	if err != nil {
		return fmt.Errorf("asking the processor: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking the processor (is its inspect_address set, and is it running?): %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("reading the processor's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the processor answered: %s", strings.TrimSpace(string(body)))
	}
	_, err = c.App.Writer.Write(body)
	return err
}
