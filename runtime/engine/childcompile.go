// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"

	"github.com/second-state/WasmEdge-go/wasmedge"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// compileModule checks the module on moduleFD and compiles it to outName.
func compileModule(r rules) error {
	wasmedge.SetLogOff()
	var st unix.Stat_t
	if err := unix.Fstat(moduleFD, &st); err != nil {
		return err
	}
	module, err := mapFD(moduleFD, st.Size)
	if err != nil {
		return err
	}
	// Native code from the image goes first: the loader would map it executable.
	if module, err = binary.Strip(module, binary.CompiledSection); err != nil {
		return refusal{err}
	}
	if module, err = binary.Confine(module); err != nil {
		return refusal{err}
	}
	if err := inspect(module, r); err != nil {
		return err
	}
	if err := compileTo(outName, module); err != nil {
		return refusal{fmt.Errorf("cannot be compiled: %w", err)}
	}
	return checkResult(module)
}

// checkResult finds out what WasmEdge does not report: whether all of the code
// was written, and linked.
func checkResult(module []byte) error {
	f, err := os.Open(outName)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	artefact, err := mapFD(int(f.Fd()), st.Size())
	if err != nil {
		return err
	}
	if len(artefact) < len(module) || string(artefact[:len(module)]) != string(module) {
		err = errors.New("does not start with the module")
	} else {
		err = binary.CheckCompiled(artefact)
	}
	if err != nil {
		return fmt.Errorf("the compiler's result %w; is the disk full, or the code too large?", err)
	}
	return nil
}

// mapFD maps a file for the rest of the process's life.
func mapFD(fd int, size int64) ([]byte, error) {
	b, err := unix.Mmap(fd, 0, int(size), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return b, nil
}
