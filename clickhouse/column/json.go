package column

import (
	"github.com/benthos-clickhouse/connect/internal/jsonscan"
)

// jsonCodec is JSON, with or without parameters: a JSON object, sent as its text for the server to take apart. (ClickHouse reads it as
// serialization version 1, "string", of Serializations/SerializationObject.cpp.)
func jsonCodec(t *Type, _ *environment) (*codec, error) {
	c := textCodec(t, func(_ *scratch, src []byte, s jsonscan.Span) ([]byte, error) {
		if s.Kind != jsonscan.Object {
			return nil, notA(src, s, "an object")
		}
		return src[s.Start:s.End], nil
	}, true)
	c.value = nil
	return c, nil
}
