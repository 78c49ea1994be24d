// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
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
//	root/<key in hex>    an artefact
//	root/tmp-*           an artefact being written
//	root/scratch-*       a compiler's working directory
//
// An artefact file is a header and the code:
//
//	8 bytes   cacheMagic
//	8 bytes   length of the code, little-endian
//	32 bytes  sha256 of the code
//	          the code, a universal Wasm file
type cache struct{ root string }

const (
	cacheMagic  = "wasmart\x01"
	cacheHeader = len(cacheMagic) + 8 + sha256.Size

	tempPrefix    = "tmp-"
	scratchPrefix = "scratch-"
)

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
	for _, prefix := range []string{tempPrefix, scratchPrefix} {
		left, err := filepath.Glob(filepath.Join(root, prefix+"*"))
		if err != nil {
			return nil, err
		}
		for _, path := range left {
			if err := os.RemoveAll(path); err != nil {
				return nil, err
			}
		}
	}
	return &cache{root}, nil
}

func (c *cache) path(k key) string { return filepath.Join(c.root, hex.EncodeToString(k[:])) }

func (c *cache) remove(k key) error { return os.RemoveAll(c.path(k)) }

// put stores the code that src yields, at most max bytes, durably and at once.
func (c *cache) put(k key, src io.Reader, max int64) (err error) {
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
	h := sha256.New()
	if _, err := tmp.Seek(int64(cacheHeader), io.SeekStart); err != nil {
		return err
	}
	n, err := io.CopyBuffer(io.MultiWriter(tmp, h), io.LimitReader(src, max+1), make([]byte, copyBuffer))
	if err != nil {
		return err
	}
	if n > max {
		return fmt.Errorf("compiled code is larger than %d bytes", max)
	}
	header := binary.LittleEndian.AppendUint64([]byte(cacheMagic), uint64(n))
	if _, err := tmp.WriteAt(h.Sum(header), 0); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), c.path(k))
}

// artefact is a cached file, verified, in private memory outside of Go's heap:
// it may have hundreds of megabytes, for the moment that loading takes.
type artefact struct{ mem []byte }

func (a *artefact) code() []byte { return a.mem[cacheHeader:] }
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
	if !st.Mode().IsRegular() || st.Size() <= int64(cacheHeader) || st.Size() > int64(cacheHeader)+maxCode {
		return nil, fmt.Errorf("artefact has a bad size: %d bytes", st.Size())
	}
	mem, err := unix.Mmap(-1, 0, int(st.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	a := &artefact{mem}
	if _, err = io.ReadFull(f, mem); err == nil {
		err = a.verify()
	}
	if err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *artefact) verify() error {
	sum := sha256.Sum256(a.code())
	want := binary.LittleEndian.AppendUint64([]byte(cacheMagic), uint64(len(a.code())))
	if !bytes.Equal(a.mem[:cacheHeader], append(want, sum[:]...)) {
		return errors.New("artefact does not match its checksum")
	}
	return nil
}
