package services

import (
	"errors"
	"fmt"
)

// ErrNotOurs is returned when a server that the environment named (CLICKHOUSE_ADDR, KAFKA_ADDR, MYSQL_DSN) is to be
// killed, stopped, paused or started: it belongs to the user.
var ErrNotOurs = errors.New("the server was named by the environment and is not ours to start or stop")

// InstallError says that something a server needs is missing and could not be installed.
type InstallError struct {
	What   string // what is missing
	ByHand string // the command or variable that helps
	Err    error  // why installing it failed
}

func (e *InstallError) Error() string {
	return fmt.Sprintf("%s is missing and could not be installed: %v\nby hand: %s", e.What, e.Err, e.ByHand)
}

func (e *InstallError) Unwrap() error { return e.Err }

// ExitError says that a server ended although nobody stopped it, with the end of its log.
type ExitError struct {
	Server string
	Err    error // from waiting for the process; nil when it exited with 0
	Log    string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s ended by itself (%v); the end of its log:\n%s", e.Server, e.Err, e.Log)
}

func (e *ExitError) Unwrap() error { return e.Err }
