// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"

	"github.com/second-state/WasmEdge-go/wasmedge"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// refusal is an error in the module; its text follows the module's name.
type refusal struct{ error }

// excess is a refusal because of a configured bound.
type excess struct{ error }

// compileModule checks the module on moduleFD, compiles it to outName and loads
// the result. It returns what the parent has to know of that.
func compileModule(j job) (*header, error) {
	wasmedge.SetLogOff()
	if v := wasmedge.GetVersion(); v != j.Engine {
		return nil, fmt.Errorf("libwasmedge is %s now, and was %s when the daemon started: restart the daemon", v, j.Engine)
	}
	var st unix.Stat_t
	if err := unix.Fstat(moduleFD, &st); err != nil {
		return nil, err
	}
	module, err := mapFD(moduleFD, st.Size)
	if err != nil {
		return nil, err
	}
	// Native code from the image goes first: the loader would map it executable. Names
	// go with it.
	original := module
	if module, err = binary.Confine(original); err != nil {
		return nil, refusal{err}
	}
	if err := checkModule(module, j); err != nil {
		return nil, err
	}
	if j.Names {
		if err := os.WriteFile(namesName, binary.FunctionNames(original), 0o600); err != nil {
			return nil, err
		}
	}
	if err := compileTo(outName, module, j.Tier); err != nil {
		return nil, refusal{fmt.Errorf("cannot be compiled: %w", err)}
	}
	h, err := loadResult(module)
	if err != nil {
		return nil, fmt.Errorf("the compiler's result %w; it may take %d MiB", err, j.FileSize>>20)
	}
	return h, nil
}

// checkModule checks the bounds first, so that not even the child's WasmEdge
// sees a module that is beyond them. What Count does not understand is for
// WasmEdge to explain.
func checkModule(module []byte, j job) error {
	counts, uncounted := binary.Count(module)
	if err := j.Bounds.check(counts); err != nil {
		return excess{err}
	}
	if err := inspect(module, j.Rules); err != nil {
		return err
	}
	if uncounted != nil {
		return refusal{uncounted}
	}
	return nil
}

// loadResult loads what the compiler wrote, as the parent will. It first finds
// out what WasmEdge does not report: whether all of the code was written, and
// linked. Errors are phrases that follow "the compiler's result".
func loadResult(module []byte) (*header, error) {
	f, err := os.Open(outName)
	if err != nil {
		return nil, fmt.Errorf("is missing: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	artefact, err := mapFD(int(f.Fd()), st.Size())
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if len(artefact) < len(module) || string(artefact[:len(module)]) != string(module) {
		return nil, errors.New("does not start with the module")
	}
	if _, err := binary.CheckCompiled(artefact); err != nil {
		return nil, err
	}
	counts, err := binary.Count(artefact)
	if err != nil {
		return nil, err
	}
	ast, err := loadAST(artefact)
	if err != nil {
		return nil, fmt.Errorf("cannot be loaded: %w", err)
	}
	ast.Release()
	return &header{Size: uint64(len(artefact)), Digest: sha256.Sum256(artefact), Counts: counts}, nil
}

// mapFD maps a file for the rest of the process's life.
func mapFD(fd int, size int64) ([]byte, error) {
	b, err := unix.Mmap(fd, 0, int(size), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return b, nil
}
