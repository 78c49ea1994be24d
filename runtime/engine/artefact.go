// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// An artefact is a header (header.go), the code, a universal Wasm file, and names of
// functions, as a store keeps them. This one is verified, in private memory outside of
// Go's heap: it may have hundreds of megabytes, for the moment that loading takes.
// WasmEdge copies what it needs.
type artefact struct {
	header

	mem   []byte
	repay func() // or nil
}

func (a *artefact) code() []byte  { return a.mem[headerSize:][:a.Size] }
func (a *artefact) names() []byte { return a.mem[headerSize:][a.Size:] }

func (a *artefact) close() {
	_ = unix.Munmap(a.mem) // fails only for memory not mapped
	if a.repay != nil {
		a.repay()
	}
}

func artefactSize(blob Blob) (uint64, error) {
	size := blob.Size()
	if size <= int64(headerSize) || size > int64(headerSize)+maxCode+binary.MaxNames {
		return 0, fmt.Errorf("artefact has a bad size: %d bytes", size)
	}
	return uint64(size), nil
}

// readArtefact reads and verifies the artefact of k; the caller closes it. size is
// artefactSize.
func readArtefact(k Key, blob Blob, size uint64) (*artefact, error) {
	mem, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	a := &artefact{mem: mem}
	if _, err = io.ReadFull(io.NewSectionReader(blob, 0, int64(size)), mem); err == nil {
		err = a.verify(k, blob.Digest())
	}
	if err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// verify compares the bytes with the digest under which they are stored, which
// covers all of them, or else with that in the header.
func (a *artefact) verify(k Key, stored digest.Digest) (err error) {
	if a.header, err = decodeHeader(a.mem); err != nil {
		return err
	}
	switch {
	case a.Key != k:
		return errors.New("artefact is that of another module")
	case a.Size > maxCode || a.NamesSize > binary.MaxNames || a.Size+a.NamesSize != uint64(len(a.mem)-headerSize):
		return errors.New("artefact does not match its checksum")
	case stored != "" && digest.FromBytes(a.mem) != stored,
		stored == "" && (a.Digest != sha256.Sum256(a.code()) || a.NamesDigest != sha256.Sum256(a.names())):
		return errors.New("artefact does not match its checksum")
	}
	return nil
}

// errOtherCode: a compiler's result is not what it says.
var errOtherCode = errors.New("the compiler's result is not what it says that it loaded")

// recorded reads code that is being stored, and fails at its end if it is not
// what the header says.
type recorded struct {
	header

	src  io.Reader
	hash interface {
		io.Writer
		Sum(b []byte) []byte
	}
	n uint64
}

func newRecorded(h header, src io.Reader) *recorded {
	return &recorded{header: h, src: io.LimitReader(src, int64(h.Size)+1), hash: sha256.New()}
}

// Read implements io.Reader.
func (r *recorded) Read(b []byte) (int, error) {
	n, err := r.src.Read(b)
	r.n += uint64(n)
	_, _ = r.hash.Write(b[:n])
	if r.n > r.Size || errors.Is(err, io.EOF) && (r.n != r.Size || [sha256.Size]byte(r.hash.Sum(nil)) != r.header.Digest) {
		return 0, errOtherCode
	}
	return n, err
}
