package binlog

import (
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// place is a point of a server's binlog.
type place struct {
	file   string
	offset uint64
}

// before compares places of one server: files are numbered upwards.
func (p place) before(q place) bool {
	if p.file != q.file {
		return len(p.file) < len(q.file) || (len(p.file) == len(q.file) && p.file < q.file)
	}
	return p.offset < q.offset
}

// position is how far the follower has got: always file and offset, and the GTIDs where the server has them.
type position struct {
	place
	gtid mysql.GTIDSet
}

func (p *position) known() bool { return p.file != "" }

// has reports whether everything up to another position by GTID has been executed at this one.
func (p *position) has(other position) bool {
	return p.gtid != nil && other.gtid != nil && p.gtid.Contain(other.gtid)
}

// String is for messages.
func (p position) String() string {
	if p.gtid != nil {
		return p.gtid.String()
	}
	return fmt.Sprintf("%s:%d", p.file, p.offset)
}

// advance notes the end of a transaction.
func (p *position) advance(offset uint32, gtid string) error {
	if offset > 0 {
		p.offset = uint64(offset)
	}
	if p.gtid == nil || gtid == "" {
		return nil
	}
	if err := addGTID(p.gtid, gtid); err != nil {
		return fmt.Errorf("adding GTID %s: %w", gtid, err)
	}
	return nil
}

// addGTID adds one. Of MariaDB's there is one per domain, the last: the library keeps one of each server that has written to
// the domain, which no server takes for a position.
func addGTID(set mysql.GTIDSet, text string) error {
	mariadb, ok := set.(*mysql.MariadbGTIDSet)
	if !ok {
		return set.Update(text)
	}
	gtid, err := mysql.ParseMariadbGTID(text)
	if err != nil {
		return err
	}
	mariadb.Sets[gtid.DomainID] = map[uint32]*mysql.MariadbGTID{gtid.ServerID: gtid}
	return nil
}

// open asks the server for what follows the position.
func (p *position) open(syncer *replication.BinlogSyncer) (*replication.BinlogStreamer, error) {
	if p.gtid != nil {
		return syncer.StartSyncGTID(p.gtid.Clone())
	}
	return syncer.StartSync(mysql.Position{Name: p.file, Pos: uint32(p.offset)})
}

// parseGTIDs reads what a server has executed. There are none when there is nothing to read, as that would mean everything
// since the first transaction, and where MySQL has tagged GTIDs (uuid:tag:1-5), which the replication library cannot ask for:
// the server is followed by file and offset then.
func parseGTIDs(flavor, text string) (mysql.GTIDSet, error) {
	text = strings.ReplaceAll(text, "\n", "")
	if text == "" || (flavor == mysql.MySQLFlavor && isTagged(text)) {
		return nil, nil
	}
	set, err := mysql.ParseGTIDSet(flavor, text)
	if err != nil {
		return nil, fmt.Errorf("reading the server's GTIDs %q: %w", text, err)
	}
	return set, nil
}

// isTagged looks for a part of a set that is neither UUID nor interval.
func isTagged(text string) bool {
	for _, set := range strings.Split(text, ",") {
		_, intervals, _ := strings.Cut(set, ":")
		if strings.Trim(intervals, "0123456789-: ") != "" {
			return true
		}
	}
	return false
}
