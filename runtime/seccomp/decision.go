// SPDX-License-Identifier: Apache-2.0

package seccomp

import "golang.org/x/net/bpf"

// A word is what one test looks at: 32 bits of struct seccomp_data (seccomp(2))
// at an offset in bytes, masked.
type word struct{ offset, mask uint32 }

const allBits = ^uint32(0)

var (
	callNumber   = word{offset: 0, mask: allBits}
	architecture = word{offset: 4, mask: allBits}
)

// low and high are the halves of an argument of 64 bits. Both architectures that
// guests run on are little-endian.
func low(arg uint) word  { return word{offset: 16 + 8*uint32(arg), mask: allBits} }
func high(arg uint) word { return word{offset: 20 + 8*uint32(arg), mask: allBits} }

// A node decides what happens to a call: a leaf knows, any other tests a word
// and leaves it to one of two nodes.
type node struct {
	leaf    bool
	action  uint32 // of a leaf: SECCOMP_RET_*
	word    word
	test    bpf.JumpTest // JumpEqual or JumpGreaterOrEqual
	value   uint32
	yes, no *node
}

// nodes makes equal nodes one, so that they can be compared by address and are
// in the program once.
type nodes map[node]*node

func (g nodes) intern(n node) *node {
	known, ok := g[n]
	if !ok {
		known = &n
		g[n] = known
	}
	return known
}

func (g nodes) leaf(action uint32) *node { return g.intern(node{leaf: true, action: action}) }

func (g nodes) test(w word, test bpf.JumpTest, value uint32, yes, no *node) *node {
	if yes == no {
		return yes
	}
	return g.intern(node{word: w, test: test, value: value, yes: yes, no: no})
}

// A span is the values of a word from one number up to the next span's.
type span struct {
	from uint32
	then *node
}

// add appends a span to a list in rising order. Of two that begin at the same
// value the second counts, and of neighbours that are the same one is left.
func add(spans []span, s span) []span {
	if n := len(spans); n > 0 && spans[n-1].from == s.from {
		spans = spans[:n-1]
	}
	if n := len(spans); n > 0 && spans[n-1].then == s.then {
		return spans
	}
	return append(spans, s)
}

// search finds the span of a word's value by bisection. The first span begins
// at 0. The kernel runs a new filter for each call's number, and compiles it, so
// both its depth and its length are paid for at every installation. In profiles
// single values stand out, so an odd number of spans goes to the lower half:
// three of them may be one test.
func (g nodes) search(w word, spans []span) *node {
	switch n := len(spans); {
	case n == 1:
		return spans[0].then
	case n == 2:
		return g.test(w, bpf.JumpGreaterOrEqual, spans[1].from, spans[1].then, spans[0].then)
	case n == 3 && spans[0].then == spans[2].then && spans[2].from == spans[1].from+1:
		return g.test(w, bpf.JumpEqual, spans[1].from, spans[1].then, spans[0].then)
	default:
		half := n/2 | 1
		return g.test(w, bpf.JumpGreaterOrEqual, spans[half].from,
			g.search(w, spans[half:]), g.search(w, spans[:half]))
	}
}
