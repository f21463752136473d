package jsonscan

import "fmt"

// Duplicates says what happens when an object has a member twice that the paths lead to or through. Members that no path
// touches are never compared with each other.
type Duplicates uint8

const (
	// Last lets the last occurrence win, with all that is below it, as encoding/json does for a map.
	Last Duplicates = iota
	// Reject fails the document with a *DuplicateError.
	Reject
)

// DefaultMaxDepth is how deep objects and arrays may nest when Options.MaxDepth is 0.
const DefaultMaxDepth = 1000

// Options configure Compile.
type Options struct {
	Duplicates Duplicates
	// TrackUnknown makes Scanner.Unknown list the top-level members that no path wants.
	TrackUnknown bool
	// MaxDepth bounds the nesting of objects and arrays, the document itself being at depth 1. 0 means DefaultMaxDepth.
	MaxDepth int
	// StopEarly ends the scan at the first moment when every path has a value, without looking at the rest. It is for reading a
	// few keys of a document that a later stage scans in full, and has a price: what follows is neither validated nor tracked,
	// and a member given again further on is not noticed, so that the first complete set of values wins rather than the last (and
	// Reject cannot reject it). A document that lacks a wanted field is scanned in full.
	StopEarly bool
}

// Fields is a compiled set of paths. It is immutable and may be shared between goroutines.
type Fields struct {
	nodes []node // nodes[0] is the document
	paths int
	opts  Options
}

// node is a place that the paths lead to or through.
type node struct {
	spans   []int32 // the paths that end here
	members []member
	elems   []elem // in ascending order of index
}

type member struct {
	name string
	node int32
}

type elem struct {
	index int
	node  int32
}

// leaf reports whether nothing below the node is wanted.
func (n *node) leaf() bool { return len(n.members) == 0 && len(n.elems) == 0 }

// Compile prepares the paths; spans[i] of a Scan belongs to paths[i]. A path may be given twice, and one may lead through
// another. The error is a *PathError.
func Compile(paths [][]Step, opts Options) (*Fields, error) {
	if opts.MaxDepth < 0 {
		return nil, fmt.Errorf("jsonscan: MaxDepth %d is negative", opts.MaxDepth)
	}
	if opts.MaxDepth == 0 {
		opts.MaxDepth = DefaultMaxDepth
	}
	f := &Fields{nodes: make([]node, 1), paths: len(paths), opts: opts}
	for i, path := range paths {
		if len(path) == 0 {
			return nil, &PathError{Reason: "is empty"}
		}
		if path[0].Name == "" {
			return nil, &PathError{Path: formatPath(path), Reason: "begins with an index, but a document is an object"}
		}
		if len(path) > opts.MaxDepth { // so that the scanner, where it follows a path, need not count
			return nil, &PathError{Path: formatPath(path), Reason: fmt.Sprintf("is deeper than MaxDepth %d", opts.MaxDepth)}
		}
		at := int32(0)
		for _, step := range path {
			if step.Name == "" && step.Index < 0 {
				return nil, &PathError{Path: formatPath(path), Reason: "has a negative index"}
			}
			at = f.below(at, step)
		}
		f.nodes[at].spans = append(f.nodes[at].spans, int32(i))
	}
	return f, nil
}

// below returns the node that one step leads to, and makes it if need be.
func (f *Fields) below(at int32, step Step) int32 {
	n := &f.nodes[at]
	added := int32(len(f.nodes))
	if step.Name != "" {
		for _, m := range n.members {
			if m.name == step.Name {
				return m.node
			}
		}
		n.members = append(n.members, member{step.Name, added})
	} else {
		i := 0
		for i < len(n.elems) && n.elems[i].index < step.Index {
			i++
		}
		if i < len(n.elems) && n.elems[i].index == step.Index {
			return n.elems[i].node
		}
		n.elems = append(n.elems, elem{})
		copy(n.elems[i+1:], n.elems[i:])
		n.elems[i] = elem{step.Index, added}
	}
	f.nodes = append(f.nodes, node{})
	return added
}
