// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

func TestPrivatizeReplacesSharedModulesOnly(t *testing.T) {
	s := open(t, t.TempDir())
	outside := filepath.Join(t.TempDir(), "outside.wasm")
	write(t, outside, module, 0o444)
	must(t, os.Link(outside, outside+"2"))
	before := lstat(t, outside)
	committed := image(t, s, "image", func(dir string) {
		must(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755))
		write(t, filepath.Join(dir, "a", "b", "m.wasm"), module, 0o755)
		write(t, filepath.Join(dir, "text"), "x", 0o444)
		must(t, os.Link(filepath.Join(dir, "text"), filepath.Join(dir, "text2")))
		must(t, os.Symlink(outside, filepath.Join(dir, "link.wasm")))
		must(t, os.Symlink(filepath.Dir(outside), filepath.Join(dir, "linkdir")))
	})
	active := prepare(t, s, "active", "image")
	text := lstat(t, filepath.Join(active, "text"))
	want := describe(t, filepath.Join(active, "a", "b", "m.wasm"))
	for range 2 { // the second time there is nothing to do
		must(t, Privatize(t.Context(), active))
		if os.SameFile(lstat(t, filepath.Join(active, "a/b/m.wasm")), lstat(t, filepath.Join(committed, "a/b/m.wasm"))) {
			t.Error("the module is shared still")
		}
		if got := describe(t, filepath.Join(active, "a", "b", "m.wasm")); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	must(t, os.WriteFile(filepath.Join(active, "a/b/m.wasm"), []byte("overwritten"), 0o600))
	if got, err := os.ReadFile(filepath.Join(committed, "a/b/m.wasm")); err != nil || string(got) != module {
		t.Errorf("the image's module has become %q, %v", got, err)
	}
	if !os.SameFile(text, lstat(t, filepath.Join(active, "text"))) {
		t.Error("a file that is no module was replaced")
	}
	if !os.SameFile(before, lstat(t, outside)) {
		t.Error("a module behind a symlink was replaced")
	}
}

func TestPrivatizeOnAFullDiskLeavesTheTreeAsItWas(t *testing.T) {
	disk := smallDisk(t, "1m")
	tree := filepath.Join(disk, "tree")
	must(t, os.Mkdir(tree, 0o755))
	write(t, filepath.Join(tree, "m"), module+strings.Repeat("x", 600<<10), 0o444)
	must(t, os.Link(filepath.Join(tree, "m"), filepath.Join(disk, "parent")))
	want := describe(t, tree)["m"]

	err := Privatize(t.Context(), tree)
	checkClass(t, err, unix.ENOSPC)
	checkClass(t, err, errdefs.ErrResourceExhausted)
	if err != nil && !strings.Contains(err.Error(), `"m"`) {
		t.Errorf("error %q does not name the file", err)
	}
	if got := describe(t, tree); len(got) != 2 || got["m"] != want {
		t.Errorf("the tree has become %v", got)
	}
}

// endsAfter is a context that has ended when it was asked n times.
type endsAfter struct {
	context.Context
	n int
}

func (c *endsAfter) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

func TestPrivatizeEndsWithItsContext(t *testing.T) {
	tree, parent := t.TempDir(), t.TempDir()
	for _, name := range []string{"a", "b"} {
		must(t, os.MkdirAll(filepath.Join(tree, name), 0o755))
		write(t, filepath.Join(tree, name, "m"), module+strings.Repeat("x", 100), 0o444)
		must(t, os.Link(filepath.Join(tree, name, "m"), filepath.Join(parent, name)))
	}
	files := func() map[string]string {
		all := describe(t, tree)
		maps.DeleteFunc(all, func(name, _ string) bool { return name == "." || name == "a" || name == "b" }) // their times change
		return all
	}
	want := files()
	if _, err := SharedModules(&endsAfter{t.Context(), 0}, tree, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("SharedModules: %v", err)
	}
	n := 0
	for ; ; n++ {
		err := Privatize(&endsAfter{t.Context(), n}, tree)
		if got := files(); !maps.Equal(got, want) {
			t.Errorf("after %d looks at the context the tree is %v, and was %v", n, got, want)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if shared, err := SharedModules(t.Context(), tree, 10); n < 2 || len(shared) != 0 || err != nil {
		t.Errorf("after %d looks %q are shared (%v)", n, shared, err)
	}
}
