// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// Nothing but sealed modules is opened, and nothing outside of the tree.
func TestWalkModules(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	write := func(path string, b []byte, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, mode); err != nil {
			t.Fatal(err)
		}
	}
	write(outside+"/secret.wasm", moduleOf("x"), 0o444)
	write(dir+"/a.wasm", moduleOf("a"), 0o444)
	write(dir+"/deep/er/b", moduleOf("b"), 0o444)
	write(dir+"/writable.wasm", moduleOf("w"), 0o644)
	write(dir+"/text", []byte("not a module"), 0o444)
	write(dir+"/empty", nil, 0o444)
	for link, target := range map[string]string{"link": outside + "/secret.wasm", "dirlink": outside, "up": "../.."} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(dir+"/fifo", 0o444); err != nil {
		t.Fatal(err)
	}
	for max, want := range map[int][]string{10: {"a.wasm", "b"}, 1: {"a.wasm"}, 0: nil} {
		var found []string
		err := walkModules(t.Context(), dir, max, func(f *os.File) error {
			found = append(found, filepath.Base(f.Name()))
			return nil
		})
		if err != nil || !slices.Equal(found, want) {
			t.Errorf("at most %d: got %v, %v", max, found, err)
		}
	}
	if err := walkModules(t.Context(), dir+"/gone", 1, nil); err == nil {
		t.Error("walked a directory that is not there")
	}
}

// An image with very many modules does not keep the compiler to itself.
func TestManyModules(t *testing.T) {
	w := newWorld(t)
	files := map[string][]byte{}
	for i := range 3 * maxModules {
		files[fmt.Sprint(i)] = moduleOf(fmt.Sprint(i))
	}
	w.unpack("a", "image", "", files)
	w.compiled("a", "image")
	if n := w.fake.made.Load(); n != maxModules {
		t.Errorf("%d modules were compiled, want %d", n, maxModules)
	}
}
