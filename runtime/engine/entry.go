// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// CommandEntry is the function that a command exports, for its host to call. A
// library may export Initializer, which its host has to call before all others
// (WASI application ABI).
const (
	CommandEntry = "_start"
	Initializer  = "_initialize"
)

// Entry says whether a guest can begin with an exported function, and whether the
// Initializer has to be called before it. CommandEntry has neither parameters
// nor results; others may also have one result, an i32, which is an exit code.
//
// Errors, phrases that follow the module's name, list such functions: NotFound: it
// exports none of that name; InvalidArgument: it cannot be called so.
func (m *Module) Entry(name string) (initialize bool, err error) {
	return m.shared.functions.entry(name)
}

// exportedFunctions are those that a module exports, as far as they are kept.
type exportedFunctions struct {
	kept []binary.Function // in the module's order
	more int               // that are not kept
}

// What is kept of one module: far more than a library of functions without
// parameters needs.
const (
	maxKept      = 4096
	maxKeptBytes = 256 << 10 // of names
)

// functionsOf looks through a module. Errors are phrases without a subject.
func functionsOf(module []byte) (x exportedFunctions, err error) {
	size := 0
	for f, err := range binary.Functions(module) {
		if err != nil {
			return x, err
		}
		size += len(f.Name)
		switch {
		case f.Name == CommandEntry, f.Name == Initializer, len(x.kept) < maxKept && size <= maxKeptBytes:
			x.kept = append(x.kept, f)
		default:
			x.more++
		}
	}
	return x, nil
}

func (x *exportedFunctions) find(name string) *binary.Function {
	if i := slices.IndexFunc(x.kept, func(f binary.Function) bool { return f.Name == name }); i >= 0 {
		return &x.kept[i]
	}
	return nil
}

// begins says whether a guest can begin with a function: with one of the host's there
// would be no guest code to interrupt.
func begins(f *binary.Function) bool {
	exitCode := f.Results == 1 && f.I32 && f.Name != CommandEntry && f.Name != Initializer
	return f.Params == 0 && (f.Results == 0 || exitCode) && !f.Imported
}

// check is for the compiler child: a module with nothing to begin with need not be
// compiled. Errors are phrases without a subject.
func (x *exportedFunctions) check() error {
	if f := x.find(CommandEntry); f != nil {
		return badType(f)
	}
	if f := x.find(Initializer); f != nil && !begins(f) {
		return badType(f)
	}
	for i := range x.kept {
		if f := &x.kept[i]; f.Name != Initializer && begins(f) {
			return nil
		}
	}
	return x.noCommand()
}

// badType is nil for a function of the ABI that a guest can begin with.
func badType(f *binary.Function) error {
	if begins(f) {
		return nil
	}
	return fmt.Errorf("exports function %q with %d parameters and %d results: it is to have none", f.Name, f.Params, f.Results)
}

func (x *exportedFunctions) noCommand() error {
	if x.find(Initializer) != nil {
		return errors.New(`exports "_initialize" and no "_start": it is a reactor (a library); build it as a command, without -mexec-model=reactor, -buildmode=c-shared or crate-type cdylib`)
	}
	return errors.New(`exports no function "_start": build it as a program with a main function, for wasm32-wasip1`)
}

func (x *exportedFunctions) entry(name string) (initialize bool, err error) {
	f := x.find(name)
	switch {
	case f != nil && begins(f):
		return x.initialize(name)
	case f == nil && name == CommandEntry:
		return false, fmt.Errorf("%w; or name one of its functions after a #: %s: %w", x.noCommand(), x.list(), errdefs.ErrNotFound)
	case f == nil && x.more > 0:
		return false, fmt.Errorf("exports %d functions, and no %.64q among the %d that are looked at: %w", len(x.kept)+x.more, name, len(x.kept), errdefs.ErrNotFound)
	case f == nil:
		return false, fmt.Errorf("exports no function %.64q; it can begin with %s: %w", name, x.list(), errdefs.ErrNotFound)
	case f.Imported:
		return false, fmt.Errorf("exports function %.64q, which is one of the host's; it can begin with %s: %w", name, x.list(), errdefs.ErrInvalidArgument)
	}
	return false, fmt.Errorf("exports function %.64q with %d parameters and %d results, and an entrypoint has no parameters and at most one result, "+
		"an i32, which is the exit code; it can begin with %s: %w", name, f.Params, f.Results, x.list(), errdefs.ErrInvalidArgument)
}

// initialize says whether the initializer comes before a function.
func (x *exportedFunctions) initialize(name string) (bool, error) {
	if name == CommandEntry || name == Initializer {
		return false, nil
	}
	f := x.find(Initializer)
	if f == nil {
		return false, nil
	}
	if err := badType(f); err != nil {
		return false, fmt.Errorf("%w: %w", err, errdefs.ErrInvalidArgument)
	}
	return true, nil
}

// list names what a guest can begin with, or some of that.
func (x *exportedFunctions) list() string {
	const most = 10
	var names []string
	for i := range x.kept {
		switch f := &x.kept[i]; {
		case !begins(f) || f.Name == Initializer:
		case len(names) == most:
			return strings.Join(names, ", ") + " and others"
		default:
			names = append(names, fmt.Sprintf("%.64q", f.Name))
		}
	}
	return strings.Join(names, ", ")
}
