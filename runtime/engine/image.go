// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// An image is a private copy of a module's bytes in a sealed memfd: nobody, we
// included, can change what was hashed before it is compiled.
type image struct {
	file   *os.File
	size   int64 // bytes
	digest digest.Digest
	names  []byte // of its functions, if they are known (order)
}

// copyBuffer is the number of bytes that are copied at a time.
const copyBuffer = 128 << 10

func (i *image) close() { i.file.Close() }

func errTooLarge(size, max int64) error {
	return fmt.Errorf("has %d bytes, more than max_module_size (%d bytes): raise it in the engine's configuration to accept the module: %w",
		size, max, errdefs.ErrResourceExhausted)
}

// A source gives a build the bytes of its module, if they have to be compiled.
// It outlives the call that made it: when that caller's context ends, the build
// goes on for others.
type source interface {
	open() (*image, error)
	close()
}

// fileSource reads what f holds when open is called.
type fileSource struct {
	f   *os.File
	max int64 // bytes
}

// newFileSource makes a source with a descriptor of its own for f.
func newFileSource(f *os.File, max int64) (source, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w: %w", err, errdefs.ErrUnavailable)
	}
	return fileSource{os.NewFile(uintptr(fd), f.Name()), max}, nil
}

func (s fileSource) open() (*image, error) { return seal(contents(s.f, s.max), s.max) }
func (s fileSource) close()                { s.f.Close() }

type bytesSource struct {
	b   []byte
	max int64 // bytes
}

func (s bytesSource) open() (*image, error) { return seal(bytes.NewReader(s.b), s.max) }
func (s bytesSource) close()                {}

// noSource is for a build that must not compile.
type noSource struct{}

func (noSource) open() (*image, error) { return nil, errdefs.ErrNotFound }
func (noSource) close()                {}

// contents reads f from its start without moving its offset, and one byte more
// than max, so that the reader can tell.
func contents(f *os.File, max int64) io.Reader { return io.NewSectionReader(f, 0, max+1) }

// hashFile hashes what f holds. size is the number of bytes to expect.
func hashFile(f *os.File, size, max int64) (digest.Digest, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(h, contents(f, max), make([]byte, min(size+1, copyBuffer)))
	if err != nil {
		return "", fmt.Errorf("cannot be read: %w: %w", err, errdefs.ErrUnavailable)
	}
	if n > max {
		return "", errTooLarge(n, max)
	}
	return digest.NewDigest(digest.SHA256, h), nil
}

// seal copies r, hashing what it copies.
func seal(r io.Reader, max int64) (_ *image, err error) {
	fd, err := unix.MemfdCreate("module", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("cannot be copied: %w: %w", err, errdefs.ErrUnavailable)
	}
	file := os.NewFile(uintptr(fd), "module")
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	h := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(file, h), r, make([]byte, copyBuffer))
	if err == nil && n <= max {
		_, err = unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS,
			unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be copied: %w: %w", err, errdefs.ErrUnavailable)
	}
	if n > max {
		return nil, errTooLarge(n, max)
	}
	return &image{file: file, size: n, digest: digest.NewDigest(digest.SHA256, h)}, nil
}

// head returns the image's first bytes, for classification.
func (i *image) head() ([]byte, error) {
	b := make([]byte, 64)
	n, err := i.file.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b[:n], nil
}
