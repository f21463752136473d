package services_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/benthos-clickhouse/connect/tests/services"
)

// parentVariable makes this test binary a program that starts a server and is then killed by a test.
const parentVariable = "SERVICES_TEST_PARENT"

func TestMain(m *testing.M) {
	// These tests are about servers of our own, whatever the other suites are to run against.
	for _, name := range []string{"CLICKHOUSE_ADDR", "KAFKA_ADDR", "MYSQL_DSN"} {
		os.Unsetenv(name)
	}
	if os.Getenv(parentVariable) == "" {
		os.Exit(m.Run())
	}
	c, err := services.Start(context.Background(), services.Options{ClickHouse: true})
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, c.Servers[0].PID(), c.Dir)
	select {}
}

func TestServersDieWithTheirParent(t *testing.T) {
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), parentVariable+"=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pidText, dir, ok := strings.Cut(strings.TrimSpace(line), " ")
	require.True(t, ok, line)
	pid, err := strconv.Atoi(pidText)
	require.NoError(t, err, line)
	require.NoError(t, syscall.Kill(pid, 0))
	require.DirExists(t, dir)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP), "a frozen server has to go as well")

	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	require.Eventually(t, func() bool { return gone(pid) }, 30*time.Second, 20*time.Millisecond)

	// The next start removes what the killed one has left.
	services.Run(t, services.Options{ClickHouse: true})
	require.NoDirExists(t, dir)
}

// gone reports whether a process has ended; an orphan that nobody has waited for yet has.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestPauseAndStop(t *testing.T) {
	c := services.Run(t, services.Options{ClickHouse: true})
	n := c.Servers[0]
	pid := n.PID()
	require.NoError(t, n.Pause())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := n.QueryContext(ctx, "SELECT 1")
	require.ErrorContains(t, err, "deadline exceeded")
	require.NoError(t, n.Resume())
	require.Equal(t, "1", n.Value(t, "SELECT 1"))

	require.NoError(t, n.Pause())
	c.Stop()
	require.True(t, gone(pid))
	require.NoDirExists(t, c.Dir)
	require.Error(t, n.Pause())
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	_, err := services.Start(t.Context(), services.Options{ClickHouse: true, ExtraConfig: "<not closed>", Log: t.Output()})
	var exit *services.ExitError
	require.ErrorAs(t, err, &exit)
	require.ErrorContains(t, err, "clickhouse-01-01 ended by itself")
}

func TestDirectoryIsFoundAgain(t *testing.T) {
	opts := services.Options{ClickHouse: true, Kafka: true, MariaDB: true, Dir: filepath.Join(t.TempDir(), "servers")}
	before := services.Run(t, opts)
	before.Exec(t, "CREATE DATABASE dw; CREATE TABLE dw.t (id UInt64) ENGINE = MergeTree ORDER BY id; INSERT INTO dw.t VALUES (7)")
	before.MySQL.Exec(t, "CREATE TABLE t (id INT); INSERT INTO t VALUES (8)")
	before.Kafka.CreateTopic(t, "kept", 3)
	before.Stop()
	require.False(t, before.Kafka.Running())

	after := services.Run(t, opts)
	require.Equal(t, "7", after.Servers[0].Value(t, "SELECT id FROM dw.t"))
	var id int
	require.NoError(t, after.MySQL.DB(t).QueryRowContext(t.Context(), "SELECT id FROM t").Scan(&id))
	require.Equal(t, 8, id)
	topics, err := after.Kafka.Admin(t).ListTopics(t.Context(), "kept")
	require.NoError(t, err)
	require.Len(t, topics["kept"].Partitions, 3)
}
