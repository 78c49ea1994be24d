// SPDX-License-Identifier: Apache-2.0

// Package modules writes hostile WebAssembly modules that no compiler would make, one
// in each file.
package modules

// Module is one of them.
type Module struct {
	Name   string
	Header string        // what must happen to it: see package hostile
	Build  func() []byte // the file's content
}

// All returns the modules.
func All() []Module {
	return append([]Module{
		aot,
		brTable,
		brTableCount,
		customLarge,
		customMany,
		customNames,
		dataOverlapping,
		dataSegments,
		manyElements,
		elf,
		functionLarge,
		functions,
		importsUnknown,
		localGroups,
		locals,
		localsMost,
		manyExports,
		manyGlobals,
		manyImports,
		manyParams,
		manyTables,
		manyTypes,
		memoryShared,
		memoryUnshared,
		nameSection,
		namesImport,
		namesNotUTF8,
		namesTerminal,
		nested,
		operands,
		operandsKept,
		pointersFiles,
		pointersPaths,
		pointersProcess,
		pointersSockets,
		sectionSize,
		sectionsOutOfOrder,
		startOutOfRange,
		tooLarge,
		truncatedEnd,
		truncatedHeader,
		truncatedSection,
		twoMemories,
	}, counts...)
}
