// Package uncleared makes large byte slices without the pass over their memory that make spends on clearing it. It owns nothing but
// that; it must never hand out bytes that were not written.
package uncleared

import (
	"strings"
	"unsafe"
)

// Bytes returns an empty slice with room for n bytes at least. It leaves the first touch of each page to what is appended.
func Bytes(n int) []byte {
	if n <= 0 {
		return nil
	}
	var b strings.Builder
	b.Grow(n)
	b.WriteByte(0)
	// The string shares the builder's array, which Grow made on the heap with room for n bytes at least. Both are dropped here, so that
	// nobody holds those bytes as a string.
	return unsafe.Slice(unsafe.StringData(b.String()), n)[:0]
}
