package plugin

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/require"

	"github.com/redpanda-data/benthos/v4/public/service"
)

var update = flag.Bool("update", false, "write docs/reference again")

// Descriptions are written in Markdown; the library's own page template is AsciiDoc.
var page = template.Must(template.New("page").Parse(`# {{.Name}}

<!-- Generated from the plugin's specification by "make docs"; do not edit. -->

{{.Summary}}

{{if eq .Type "processor"}}A{{else}}An{{end}} {{.Type}} plugin; status: {{.Status}}.

{{.Description}}

## Configuration

The fields that most pipelines set:

` + "```yaml" + `
{{.CommonConfigYAML}}` + "```" + `

Every field with its default:

` + "```yaml" + `
{{.AdvancedConfigYAML}}` + "```" + `
{{if .Examples}}
## Examples
{{range .Examples}}
### {{.Title}}

{{.Summary}}

` + "```yaml" + `
{{.Config}}
` + "```" + `
{{end}}{{end}}
## Fields
{{range .Fields}}
### ` + "`{{.FullName}}`" + `

{{.Description}}

Type: {{.Type}}{{if .DefaultMarshalled}}; default: ` + "`{{.DefaultMarshalled}}`" + `{{end}}{{if .IsSecret}}; a secret{{end}}{{if .IsInterpolated}}; supports interpolation functions{{end}}
{{if .Options}}
One of: {{range $i, $o := .Options}}{{if $i}}, {{end}}` + "`{{$o}}`" + `{{end}}.
{{end}}{{if .AnnotatedOptions}}
{{range .AnnotatedOptions}}- ` + "`{{index . 0}}`" + `: {{index . 1}}
{{end}}{{end}}{{if .ExamplesMarshalled}}
{{range .ExamplesMarshalled}}
` + "```yaml" + `
{{.}}` + "```" + `
{{end}}{{end}}{{end}}`))

var (
	asciidocHeading = regexp.MustCompile(`(?m)^== `)
	asciidocLink    = regexp.MustCompile(`xref:([a-z_:/]+)\.adoc\[([^\]]+)\]`)
)

// markdown rewrites what the library's own fields and sections say in AsciiDoc.
func markdown(text string) string {
	text = asciidocHeading.ReplaceAllString(text, "### ")
	text = asciidocLink.ReplaceAllStringFunc(text, func(link string) string {
		m := asciidocLink.FindStringSubmatch(link)
		return "[" + m[2] + "](https://docs.redpanda.com/redpanda-connect/" + strings.ReplaceAll(m[1], ":", "/") + "/)"
	})
	return strings.ReplaceAll(text, "'!!!SECRET_SCRUBBED!!!'", `""`)
}

func TestReferenceIsUpToDate(t *testing.T) {
	env := service.GlobalEnvironment()
	for _, p := range []struct {
		name string
		get  func(string) (*service.ConfigView, bool)
	}{
		{"kafka_exactly_once", env.GetInputConfig},
		{"dimension_join", env.GetProcessorConfig},
		{"clickhouse_native", env.GetOutputConfig},
	} {
		t.Run(p.name, func(t *testing.T) {
			view, ok := p.get(p.name)
			require.True(t, ok, "the plugin is not registered")
			data, err := view.TemplateData()
			require.NoError(t, err)
			for _, f := range data.Fields {
				require.NotEmpty(t, f.Description, "field %s has no description", f.FullName)
			}
			for i := range data.Examples {
				data.Examples[i].Config = strings.TrimSpace(data.Examples[i].Config)
			}
			var got bytes.Buffer
			require.NoError(t, page.Execute(&got, data))
			written := markdown(got.String())
			require.NotContains(t, written, "xref:")

			path := filepath.Join("..", "docs", "reference", p.name+".md")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, []byte(written), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), written, "the page is out of date: run make docs")
		})
	}
}
