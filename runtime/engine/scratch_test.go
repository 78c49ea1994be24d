// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/engine/binary"
)

// What a child has left in place of the names of functions is read if it is a file, and a
// small one; nothing else is waited for, or followed.
func FuzzReadNames(f *testing.F) {
	const kinds = 6
	for kind := range uint8(kinds) {
		f.Add(kind, []byte("names"), int32(0))
	}
	f.Add(uint8(0), []byte{}, int32(binary.MaxNames))
	f.Add(uint8(0), []byte("x"), int32(binary.MaxNames+1))
	f.Add(uint8(0), []byte("x"), int32(1<<31-1))
	f.Fuzz(func(t *testing.T, kind uint8, content []byte, size int32) {
		dir := t.TempDir()
		path, other := filepath.Join(dir, namesName), filepath.Join(dir, "other")
		size = max(size, int32(len(content)))
		file := func(path string) error {
			return errors.Join(os.WriteFile(path, content, 0o600), os.Truncate(path, int64(size)))
		}
		var err error
		switch kind % kinds {
		case 0:
			err = file(path)
		case 1: // none
		case 2:
			err = unix.Mkfifo(path, 0o600)
		case 3:
			err = os.Mkdir(path, 0o700)
		case 4:
			err = errors.Join(file(other), os.Symlink(other, path))
		case 5:
			err = os.Symlink(path, path)
		}
		if err != nil {
			t.Fatal(err)
		}
		root, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		s := &scratch{root}
		defer s.close()
		got, err := s.readNames()
		switch kind % kinds {
		case 0:
			if small := size <= binary.MaxNames; small != (err == nil) || small && (len(got) != int(size) || !bytes.HasPrefix(got, content)) {
				t.Errorf("%d bytes of a file of %d: %v", len(got), size, err)
			}
		case 1:
			if got != nil || err != nil {
				t.Errorf("of nothing: %x, %v", got, err)
			}
		default:
			if err == nil {
				t.Errorf("kind %d was read: %x", kind%kinds, got)
			}
		}
	})
}
