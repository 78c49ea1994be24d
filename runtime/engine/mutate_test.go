// SPDX-License-Identifier: Apache-2.0

package engine

import (
	stdbinary "encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// A mutator changes modules: the same seed, the same changes. It keeps sections
// framed, mostly, so that what is inside them gets as far as it can.
type mutator struct{ *rand.Rand }

func newMutator(seed uint64) mutator { return mutator{rand.New(rand.NewPCG(seed, 0))} }

type section struct {
	id      byte
	content []byte
}

func isCode(s section) bool { return s.id == binary.SectionCode }

// mutate returns a copy of module with n changes.
func (m mutator) mutate(module []byte, n int) []byte {
	var sections []section
	for s, err := range binary.Sections(module) {
		if err != nil {
			panic(err) // the modules of the tests are well-formed
		}
		if s.ID != binary.SectionCustom {
			sections = append(sections, section{s.ID, slices.Clone(s.Content)})
		}
	}
	for range n {
		sections = m.change(sections)
	}
	out := slices.Clone(module[:binary.HeaderSize])
	for _, s := range sections {
		out = append(stdbinary.AppendUvarint(append(out, s.id), uint64(len(s.content))), s.content...)
	}
	if m.IntN(20) == 0 {
		out = out[:m.IntN(len(out)+1)]
	}
	return out
}

// change makes one change: mostly to a few bytes, now and then to a section.
func (m mutator) change(sections []section) []section {
	if len(sections) == 0 {
		return sections
	}
	i := m.IntN(len(sections))
	if code := slices.IndexFunc(sections, isCode); code >= 0 && m.IntN(2) == 0 {
		sections[code].content = m.changeBytes(sections[code].content)
		return sections
	}
	switch m.IntN(12) {
	case 0:
		return slices.Delete(sections, i, i+1)
	case 1:
		return slices.Insert(sections, i, section{sections[i].id, slices.Clone(sections[i].content)})
	case 2:
		j := m.IntN(len(sections))
		sections[i], sections[j] = sections[j], sections[i]
	case 3:
		sections[i].id = byte(m.IntN(14))
	default:
		sections[i].content = m.changeBytes(sections[i].content)
	}
	return sections
}

// interesting are beginnings of integers, types and instructions that are seldom
// right: the largest numbers, memory.grow, table.grow, calls, a large br_table.
var interesting = [][]byte{
	{0}, {0x7f}, {0x80}, {0xff, 0xff, 0xff, 0xff, 0x0f}, {0xff, 0xff, 0xff, 0xff, 0x07}, {0x80, 0x80, 0x04},
	{0x40, 0}, {0xfc, 0x0f, 0}, {0x11, 0, 0}, {0x10, 0}, {0x0e, 0xff, 0xff, 0x7f}, {0x0b}, {0x00}, {0x6d}, {0xd0, 0x70},
}

func (m mutator) changeBytes(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	at := m.IntN(len(b))
	switch end := at + m.IntN(min(len(b)-at, 64)); m.IntN(6) {
	case 0:
		b[at] ^= 1 << m.IntN(8)
	case 1:
		b[at] = byte(m.Uint32())
	case 2:
		b[at]++
	case 3:
		copy(b[at:], interesting[m.IntN(len(interesting))])
	case 4:
		return slices.Delete(b, at, end)
	case 5:
		return slices.Insert(b, at, slices.Clone(b[at:end])...)
	}
	return b
}
