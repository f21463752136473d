package services

// Broker is an Apache Kafka broker. Kill, Stop, Start, Pause, Resume, Log, PID and Running come with it.
type Broker struct {
	*process
	addr string
}

// Addr is host:port of the broker.
func (b *Broker) Addr() string { return b.addr }
