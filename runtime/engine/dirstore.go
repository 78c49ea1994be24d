// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// dirStore keeps the code of modules that come with no image, in files named
// after their keys:
//
//	root/<build>-<key>   an artefact
//	root/tmp-*           an artefact being written
type dirStore struct{ root, build string }

const tempPrefix = "tmp-"

// openDir makes root, or takes it over, and removes what an earlier process did
// not finish, or another build made.
func openDir(root, build string) (*dirStore, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	// An existing directory may have been made with other permissions; who can
	// write here runs code in this process.
	if err := os.Chmod(root, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), build+"-") {
			continue
		}
		if err := os.RemoveAll(filepath.Join(root, e.Name())); err != nil {
			return nil, err
		}
	}
	return &dirStore{root, build}, nil
}

func (s *dirStore) path(k Key) string { return filepath.Join(s.root, s.build+"-"+k.String()) }

// Lookup implements Store.
func (s *dirStore) Lookup(k Key) (string, bool) {
	_, err := os.Lstat(s.path(k))
	return "", err == nil
}

// Open implements Store.
func (s *dirStore) Open(_ context.Context, k Key) (Blob, error) {
	// What is no file, such as a FIFO, must not make it wait.
	f, err := os.OpenFile(s.path(k), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("artefact: %w", errdefs.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("artefact is not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return fileBlob{f, st.Size()}, nil
}

type fileBlob struct {
	*os.File

	size int64
}

// Size implements Blob.
func (b fileBlob) Size() int64 { return b.size }

// Digest implements Blob.
func (b fileBlob) Digest() digest.Digest { return "" }

// Put implements Store, durably.
func (s *dirStore) Put(_ context.Context, rec Record, size int64, src io.Reader) (err error) {
	tmp, err := os.CreateTemp(s.root, tempPrefix)
	if err != nil {
		return err
	}
	defer func() {
		tmp.Close()
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	if _, err := io.CopyBuffer(tmp, src, make([]byte, copyBuffer)); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), s.path(rec.Key))
}

// Remove implements Store.
func (s *dirStore) Remove(_ context.Context, k Key) error { return os.RemoveAll(s.path(k)) }

// Annotate implements Store. Nothing reads it: these modules are not optimized.
func (s *dirStore) Annotate(context.Context, Key, string) error { return nil }

// Use implements Store. These modules belong to the daemon.
func (s *dirStore) Use(context.Context, string, FileID, Record) {}

// Size implements Store.
func (s *dirStore) Size() (artefacts int, bytes int64) {
	entries, _ := os.ReadDir(s.root)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			artefacts, bytes = artefacts+1, bytes+info.Size()
		}
	}
	return artefacts, bytes
}
