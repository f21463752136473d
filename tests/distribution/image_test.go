package distribution

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

func TestImage(t *testing.T) {
	engine := "docker"
	if exec.CommandContext(t.Context(), "docker", "info").Run() != nil {
		engine = "buildah"
		require.NoError(t, services.EnsureCommand(t.Context(), "buildah", "buildah", os.Stderr))
	}
	make := exec.CommandContext(t.Context(), "make", "image", "IMAGE=localhost/benthos-clickhouse:test")
	make.Dir = root
	out, err := make.CombinedOutput()
	require.NoError(t, err, "%s", out)

	config, err := filepath.Abs(root + "/config/clickstream.yaml")
	require.NoError(t, err)
	run, tree := inDocker, treeOfDocker
	if engine == "buildah" {
		run, tree = inBuildah, treeOfBuildah
	}
	version := run(t, config, "/connect", "--version")
	require.Contains(t, version, "Version:")
	run(t, config, "/connect", "lint", "/mounted.yaml")
	requireLicences(t, tree(t))
}

// requireLicences wants a text for each linked module, and Go's own, in the image's files.
func requireLicences(t *testing.T, image string) {
	t.Helper()
	for _, module := range append(linkedModules(t, "{{.Path}}"), "go") {
		files, err := os.ReadDir(filepath.Join(image, "licenses", module))
		require.NoError(t, err)
		require.Condition(t, func() bool {
			return slices.ContainsFunc(files, func(f os.DirEntry) bool { return strings.HasPrefix(strings.ToLower(f.Name()), "licen") })
		}, "no licence of %s", module)
	}
}

func treeOfDocker(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	container := strings.TrimSpace(output(t, "docker", "create", "localhost/benthos-clickhouse:test"))
	defer output(t, "docker", "rm", container)
	output(t, "docker", "cp", container+":/licenses", dir)
	return dir
}

func treeOfBuildah(t *testing.T) string {
	t.Helper()
	container := strings.TrimSpace(output(t, "buildah", "--storage-driver=vfs", "from", "localhost/benthos-clickhouse:test"))
	t.Cleanup(func() {
		require.NoError(t, exec.Command("buildah", "--storage-driver=vfs", "rm", container).Run()) // the test's context is over
	})
	return strings.TrimSpace(output(t, "buildah", "--storage-driver=vfs", "mount", container))
}

func inDocker(t *testing.T, config string, argv ...string) string {
	t.Helper()
	args := append([]string{"run", "--rm", "-e", "MYSQL_DSN=u@tcp(h:1)/d", "-v", config + ":/mounted.yaml:ro", "--entrypoint", argv[0], "localhost/benthos-clickhouse:test"}, argv[1:]...)
	return output(t, "docker", args...)
}

func inBuildah(t *testing.T, config string, argv ...string) string {
	t.Helper()
	container := strings.TrimSpace(output(t, "buildah", "--storage-driver=vfs", "from", "localhost/benthos-clickhouse:test"))
	defer output(t, "buildah", "--storage-driver=vfs", "rm", container)
	args := append([]string{"--storage-driver=vfs", "run", "--isolation=chroot", "--env", "MYSQL_DSN=u@tcp(h:1)/d", "--volume", config + ":/mounted.yaml:ro", container, "--"}, argv...)
	return output(t, "buildah", args...)
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return string(out)
}
