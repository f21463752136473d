package output

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// inserts is how many blocks each shard has taken: a MergeTree without partitions numbers them from 1.
func inserts(t testing.TB, db string) (numbers []int) {
	t.Helper()
	for _, n := range servers.Nodes {
		text := n[0].Query(t, "SELECT max(max_block_number) FROM system.parts WHERE database = '"+db+"' AND table = 'events_local'")[0][0]
		number, err := strconv.Atoi(text)
		require.NoError(t, err)
		numbers = append(numbers, number)
	}
	return numbers
}

// sendEach sends documents as batches of one message each, from so many goroutines at the same time, and returns the error of each.
func (s *stream) sendEach(ctx context.Context, docs documents, senders int) []error {
	errs := make([]error, len(docs))
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for i := sender; i < len(docs); i += senders {
				errs[i] = s.sendAll(ctx, batch(docs[i:i+1]))
			}
		})
	}
	wg.Wait()
	return errs
}

func TestStreamGathersSmallBatches(t *testing.T) {
	const rows = 2500
	for name, test := range map[string]struct {
		config   string
		gathered bool
	}{
		"by itself":       {"", true},
		"but not ordered": {"  max_in_flight: 1\n", false},
		"nor by count: 1": {"  batching: { count: 1 }\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			db := tables(t)
			s := pipeline(t, common(db)+test.config)
			n := rows
			if !test.gathered {
				n = 200 // one insert each
			}
			for _, err := range s.sendEach(t.Context(), events(0, n), 250) {
				require.NoError(t, err)
			}
			requireAll(t, db, n)
			blocks := inserts(t, db)
			if !test.gathered {
				require.Equal(t, n, blocks[0]+blocks[1])
				return
			}
			t.Logf("%d messages in %v inserts", n, blocks)
			for _, number := range blocks {
				require.Less(t, number, n/8, "inserts into a shard of what came one by one")
			}
		})
	}
}

// A batch that comes alone is inserted by itself, and with it all that waits for it.
func TestStreamGathersNothingWithoutLoad(t *testing.T) {
	db := tables(t)
	s := pipeline(t, common(db))
	for i := range 20 {
		require.NoError(t, s.sendAll(t.Context(), batch(events(i, i+1))))
	}
	requireAll(t, db, 20)
	blocks := inserts(t, db)
	require.Equal(t, 20, blocks[0]+blocks[1])
}

func TestStreamRejectedRowsFailTheirOwnBatch(t *testing.T) {
	db := tables(t)
	s := pipeline(t, common(db))
	docs := events(0, 400)
	docs[17] = `{"id":"seventeen"}`
	docs[301] = `{"id":301,"user_id":1,"price":-1}` // refused by the server
	for i, err := range s.sendEach(t.Context(), docs, 200) {
		if i == 17 || i == 301 {
			require.ErrorContains(t, err, "cannot be inserted", i)
			continue
		}
		require.NoError(t, err, i)
	}
	_, distinct := count(t, db)
	require.Equal(t, "398", distinct)
}

func TestStreamGatheredBatchesOutliveAShard(t *testing.T) {
	db := tables(t)
	s := pipeline(t, common(db))
	node := servers.Nodes[1][0]
	started := make(chan error, 1)
	go func() {
		time.Sleep(200 * time.Millisecond)
		err := node.Kill()
		time.Sleep(time.Second)
		if err == nil {
			err = node.Start(context.Background())
		}
		started <- err
	}()
	const rows = 5000
	docs, failed := events(0, rows), 0
	for left := docs; len(left) > 0; {
		var again documents
		for i, err := range s.sendEach(t.Context(), left, 100) {
			if err != nil {
				again, failed = append(again, left[i]), failed+1 // as an input would
			}
		}
		left = again
	}
	require.NoError(t, <-started)
	t.Logf("%d batches were sent again", failed)
	_, distinct := count(t, db)
	require.Equal(t, fmt.Sprint(rows), distinct, "rows lost")
}
