package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func sampleLog() intentLog {
	at := time.Unix(1_790_000_000, 0)
	return intentLog{
		topicID:   [16]byte{1, 2, 3},
		watermark: 1_000_000,
		ranges: []loggedRange{
			{from: 1_000_000, to: 1_100_000, intents: []loggedIntent{
				{sink: "dw.events", at: at, digest: 1<<63 + 5, layout: []byte("layout-a")},
				{sink: "dw.other", at: at.Add(time.Minute), digest: 7, layout: []byte("layout-b"), lookUp: true},
			}},
			{from: 1_150_000, to: 1_200_000, done: true},
			{from: 1_200_000, to: 1_200_001, intents: []loggedIntent{{sink: "dw.events", at: at, digest: 9, layout: []byte("layout-a")}}},
		},
	}
}

func TestIntentLogRoundTrip(t *testing.T) {
	for name, l := range map[string]intentLog{
		"empty":  {topicID: [16]byte{9}, watermark: 42},
		"zero":   {},
		"sample": sampleLog(),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeIntents(l.encode(), l.watermark)
			require.NoError(t, err)
			require.Equal(t, l.topicID, got.topicID)
			require.Equal(t, l.watermark, got.watermark)
			require.Len(t, got.ranges, len(l.ranges))
			for i, r := range l.ranges {
				require.Equal(t, r, got.ranges[i])
			}
		})
	}
}

func TestIntentLogIsSmall(t *testing.T) {
	l := intentLog{watermark: 5_000_000_000}
	layout := []byte(strings.Repeat("s", 64))
	for i := range int64(100) {
		from := l.watermark + i*100_000
		l.ranges = append(l.ranges, loggedRange{from: from, to: from + 100_000, intents: []loggedIntent{
			{sink: "dw.events", at: time.Unix(1_790_000_000+i, 0), digest: uint64(i) << 50, layout: layout},
		}})
	}
	require.Less(t, len(l.encode()), 2600, "a hundred prepared ranges")
}

func TestDoneRangesThatTouchAreOne(t *testing.T) {
	l := intentLog{ranges: []loggedRange{{from: 5, to: 6, done: true}, {from: 6, to: 9, done: true}, {from: 10, to: 12, done: true}}}
	got, err := decodeIntents(l.encode(), 0)
	require.NoError(t, err)
	require.Equal(t, []loggedRange{{from: 5, to: 9, done: true}, {from: 10, to: 12, done: true}}, got.ranges)
}

func TestForeignMetadataIsTold(t *testing.T) {
	for _, metadata := range []string{"", "rdkafka-4f2a", "connect-1-8c6e", `{"version":1}`, "eos: producer 7", "eo:"} {
		_, err := decodeIntents(metadata, 0)
		require.ErrorIs(t, err, ErrForeignMetadata, metadata)
	}
	l := sampleLog()
	_, err := decodeIntents(l.encode(), l.watermark+1)
	require.ErrorIs(t, err, ErrForeignMetadata, "offset was moved under it")
}

func TestDamagedMetadataIsRefused(t *testing.T) {
	l := sampleLog()
	good := l.encode()
	for name, c := range map[string]struct{ metadata, errContains string }{
		"cut off":       {good[:len(good)-3], "checksum"},
		"one character": {good[:4] + "_" + good[5:], "checksum"},
		"not base64":    {"eo1:€", "illegal base64"},
		"nothing":       {"eo1:", "too short"},
		"newer version": {"eo2:AAAA", "another version"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decodeIntents(c.metadata, l.watermark)
			var damaged *MetadataError
			require.ErrorAs(t, err, &damaged)
			require.ErrorContains(t, err, c.errContains)
		})
	}
}

func FuzzDecodeIntents(f *testing.F) {
	l := sampleLog()
	f.Add(l.encode(), l.watermark)
	f.Add("eo1:", int64(0))
	f.Fuzz(func(t *testing.T, metadata string, watermark int64) {
		got, err := decodeIntents(metadata, watermark)
		if err != nil {
			return
		}
		again, err := decodeIntents(got.encode(), watermark)
		require.NoError(t, err)
		require.Equal(t, got.topicID, again.topicID)
	})
}
