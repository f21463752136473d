package binlog

import "fmt"

// SettingError reports a server that cannot be followed as it is set up.
type SettingError struct{ Setting, Value, Want string }

func (e *SettingError) Error() string {
	return fmt.Sprintf("the server has %s=%s: following its binlog needs %s", e.Setting, e.Value, e.Want)
}

// PrivilegeError reports an account that may not follow the server.
type PrivilegeError struct {
	Privilege string
	Err       error
}

func (e *PrivilegeError) Error() string {
	return fmt.Sprintf("the account may not follow the binlog: GRANT %s ON *.* TO it: %v", e.Privilege, e.Err)
}

func (e *PrivilegeError) Unwrap() error { return e.Err }

// GapError says that the server does not have, or does not send, what follows the last position.
type GapError struct {
	Reason string
	Err    error // what the server said, if it said anything
}

func (e *GapError) Error() string {
	if e.Err == nil {
		return e.Reason
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.Err)
}

func (e *GapError) Unwrap() error { return e.Err }
