// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/opencontainers/go-digest"
	"github.com/second-state/WasmEdge-go/wasmedge"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// key names what a module becomes: it changes with anything that the compiled
// code, or the decision to accept the module, depends on.
type key [sha256.Size]byte

// artefactVersion counts changes of this package that make older artefacts
// unusable or unsafe.
const artefactVersion = 2

func (e *Engine) key(d digest.Digest, r rules) key {
	b, err := json.Marshal([]any{artefactVersion, d, wasmedge.GetVersion(), compilerOptions, e.cpu, r})
	if err != nil {
		panic(err) // strings, numbers and booleans always encode
	}
	return sha256.Sum256(b)
}

// build loads a module from the cache, compiling it first if it is not there.
// An artefact that does not load (the library was replaced by another build of
// the same version) is dropped and made again, once.
func (e *Engine) build(s *shared, r rules, src source) (*wasmedge.AST, error) {
	ast, err := e.loadCached(s.key)
	if err == nil {
		return ast, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		log.G(e.ctx).WithError(err).WithField("module", s.digest).Warn("compiled code is unusable, compiling again")
		if err := e.cache.remove(s.key); err != nil {
			return nil, fmt.Errorf("was not loaded: %w: %w", err, errdefs.ErrUnavailable)
		}
	}
	img, err := src.open()
	if err != nil {
		return nil, err
	}
	defer img.close()
	if img.digest != s.digest {
		return nil, errChanged
	}
	img.key = s.key
	if err := e.compile(e.ctx, img, r); err != nil {
		return nil, err
	}
	if ast, err = e.loadCached(s.key); err != nil {
		return nil, fmt.Errorf("was compiled but cannot be loaded: %w: %w", err, errdefs.ErrInternal)
	}
	return ast, nil
}

// loadCached loads the artefact with the given key; fs.ErrNotExist if there is
// none.
//
// WasmEdge has no call that tells whether it uses an artefact's native code, or
// has fallen back to its interpreter. CheckCompiled therefore asks beforehand
// all that the loader will ask.
func (e *Engine) loadCached(k key) (*wasmedge.AST, error) {
	a, err := e.cache.open(k)
	if err != nil {
		return nil, err
	}
	defer a.close()
	if err := binary.CheckCompiled(a.code()); err != nil {
		return nil, fmt.Errorf("artefact %w", err)
	}
	return loadAST(a.code())
}
