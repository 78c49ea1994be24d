// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"cmp"
	"math"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
)

// A condition on one argument of a call: it is in a range of values, or some of
// its bits are as wanted.
type condition struct {
	arg    uint
	ranges []interval // of an argument without a mask
	mask   uint64     // 0: ranges
	bits   uint64
}

// interval is the values from first to last, both included.
type interval struct{ first, last uint64 }

// newCondition: ok is false for an operator that the OCI spec does not have.
func newCondition(a specs.LinuxSeccompArg) (c condition, ok bool) {
	in := func(ranges ...interval) (condition, bool) { return condition{arg: a.Index, ranges: ranges}, true }
	v := a.Value
	switch a.Op {
	case specs.OpEqualTo:
		return in(interval{v, v})
	case specs.OpNotEqual:
		return in(append(below(v), above(v)...)...)
	case specs.OpLessThan:
		return in(below(v)...)
	case specs.OpLessEqual:
		return in(interval{0, v})
	case specs.OpGreaterThan:
		return in(above(v)...)
	case specs.OpGreaterEqual:
		return in(interval{v, math.MaxUint64})
	case specs.OpMaskedEqual:
		if v == 0 {
			return in(interval{0, math.MaxUint64})
		}
		// libseccomp ignores what is wanted of bits outside of the mask.
		return condition{arg: a.Index, mask: v, bits: a.ValueTwo & v}, true
	default:
		return condition{}, false
	}
}

func below(v uint64) []interval {
	if v == 0 {
		return nil
	}
	return []interval{{0, v - 1}}
}

func above(v uint64) []interval {
	if v == math.MaxUint64 {
		return nil
	}
	return []interval{{v + 1, math.MaxUint64}}
}

// on returns the node that goes to yes where the condition holds.
func (c condition) on(g nodes, yes, no *node) *node {
	if c.mask != 0 {
		return g.masked(c.arg, c.mask, c.bits, yes, no)
	}
	return g.within(c.arg, c.ranges, yes, no)
}

func (g nodes) masked(arg uint, mask, bits uint64, yes, no *node) *node {
	n := yes
	for _, h := range []struct {
		word       word
		mask, bits uint32
	}{{low(arg), uint32(mask), uint32(bits)}, {high(arg), uint32(mask >> 32), uint32(bits >> 32)}} {
		if h.mask != 0 {
			n = g.test(word{h.word.offset, h.mask}, bpf.JumpEqual, h.bits, n, no)
		}
	}
	return n
}

// within tests whether an argument is in one of some ranges, first its high
// half, and its low half where the high one does not tell.
func (g nodes) within(arg uint, ranges []interval, yes, no *node) *node {
	edges := edgesOf(ranges)
	at := no
	spans := []span{{0, at}}
	for len(edges) > 0 {
		top := uint32(edges[0].at >> 32)
		lows := []span{{0, at}}
		for ; len(edges) > 0 && uint32(edges[0].at>>32) == top; edges = edges[1:] {
			at = no
			if edges[0].inside {
				at = yes
			}
			lows = add(lows, span{uint32(edges[0].at), at})
		}
		spans = add(spans, span{top, g.search(low(arg), lows)})
		if top != allBits {
			spans = add(spans, span{top + 1, at})
		}
	}
	return g.search(high(arg), spans)
}

// An edge is a value from which on an argument is inside of some ranges, or not.
type edge struct {
	at     uint64
	inside bool
}

// edgesOf returns the edges of ranges, which may overlap, in rising order.
func edgesOf(ranges []interval) []edge {
	sorted := slices.SortedFunc(slices.Values(ranges), func(a, b interval) int {
		return cmp.Compare(a.first, b.first)
	})
	var edges []edge
	for i := 0; i < len(sorted); {
		r := sorted[i]
		for i++; i < len(sorted) && (r.last == math.MaxUint64 || sorted[i].first <= r.last+1); i++ {
			r.last = max(r.last, sorted[i].last)
		}
		edges = append(edges, edge{r.first, true})
		if r.last != math.MaxUint64 {
			edges = append(edges, edge{r.last + 1, false})
		}
	}
	return edges
}
