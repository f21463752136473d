package services

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

const (
	chdbVersion     = "26.7.3-stable.1" // carries ClickHouse 26.7.2
	launcherPackage = "github.com/benthos-clickhouse/connect/tests/services/launcher"
)

//go:embed launcher/*.go
var launcherSource embed.FS

// cache is the directory where downloads stay, shared by all processes of a user.
type cache struct {
	dir string
	log io.Writer
}

func openCache(log io.Writer) (*cache, error) {
	dir := os.Getenv("BENTHOS_CLICKHOUSE_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("finding the cache directory (BENTHOS_CLICKHOUSE_CACHE sets it): %w", err)
		}
		dir = filepath.Join(base, "benthos-clickhouse")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the cache directory (BENTHOS_CLICKHOUSE_CACHE sets another): %w", err)
	}
	return &cache{dir: dir, log: log}, nil
}

// once returns the path of name in the cache, made by build if it is not there. Processes that want it at the same time
// wait for the first one; what a killed build left behind is never taken for the whole.
func (c *cache) once(ctx context.Context, name string, build func(ctx context.Context, tmp string) error) (string, error) {
	final := filepath.Join(c.dir, name)
	if exists(final) {
		return final, nil
	}
	unlock, err := c.lock(name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(final) {
		return final, nil
	}
	tmp := final + ".tmp"
	if err := os.RemoveAll(tmp); err != nil {
		return "", fmt.Errorf("clearing %s: %w", tmp, err)
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return "", fmt.Errorf("making room in the cache: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := build(ctx, tmp); err != nil {
		return "", err
	}
	if err := os.Rename(tmp, final); err != nil {
		return "", fmt.Errorf("putting %s into the cache: %w", name, err)
	}
	return final, nil
}

// lock excludes the other processes of this machine, and the other goroutines of this one.
func (c *cache) lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.dir, name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	return func() { f.Close() }, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// clickhouse returns the command line of a node's server.
func (c *cache) clickhouse(ctx context.Context) (func(*Node) []string, error) {
	if bin := os.Getenv("CLICKHOUSE_BIN"); bin != "" {
		if _, err := exec.LookPath(bin); err != nil {
			return nil, fmt.Errorf("using CLICKHOUSE_BIN: %w", err)
		}
		return func(n *Node) []string {
			return []string{bin, "server", "--config-file=" + filepath.Join(n.dir, "config.xml")}
		}, nil
	}
	library, err := c.library(ctx)
	if err != nil {
		return nil, err
	}
	launcher, err := c.launcher(ctx)
	if err != nil {
		return nil, err
	}
	return func(n *Node) []string {
		return []string{launcher, library, filepath.Join(n.dir, "config.xml"), "information"}
	}, nil
}

// library downloads libchdb.so.
func (c *cache) library(ctx context.Context) (string, error) {
	arch, ok := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if !ok || runtime.GOOS != "linux" {
		return "", &InstallError{
			What: "ClickHouse", Err: fmt.Errorf("no library is published for %s/%s", runtime.GOOS, runtime.GOARCH),
			ByHand: "set CLICKHOUSE_BIN to a clickhouse binary, or CLICKHOUSE_ADDR to running servers",
		}
	}
	spec := fmt.Sprintf("@chdb/lib-linux-%s-gnu@%s", arch, chdbVersion)
	dir, err := c.once(ctx, fmt.Sprintf("clickhouse-%s-%s", chdbVersion, runtime.GOARCH), func(ctx context.Context, tmp string) error {
		err := c.npmExtract(ctx, spec, "libchdb.so", tmp)
		if err == nil {
			return nil
		}
		return &InstallError{
			What: "the ClickHouse library (npm package " + spec + ")", Err: err,
			ByHand: "install npm (apt-get install npm) and see that `npm pack " + spec + "` works, or set CLICKHOUSE_BIN to a clickhouse binary, or CLICKHOUSE_ADDR to running servers",
		}
	})
	return filepath.Join(dir, "libchdb.so"), err
}

// npmExtract downloads a package and takes one file out of it.
func (c *cache) npmExtract(ctx context.Context, spec, file, dir string) error {
	if err := c.ensureCommand(ctx, "npm", "npm"); err != nil {
		return err
	}
	fmt.Fprintf(c.log, "downloading %s (180 MB, once)\n", spec)
	if err := run(ctx, dir, nil, "npm", "pack", spec, "--pack-destination", dir); err != nil {
		return err
	}
	packed, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return fmt.Errorf("npm pack left %d archives", len(packed))
	}
	if err := extract(packed[0], file, dir); err != nil {
		return err
	}
	return os.Remove(packed[0])
}

func extract(archive, file, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", archive, err)
	}
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if err != nil {
			return fmt.Errorf("unpacking %s: looking for %s: %w", archive, file, err)
		}
		if path.Base(header.Name) != file {
			continue
		}
		out, err := os.OpenFile(filepath.Join(dir, file), os.O_CREATE|os.O_WRONLY, 0o755)
		if err != nil {
			return err
		}
		if _, err := io.Copy(out, r); err != nil {
			out.Close()
			return fmt.Errorf("unpacking %s: %w", archive, err)
		}
		return out.Close()
	}
}

// launcher builds the program that turns the library into a server.
func (c *cache) launcher(ctx context.Context) (string, error) {
	version, err := launcherVersion()
	if err != nil {
		return "", err
	}
	dir, err := c.once(ctx, "launcher-"+version, func(ctx context.Context, tmp string) error {
		wd := ""
		if _, file, _, ok := runtime.Caller(0); ok && exists(file) {
			wd = filepath.Dir(file)
		}
		err := run(ctx, wd, []string{"CGO_ENABLED=0", "GOFLAGS=-buildvcs=false"},
			"go", "build", "-o", filepath.Join(tmp, "launcher"), launcherPackage)
		if err == nil {
			return nil
		}
		return &InstallError{
			What: "the ClickHouse launcher", Err: err,
			ByHand: "put Go on the PATH and run from within the module's tests directory, or set CLICKHOUSE_BIN to a clickhouse binary",
		}
	})
	return filepath.Join(dir, "launcher"), err
}

// launcherVersion names the launcher in the cache by its source, so that a change of it is taken up.
func launcherVersion() (string, error) {
	files, err := fs.Glob(launcherSource, "launcher/*.go")
	if err != nil {
		return "", fmt.Errorf("reading the launcher's source: %w", err)
	}
	sum := sha256.New()
	for _, name := range files {
		text, err := launcherSource.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("reading the launcher's source: %w", err)
		}
		sum.Write(text)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:6]), nil
}

// EnsureCommand installs a Debian package when a command is not on the PATH, and fails with what to do when it cannot.
func EnsureCommand(ctx context.Context, command, debianPackage string, log io.Writer) error {
	c, err := openCache(log)
	if err != nil {
		return err
	}
	if err := c.ensureCommand(ctx, command, debianPackage); err != nil {
		return &InstallError{What: command, Err: err, ByHand: "apt-get install " + debianPackage}
	}
	return nil
}

var aptUpdated sync.Once

// ensureCommand installs a Debian package when a command is not on the PATH.
func (c *cache) ensureCommand(ctx context.Context, command, debianPackage string) error {
	if onPath(command) {
		return nil
	}
	unlock, err := c.lock("apt")
	if err != nil {
		return err
	}
	defer unlock()
	if onPath(command) {
		return nil
	}
	switch {
	case !onPath("apt-get"):
		return fmt.Errorf("%s is not on the PATH, and there is no apt-get to install it with", command)
	case os.Geteuid() != 0:
		return fmt.Errorf("%s is not on the PATH, and installing it needs root: sudo apt-get install %s", command, debianPackage)
	}
	fmt.Fprintf(c.log, "installing %s by apt-get\n", debianPackage)
	aptUpdated.Do(func() { err = run(ctx, "", aptEnv, "apt-get", "update", "-q") })
	if err != nil {
		return err
	}
	if err := run(ctx, "", aptEnv, "apt-get", "install", "-q", "-y", "--no-install-recommends", debianPackage); err != nil {
		return err
	}
	if !onPath(command) {
		return fmt.Errorf("%s is still not on the PATH after installing %s", command, debianPackage)
	}
	return nil
}

// With runlevel 1 Debian's packages do not start the services they bring.
var aptEnv = []string{"DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"}

func onPath(command string) bool { return findCommand(command) != "" }

// findCommand looks for a command also where Debian puts servers, which is not on every user's PATH.
func findCommand(name string) string {
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(candidate); err == nil {
			return found
		}
	}
	return ""
}

// run executes a command to its end; its output is in the error when it fails.
func run(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running %s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}
