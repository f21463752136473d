package lint

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Required refuses nothing but an empty text.
func Required(text string) error {
	if text == "" {
		return errors.New("is required")
	}
	return nil
}

// Anything is for lists of which only the items matter, or only the whole.
func Anything[T any](T) error { return nil }

// Duration takes a time above zero.
func Duration(text string) error {
	if d, err := time.ParseDuration(text); err != nil || d <= 0 {
		return fmt.Errorf("%q is not a duration above zero, such as 30s", text)
	}
	return nil
}

// DurationOrZero takes zero as well.
func DurationOrZero(text string) error {
	if d, err := time.ParseDuration(text); err != nil || d < 0 {
		return fmt.Errorf("%q is not a duration such as 10s", text)
	}
	return nil
}

// ParseSize reads a number of bytes from 1 to the limit. Constructors read with it too, so that sizes are spelt alike everywhere.
func ParseSize(text string, limit uint64) (int64, error) {
	n, err := humanize.ParseBytes(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a size such as 8MiB", text)
	case n < 1 || n > limit:
		return 0, fmt.Errorf("%q is not a size between 1B and %s", text, humanize.IBytes(limit))
	}
	return int64(n), nil
}

// AtLeast takes numbers from least on.
func AtLeast(least int) func(string) error {
	return func(text string) error {
		if n, err := strconv.ParseFloat(text, 64); err != nil || n < float64(least) {
			return fmt.Errorf("must be at least %d", least)
		}
		return nil
	}
}

// OneOf takes some names.
func OneOf(names ...string) func(string) error {
	return func(text string) error {
		if !slices.Contains(names, text) {
			return fmt.Errorf("%q is not one of %s", text, strings.Join(names, ", "))
		}
		return nil
	}
}

// Pattern takes regular expressions.
func Pattern(text string) error {
	if _, err := regexp.Compile(text); err != nil {
		return fmt.Errorf("%q is not a regular expression: %w", text, err)
	}
	return nil
}
