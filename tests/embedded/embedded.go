// Package embedded runs a Kafka broker (kfake) and a MySQL server (go-mysql-server) inside this process, for the demo: on a
// machine with Go alone, neither root nor Java nor a container is needed.
//
// It owns nothing that a promise is tested with: those tests use the real servers of package services.
package embedded

import (
	"context"
	"fmt"
	"net"
	"strconv"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/memory"
	"github.com/dolthub/go-mysql-server/server"
	"github.com/dolthub/go-mysql-server/sql"
	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Kafka is a broker in this process.
type Kafka struct {
	cluster *kfake.Cluster
}

// StartKafka starts a broker on a free port of 127.0.0.1 that creates topics of the given number of partitions as they are named.
func StartKafka(partitions int) (*Kafka, error) {
	c, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.Ports(0),
		kfake.AllowAutoTopicCreation(),
		kfake.DefaultNumPartitions(partitions),
	)
	if err != nil {
		return nil, fmt.Errorf("starting the embedded Kafka broker: %w", err)
	}
	return &Kafka{cluster: c}, nil
}

// Addr is the broker's host:port.
func (k *Kafka) Addr() string { return k.cluster.ListenAddrs()[0] }

// Close stops the broker; what it held is gone.
func (k *Kafka) Close() { k.cluster.Close() }

// MySQL is a server in this process with one empty database, "shop", and the user root without a password.
type MySQL struct {
	server *server.Server
	addr   string
	done   chan error
}

// StartMySQL starts a server on a free port of 127.0.0.1.
func StartMySQL() (*MySQL, error) {
	logrus.SetLevel(logrus.FatalLevel) // the server logs each connection

	// No indexes: this engine's memory tables scan all rows for each key that an index is asked for, and once for all keys
	// of an IN list without one.
	db := memory.NewDatabase("shop")
	provider := memory.NewDBProvider(db)
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(
		server.Config{Protocol: "tcp", Address: addr},
		sqle.NewDefault(provider), sql.NewContext, memory.NewSessionBuilder(provider), nil)
	if err != nil {
		return nil, fmt.Errorf("starting the embedded MySQL server: %w", err)
	}
	m := &MySQL{server: s, addr: addr, done: make(chan error, 1)}
	go func() { m.done <- s.Start() }()
	return m, nil
}

// DSN is the data source name for go-sql-driver/mysql.
func (m *MySQL) DSN() string { return "root@tcp(" + m.addr + ")/shop" }

// Close stops the server; what it held is gone.
func (m *MySQL) Close() {
	_ = m.server.Close()
	<-m.done
}

func freeAddr() (string, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return "127.0.0.1:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}
