// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"github.com/second-state/WasmEdge-go/wasmedge"
)

// A Store keeps artefacts: compiled code, under the names that keys are. Package
// cache has the one in containerd's content store, and dirStore is one for the
// engine's own modules. Contexts carry containerd's namespace. All methods may be
// called concurrently.
type Store interface {
	// Lookup says whether there is an artefact, and what Annotate said of it. It may
	// have gone meanwhile. Every start asks, so it reads nothing.
	Lookup(k Key) (note string, ok bool)
	// Open returns an artefact, which the caller closes. Errors: ErrNotFound.
	Open(ctx context.Context, k Key) (Blob, error)
	// Put stores size bytes from r, all at once or not at all.
	Put(ctx context.Context, rec Record, size int64, r io.Reader) error
	// Remove removes an artefact that is of no use. There may be none.
	Remove(ctx context.Context, k Key) error
	// Annotate attaches a short text to an artefact.
	Annotate(ctx context.Context, k Key, note string) error
	// Use is told that a container uses an artefact, so that it is kept for as
	// long as that. file is that of an image in which the module is, or zero if it is in
	// none. Use does not block.
	Use(ctx context.Context, container string, file FileID, rec Record)
	// Size is what there is: a number, and bytes.
	Size() (artefacts int, bytes int64)
}

// Blob is an open artefact.
type Blob interface {
	io.ReaderAt
	io.Closer
	// Size is the number of bytes.
	Size() int64
	// Digest is what the bytes must hash to; empty if the store does not know.
	Digest() digest.Digest
}

// Key names what a module becomes: it changes with anything that the compiled
// code, or the decision to accept the module, depends on.
type Key [sha256.Size]byte

// String is the key in hex.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// Record tells what an artefact is.
type Record struct {
	Key    Key
	Module digest.Digest // of the module's bytes, before they were changed
	Tier   Tier
}

// artefactVersion counts changes of this package that make older artefacts
// unusable or unsafe.
const artefactVersion = 6

// Build names what all keys of an engine have in common: the compiler, the CPU and
// this package's version. Artefacts of another build are of no use to this one.
func Build() (string, error) {
	cpu, err := cpuModel()
	if err != nil {
		return "", err
	}
	return buildOf(Version(), cpu), nil
}

func buildOf(version, cpu string) string {
	return hashOf(artefactVersion, version, compilerOptions, cpu).String()[:16]
}

// Version is that of WasmEdge.
func Version() string { return wasmedge.GetVersion() }

func (e *Engine) record(d digest.Digest, r rules, t Tier) Record {
	return Record{Key: hashOf(artefactVersion, d, e.version, compilerOptions, t, e.cpu, r), Module: d, Tier: t}
}

func hashOf(parts ...any) Key {
	b, err := json.Marshal(parts)
	if err != nil {
		panic(fmt.Sprint("strings, numbers and booleans always encode: ", err))
	}
	return sha256.Sum256(b)
}
