// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// cache keeps compiled code in files named after their keys:
//
//	root/<key in hex>    an artefact: a header (header.go) and the code, a
//	                     universal Wasm file
//	root/tmp-*           an artefact being written
type cache struct{ root string }

const tempPrefix = "tmp-"

// openCache makes root, or takes it over, and removes what an earlier process
// did not finish.
func openCache(root string) (*cache, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	// An existing directory may have been made with other permissions; who can
	// write here runs code in this process.
	if err := os.Chmod(root, 0o700); err != nil {
		return nil, err
	}
	left, err := filepath.Glob(filepath.Join(root, tempPrefix+"*"))
	if err != nil {
		return nil, err
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return nil, err
		}
	}
	return &cache{root}, nil
}

func (c *cache) path(k key) string { return filepath.Join(c.root, hex.EncodeToString(k[:])) }

func (c *cache) remove(k key) error { return os.RemoveAll(c.path(k)) }

// put stores the code that src yields, durably and at once, if it is what h
// says.
func (c *cache) put(k key, h header, src io.Reader) (err error) {
	tmp, err := os.CreateTemp(c.root, tempPrefix)
	if err != nil {
		return err
	}
	defer func() {
		tmp.Close()
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	if _, err := tmp.Write(h.encode()); err != nil {
		return err
	}
	hash := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(tmp, hash), io.LimitReader(src, int64(h.Size)+1), make([]byte, copyBuffer))
	if err != nil {
		return err
	}
	if uint64(n) != h.Size || [sha256.Size]byte(hash.Sum(nil)) != h.Digest {
		return errOtherCode
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), c.path(k))
}

// errOtherCode: a compiler's result is not what it says.
var errOtherCode = errors.New("the compiler's result is not what it says that it loaded")

// artefact is a cached file, verified, in private memory outside of Go's heap:
// it may have hundreds of megabytes, for the moment that loading takes.
type artefact struct {
	header

	mem []byte
}

func (a *artefact) code() []byte { return a.mem[headerSize:] }
func (a *artefact) close()       { _ = unix.Munmap(a.mem) } // fails only for memory not mapped

// open reads and verifies an artefact; the caller closes it. fs.ErrNotExist:
// there is none. Any other error: it cannot be used.
func (c *cache) open(k key) (*artefact, error) {
	f, err := os.Open(c.path(k))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() <= int64(headerSize) || st.Size() > int64(headerSize)+maxCode {
		return nil, fmt.Errorf("artefact has a bad size: %d bytes", st.Size())
	}
	mem, err := unix.Mmap(-1, 0, int(st.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	a := &artefact{mem: mem}
	if _, err = io.ReadFull(f, mem); err == nil {
		err = a.verify()
	}
	if err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *artefact) verify() (err error) {
	if a.header, err = decodeHeader(a.mem); err != nil {
		return err
	}
	if a.Size != uint64(len(a.code())) || a.Digest != sha256.Sum256(a.code()) {
		return errors.New("artefact does not match its checksum")
	}
	return nil
}
