package lookup

import (
	"fmt"
	"slices"
	"sync"

	"github.com/benthos-clickhouse/connect/internal/jsonscan"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/cache"
	"github.com/benthos-clickhouse/connect/processors/dimensionjoin/source"
)

// plan is a join compiled for the schemas that the server has now. It is immutable.
type plan struct {
	joiner *Joiner
	dims   []planDim
	levels [][]int // dimensions by depth of dependency, each level after the ones that its keys come from
	fields *jsonscan.Fields
	// targets are the members that rows add to an event; spans[targetPath+i] tells whether an event has targets[i] already.
	targets    []string
	targetPath int
	targetAt   map[string]int
	saved      int // spans kept per event for keys that are made after the scan
	times      int // instants kept per event
	workers    sync.Pool
}

// planDim is a dimension within a plan.
type planDim struct {
	*dimension
	schema   *source.Schema
	identity string // of the view: all that keys and rows depend on
	view     *cache.View
	key      []fieldPlan
	time     fieldPlan
	timeAt   int // index among an event's instants; -1 without versions
	level    int
	missing  source.Row // what an event without a row is joined to
}

// fieldPlan is how a value is found.
type fieldPlan struct {
	path     int // index among the scan's spans; -1 when it is not in the event
	steps    []jsonscan.Step
	saved    int // index among an event's kept spans; -1 when it is used during the scan
	computed int // index for Event.Computed; -1
	dim, col int // the row of another dimension; dim is -1 when it does not come from one
}

// newPlan compiles the join; dims hold schema and view already.
func newPlan(j *Joiner, dims []planDim) (*plan, error) {
	p := &plan{joiner: j, dims: dims, targetAt: map[string]int{}}
	if err := p.addTargets(); err != nil {
		return nil, err
	}
	var paths [][]jsonscan.Step
	for d := range p.dims {
		dim := &p.dims[d]
		dim.timeAt = -1
		for _, ref := range dim.Key {
			f, err := p.field(d, ref, &paths)
			if err != nil {
				return nil, err
			}
			dim.key = append(dim.key, f)
		}
		if dim.Source.AsOf != nil {
			f, err := p.field(d, dim.Time, &paths)
			if err != nil {
				return nil, err
			}
			dim.time, dim.timeAt = f, p.times
			p.times++
		}
	}
	if err := p.order(); err != nil {
		return nil, err
	}
	p.saveLate()
	p.targetPath = len(paths)
	for _, t := range p.targets {
		paths = append(paths, []jsonscan.Step{{Name: t}})
	}
	var err error
	if p.fields, err = jsonscan.Compile(paths, jsonscan.Options{Duplicates: jsonscan.Last}); err != nil {
		return nil, fmt.Errorf("compiling the key fields: %w", err)
	}
	p.workers.New = func() any { return newWorker(p) }
	return p, nil
}

func (p *plan) addTargets() error {
	owner := map[string]string{}
	for d := range p.dims {
		name := p.dims[d].Source.Name
		for _, t := range p.dims[d].schema.Shape.TopLevel() {
			if other, taken := owner[t]; taken {
				return &source.SchemaError{Dimension: name, Reason: fmt.Sprintf("it adds the member %q, and so does %q: give one of them a prefix, a target or a rename", t, other)}
			}
			owner[t] = name
			p.targetAt[t] = len(p.targets)
			p.targets = append(p.targets, t)
		}
	}
	return nil
}

// field finds out where a value comes from: the row of another dimension, if that adds the member, or the event.
func (p *plan) field(d int, ref FieldRef, paths *[][]jsonscan.Step) (fieldPlan, error) {
	f := fieldPlan{path: -1, saved: -1, computed: -1, dim: -1}
	if ref.Path == nil {
		f.computed = ref.Computed
		return f, nil
	}
	parent, col, err := p.parent(d, ref.Path)
	if err != nil {
		return f, err
	}
	f.dim, f.col = parent, col
	if parent >= 0 && p.joiner.config.OnConflict == Overwrite {
		return f, nil
	}
	f.path, f.steps = len(*paths), ref.Path
	*paths = append(*paths, ref.Path)
	return f, nil
}

// parent finds the other dimension that adds the member that a path leads to.
func (p *plan) parent(d int, path []jsonscan.Step) (dim, col int, err error) {
	for other := range p.dims {
		shape := p.dims[other].schema.Shape
		if other == d || !slices.Contains(shape.TopLevel(), path[0].Name) {
			continue
		}
		within := path
		if shape.Target != "" {
			within = path[1:]
		}
		if len(within) == 1 {
			if col = slices.Index(shape.Members, within[0].Name); col >= 0 {
				return other, col, nil
			}
		}
		return 0, 0, &source.SchemaError{Dimension: p.dims[d].Source.Name, Reason: fmt.Sprintf(
			"its key field leads into %q, which dimension %q adds, but not to one of its columns", path[0].Name, p.dims[other].Source.Name)}
	}
	return -1, 0, nil
}

// order sorts the dimensions into levels.
func (p *plan) order() error {
	done := make([]bool, len(p.dims))
	for left := len(p.dims); left > 0; {
		var level []int
		for d := range p.dims {
			if !done[d] && p.ready(d, done) {
				level = append(level, d)
			}
		}
		if len(level) == 0 {
			e := &CycleError{}
			for d := range p.dims {
				if !done[d] {
					e.Dimensions = append(e.Dimensions, p.dims[d].Source.Name)
				}
			}
			return e
		}
		for _, d := range level {
			done[d] = true
			p.dims[d].level = len(p.levels)
		}
		left -= len(level)
		p.levels = append(p.levels, level)
	}
	return nil
}

// ready reports whether all dimensions that d's values come from are done.
func (p *plan) ready(d int, done []bool) bool {
	for _, f := range p.dims[d].fields() {
		if f.dim >= 0 && !done[f.dim] {
			return false
		}
	}
	return true
}

func (p *planDim) fields() []*fieldPlan {
	var out []*fieldPlan
	for i := range p.key {
		out = append(out, &p.key[i])
	}
	if p.timeAt >= 0 {
		out = append(out, &p.time)
	}
	return out
}

// saveLate gives the values of later levels that the scan finds a place to be kept in.
func (p *plan) saveLate() {
	for d := range p.dims {
		if p.dims[d].level == 0 {
			continue
		}
		for _, f := range p.dims[d].fields() {
			if f.path >= 0 {
				f.saved = p.saved
				p.saved++
			}
		}
	}
}
