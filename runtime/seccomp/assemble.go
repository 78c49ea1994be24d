// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"encoding/binary"
	"slices"

	"golang.org/x/net/bpf"
)

// An assembler writes a program from its end to its beginning, as jumps only
// lead forward: out is in reverse order, and a position is an index into it.
type assembler struct {
	out    []bpf.Instruction
	placed map[place]int
}

// A place is where a node begins: with or without its word in the accumulator.
type place struct {
	node   *node
	loaded bool
}

// assemble returns the instructions of a decision.
func assemble(root *node) []bpf.Instruction {
	a := &assembler{placed: make(map[place]int)}
	a.put(root, word{})
	slices.Reverse(a.out)
	return a.out
}

// put writes what of n is not there yet, for an accumulator that holds have, and
// returns where it begins.
func (a *assembler) put(n *node, have word) place {
	p := place{n, n.leaf || have == n.word}
	if _, ok := a.placed[p]; ok {
		return p
	}
	if n.leaf {
		a.emit(p, bpf.RetConstant{Val: n.action})
		return p
	}
	a.jump(n, a.put(n.yes, n.word), a.put(n.no, n.word))
	if !p.loaded {
		if n.word.mask != allBits {
			a.emit(p, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: n.word.mask})
		}
		a.emit(p, bpf.LoadAbsolute{Off: n.word.offset, Size: 4})
	}
	return p
}

func (a *assembler) emit(p place, instruction bpf.Instruction) {
	a.placed[p] = len(a.out)
	a.out = append(a.out, instruction)
}

// skip is how many instructions a jump passes over that is written next.
func (a *assembler) skip(p place) int { return len(a.out) - a.placed[p] - 1 }

// jump writes the test of n. It has 8 bits for each distance; what is further
// away gets a step in between.
func (a *assembler) jump(n *node, yes, no place) {
	const farthest = 255
	for a.skip(yes) > farthest || a.skip(no) > farthest {
		if a.skip(no) > farthest {
			a.bringNear(no)
		} else {
			a.bringNear(yes)
		}
	}
	a.emit(place{n, true}, bpf.JumpIf{
		Cond: n.test, Val: n.value,
		SkipTrue: uint8(a.skip(yes)), SkipFalse: uint8(a.skip(no)),
	})
}

func (a *assembler) bringNear(p place) {
	if p.node.leaf {
		a.emit(p, bpf.RetConstant{Val: p.node.action})
	} else {
		a.emit(p, bpf.Jump{Skip: uint32(a.skip(p))})
	}
}

func encode(instructions []bpf.Instruction) (Program, error) {
	raw, err := bpf.Assemble(instructions)
	if err != nil {
		return nil, err
	}
	return binary.Append(nil, binary.NativeEndian, raw)
}
