// Command licences puts the licence texts of all that is linked into the binary into a directory, which binary distributions have to carry:
//
//	go run ./deploy/licences DIRECTORY
//
// A text stands under the path of its module, and of the package within it where a package has its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// name is what files with a licence, or with what a licence asks to be handed on, are called. Some modules have a directory of them.
var name = regexp.MustCompile(`(?i)^(licen[cs]e|copying|copyright|notice|patents|authors)([-._].*)?$`)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: licences DIRECTORY")
		os.Exit(2)
	}
	if err := collect(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "collecting licences:", err)
		os.Exit(1)
	}
}

func collect(target string) error {
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	goroot, err := output("go", "env", "GOROOT")
	if err != nil {
		return err
	}
	if err := put(strings.TrimSpace(goroot), filepath.Join(target, "go")); err != nil {
		return err
	}
	packages, err := output("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}", "./cmd/connect")
	if err != nil {
		return err
	}
	done := map[string]bool{}
	for line := range strings.Lines(packages) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 3 {
			continue // of the standard library, or of this module
		}
		if err := ofPackage(fields[0], fields[1], fields[2], target, done); err != nil {
			return fmt.Errorf("module %s: %w", fields[0], err)
		}
	}
	return nil
}

// ofPackage takes what lies in a package's directory and in those above it, up to the module's, which has to have something.
func ofPackage(module, root, dir, target string, done map[string]bool) error {
	for ; !done[dir]; dir = filepath.Dir(dir) {
		path, err := filepath.Rel(root, dir)
		if err != nil {
			return err
		}
		done[dir] = true
		switch err := put(dir, filepath.Join(target, module, path)); {
		case dir == root:
			return err
		case err != nil && !errors.Is(err, errNone):
			return err
		}
	}
	return nil
}

var errNone = errors.New("no licence was found")

// put copies the licences of a directory.
func put(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	result := errNone
	for _, e := range entries {
		source, copied := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		switch {
		case e.IsDir() && e.Name() == "licenses":
			err = os.CopyFS(copied, os.DirFS(source))
		case !e.IsDir() && name.MatchString(e.Name()) && filepath.Ext(source) != ".go":
			err = copyFile(source, copied)
		default:
			continue
		}
		if err != nil {
			return err
		}
		result = nil
	}
	return result
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

func output(command string, args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), command, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return string(out), err
}
