package services

// MySQL is a MariaDB server. Kill, Stop, Start, Pause, Resume, Log, PID and Running come with it.
type MySQL struct {
	*process
	dsn string
}

// DSN is the server's address as go-sql-driver/mysql wants it.
func (m *MySQL) DSN() string { return m.dsn }
