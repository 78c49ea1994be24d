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
const artefactVersion = 4

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
func (e *Engine) build(s *shared, r rules, src source) error {
	err := e.loadCached(s)
	if err == nil || errdefs.IsResourceExhausted(err) {
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		log.G(e.ctx).WithError(err).WithField("module", s.digest).Warn("compiled code is unusable, compiling again")
		if err := e.cache.remove(s.key); err != nil {
			return fmt.Errorf("was not loaded: %w: %w", err, errdefs.ErrUnavailable)
		}
	}
	img, err := src.open()
	if err != nil {
		return err
	}
	defer img.close()
	if img.digest != s.digest {
		return errChanged
	}
	img.key = s.key
	if err := e.compile(e.ctx, img, r); err != nil {
		return err
	}
	if err := e.loadCached(s); err != nil {
		return fmt.Errorf("was compiled but cannot be loaded: %w: %w", err, errdefs.ErrInternal)
	}
	return nil
}

// loadCached loads the artefact of a module; fs.ErrNotExist if there is none,
// ErrResourceExhausted if the module has more of something than is configured.
//
// What WasmEdge's loader gets here are the bytes that a child has had it load
// before: their digest is the one that the child told.
//
// WasmEdge has no call that tells whether it uses an artefact's native code, or
// has fallen back to its interpreter. CheckCompiled therefore asks beforehand
// all that the loader will ask.
func (e *Engine) loadCached(s *shared) error {
	a, err := e.cache.open(s.key)
	if err != nil {
		return err
	}
	defer a.close()
	if err := e.cfg.bounds().check(a.Counts); err != nil {
		return fmt.Errorf("%w: %w", err, errdefs.ErrResourceExhausted)
	}
	if err := binary.CheckCompiled(a.code()); err != nil {
		return fmt.Errorf("artefact %w", err)
	}
	ast, err := loadAST(a.code())
	if err != nil {
		return err
	}
	s.ast, s.info = ast, Info{Counts: a.Counts, Size: a.Size}
	return nil
}
