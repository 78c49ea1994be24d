// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"errors"
	"fmt"
)

// Counts says how much a module has of everything that its engine keeps
// something for, once for the module or in each of its instances.
type Counts struct {
	Types           uint64
	TypeValues      uint64 // parameters and results of all types
	Imports         uint64
	Functions       uint64 // that the module defines
	Tables          uint64
	TableMin        uint64 // entries of all tables at the start
	TableMax        uint64 // and at most
	Memories        uint64
	MemoryMin       uint64 // pages of all memories at the start
	MemoryMax       uint64 // and at most
	Globals         uint64
	Exports         uint64
	ExportNames     uint64 // bytes of all names
	ElementSegments uint64
	Elements        uint64 // of all segments
	DataSegments    uint64
	DataBytes       uint64 // of all segments
	CodeBytes       uint64 // of all function bodies
	CompiledBytes   uint64 // of the section with native code
}

const (
	sectionMemory  = 5
	sectionGlobal  = 6
	sectionElement = 9
	sectionData    = 11
)

// Count counts. The module need not be valid. An error, a phrase without a
// subject, may mean that the module uses a proposal that is not part of the
// specification's version 2.
func Count(module []byte) (Counts, error) {
	var c Counts
	for s, err := range Sections(module) {
		if err == nil {
			if err = c.addSection(s); err != nil && !errors.Is(err, errShared) {
				err = fmt.Errorf("is malformed: in section %d, %w", s.ID, err)
			}
		}
		if err != nil {
			return Counts{}, err
		}
	}
	return c, nil
}

func (c *Counts) addSection(s Section) error {
	r := &reader{b: s.Content}
	var err error
	switch s.ID {
	case SectionType:
		err = r.each(&c.Types, c.addType)
	case sectionTable:
		err = r.each(&c.Tables, c.addTable)
	case sectionMemory:
		err = r.each(&c.Memories, c.addMemory)
	case sectionExport:
		err = r.each(&c.Exports, c.addExport)
	case sectionElement:
		err = r.each(&c.ElementSegments, c.addElementSegment)
	case sectionData:
		err = r.each(&c.DataSegments, c.addDataSegment)
	default:
		return c.addWhole(s)
	}
	if err == nil && len(r.b) != 0 {
		err = errTrailing
	}
	return err
}

// addWhole counts sections whose content need not be looked at.
func (c *Counts) addWhole(s Section) error {
	r := &reader{b: s.Content}
	switch s.ID {
	case SectionImport:
		return r.addCount(&c.Imports)
	case SectionFunction:
		return r.addCount(&c.Functions)
	case sectionGlobal:
		return r.addCount(&c.Globals)
	case SectionCode:
		c.CodeBytes += uint64(len(s.Content))
	case SectionCustom:
		if s.Name == CompiledSection {
			c.CompiledBytes += uint64(len(s.Content))
		}
	}
	return nil
}

func (c *Counts) addType(r *reader) error {
	const function = 0x60
	form, err := r.byte()
	if err == nil && form != function {
		err = errKind
	}
	for range 2 { // parameters, results
		if err == nil {
			err = r.each(&c.TypeValues, (*reader).valueType)
		}
	}
	return err
}

func (c *Counts) addTable(r *reader) error {
	_, l, err := r.tableType()
	c.TableMin += uint64(l.min)
	c.TableMax += uint64(l.max)
	return err
}

// errShared: WasmEdge 0.14 loads a memory that threads share with the proposal
// switched off, and a guest could wait in it where no signal ends it.
var errShared = errors.New("uses threads, which is not supported: build it for wasm32-wasip1, not wasm32-wasip1-threads")

func (c *Counts) addMemory(r *reader) error {
	const (
		pages  = 1 << 16 // 4 GiB
		shared = 3       // flags: with a maximum, and for several threads
	)
	if len(r.b) > 0 && r.b[0] == shared {
		return errShared
	}
	l, err := r.limits(pages)
	c.MemoryMin += uint64(l.min)
	c.MemoryMax += uint64(l.max)
	return err
}

func (c *Counts) addExport(r *reader) error {
	name, err := r.vector()
	if err != nil {
		return err
	}
	c.ExportNames += uint64(len(name))
	if _, err = r.byte(); err != nil { // kind
		return err
	}
	return r.index()
}
