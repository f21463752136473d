package kafka

import (
	"errors"

	"github.com/benthos-clickhouse/connect/internal/lint"
)

// rules say what is wrong with a field before the input starts; parseConfig checks the same.
const rules = lint.Plugin("kafka_exactly_once")

var (
	errNoBroker = errors.New("must name at least one broker")
	errNoTopic  = errors.New("must name at least one topic")
)

var metadataNames = []string{"topic", "partition", "offset", "key", "timestamp_ms", "timestamp_unix", "headers", "lag", "tombstone_message"}

var lintBrokers = rules.Items(kefSeedBrokers, atLeastOne(errNoBroker), func(item string) error {
	for _, broker := range commaList([]string{item}) {
		if err := checkBroker(broker); err != nil {
			return err
		}
	}
	return nil
})

var lintTopics = rules.Items(kefTopics, atLeastOne(errNoTopic), lint.Anything)

var lintBalancers = rules.Items(kefGroupBalancers, atLeastOne(errors.New("must name at least one balancer")),
	lint.OneOf("cooperative_sticky", "sticky", "range", "round_robin"))

var lintStart = rules.Check(kefStartOffset, func(text string) error {
	_, err := parseStart(text)
	return err
})

// lintWhole looks at fields that depend on each other.
var lintWhole = rules.Rule("", func(value any) (wrong []string) {
	conf, _ := value.(map[string]any)
	topics, _ := conf[kefTopics].([]any)
	if conf[kefRegexpTopics] == true {
		for _, topic := range lint.Texts(topics) {
			wrong = append(wrong, lint.Complain(kefTopics, lint.Pattern(topic))...)
		}
	}
	return wrong
})

// atLeastOne demands that a list has items, however they are written.
func atLeastOne(otherwise error) func(items []string) error {
	return func(items []string) error {
		if len(commaList(items)) == 0 {
			return otherwise
		}
		return nil
	}
}
