// Command launcher turns libchdb.so, ClickHouse as a library, into a ClickHouse server process.
//
// It owns nothing but the call: the library's clickhouse-local entry point is run with a configuration file and a query
// that opens the TCP and HTTP listeners and then sleeps. It must never grow an option of its own: what a server is to
// look like belongs into the configuration that package services writes.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// entryPoint is the exported function that takes clickhouse-local's command line.
const entryPoint = "query_stable_v2"

// serve is what the embedded clickhouse-local executes: listeners are opened by statements, since clickhouse-local
// starts without any, and the sleep (a day, one row a second, again and again) keeps the process alive.
const serve = `SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP;
SELECT sleepEachRow(1) FROM numbers(31536000)
SETTINGS function_sleep_max_microseconds_per_block = 0, max_block_size = 1, max_execution_time = 0, max_rows_to_read = 0
FORMAT Null`

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: launcher LIBCHDB.so CONFIG.xml LOG_LEVEL")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "launcher:", err)
		os.Exit(1)
	}
}

func run(library, config, logLevel string) error {
	// The library keeps thread-local state for the thread that called it, and its main thread is that one.
	runtime.LockOSThread()

	// The sleeping query does not look at signals while it is inside a block, so termination is ours to do. Data is
	// durable at any moment (MergeTree parts are renamed into place), which makes leaving at once a clean stop.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		os.Exit(0)
	}()

	lib, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return fmt.Errorf("loading %s: %w", library, err)
	}
	var query func(argc int32, argv **byte) unsafe.Pointer
	purego.RegisterLibFunc(&query, lib, entryPoint)
	if err := keepServing(lib, library); err != nil {
		return fmt.Errorf("turning the library into a server: %w", err)
	}

	// The level is an argument, since clickhouse-local ignores the one in its configuration and traces everything.
	args := []string{"clickhouse", "--config-file=" + config, "--log-level=" + logLevel, "--query", serve}
	argv := make([]*byte, 0, len(args)+1)
	for _, a := range args {
		argv = append(argv, unsafe.StringData(a+"\x00"))
	}
	argv = append(argv, nil)
	query(int32(len(args)), &argv[0])
	return errors.New("the server ended by itself: its log says why")
}
