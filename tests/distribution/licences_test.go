package distribution

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Redpanda Connect's repository has packages under two licences; only the Apache-2.0 ones may be linked.
func TestNoPackageUnderTheCommunityLicence(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", `{{if .Module}}{{if eq .Module.Path "github.com/redpanda-data/connect/v4"}}{{.Dir}}{{end}}{{end}}`, "./cmd/connect")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	dirs := strings.Fields(string(out))
	require.NotEmpty(t, dirs)
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			require.NotContains(t, head(t, file), "Redpanda Community License", "%s", file)
		}
	}
}

// What is linked may be handed on in a binary: permissive licences, and the Mozilla one, which asks for the source of its own
// files only. Each is known by a sentence of its text.
var licences = []string{
	"Apache License",
	"Mozilla Public License",
	"Permission is hereby granted, free of charge",      // MIT
	"Permission to use, copy, modify, and",              // ISC
	"Redistribution and use in source and binary forms", // BSD
	"CC0 1.0 Universal",
}

func TestLinkedModulesHaveKnownLicences(t *testing.T) {
	for _, dir := range linkedModules(t, "{{.Dir}}") {
		files, err := filepath.Glob(filepath.Join(dir, "[Ll][Ii][Cc][Ee][Nn][CcSs][Ee]*"))
		require.NoError(t, err)
		require.NotEmpty(t, files, "%s has no licence", dir)
		for _, file := range files {
			if info, err := os.Stat(file); err != nil || info.IsDir() {
				continue // Redpanda Connect's own, which the test above is about
			}
			text := strings.Join(strings.Fields(head(t, file)), " ")
			require.True(t, slices.ContainsFunc(licences, func(words string) bool { return strings.Contains(text, words) }),
				"%s is not one of the licences that may be linked", file)
		}
	}
}

// linkedModules tells something of each module that the binary has packages of.
func linkedModules(t *testing.T, format string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", `{{with .Module}}{{if not .Main}}`+format+`{{end}}{{end}}`, "./cmd/connect")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	modules := strings.Fields(string(out))
	slices.Sort(modules)
	modules = slices.Compact(modules)
	require.Greater(t, len(modules), 10)
	return modules
}

func head(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var b strings.Builder
	for lines := bufio.NewScanner(f); lines.Scan() && b.Len() < 2000; {
		b.WriteString(lines.Text() + "\n")
	}
	return b.String()
}
