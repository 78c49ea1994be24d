// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/continuity/sysx"
	"golang.org/x/sys/unix"
)

// FuzzClone: whatever tree a layer makes, its clone is the same, shares nothing but
// modules, and leads nowhere else.
func FuzzClone(f *testing.F) {
	f.Add([]byte("d\x00a\x00" + "m\x01m.wasm\x00" + "f\x00x\x00" + "l\x00hard\x00" + "s\x00../../out\x00" + "p\x00fifo\x00" + "x\x00user.note\x00"))
	f.Add([]byte("f\x00\xff\xfe\n\x00" + "d\x00" + strings.Repeat("n", 255) + "\x00" + "m\x01" + strings.Repeat("é", 127) + "\x00"))
	f.Add([]byte("m\x00a\x00" + "l\x00b\x00" + "l\x00c\x00" + "x\x00user.\xff\x00" + "s\x00a\x00" + "m\x05\x00"))
	f.Fuzz(func(t *testing.T, recipe []byte) {
		base := t.TempDir()
		src, dst := filepath.Join(base, "src"), filepath.Join(base, "dst")
		must(t, os.Mkdir(src, 0o755))
		must(t, os.Mkdir(dst, 0o700))
		grow(t, src, recipe)
		if _, err := sealTree(t.Context(), src); err != nil {
			t.Fatal(err)
		}
		want := describe(t, src)
		must(t, cloneTree(t.Context(), &copier{}, dst, src, false))
		if got := describe(t, dst); !maps.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		checkShared(t, dst, src)
		must(t, Privatize(t.Context(), dst))
		if shared, err := SharedModules(t.Context(), dst, 10); err != nil || len(shared) != 0 {
			t.Errorf("%q are shared still, %v", shared, err)
		}
		must(t, removeTree(dst))
		if got := describe(t, src); !maps.Equal(got, want) {
			t.Errorf("the source became %q, it was %q", got, want)
		}
		if entries, err := os.ReadDir(base); err != nil || len(entries) != 1 {
			t.Errorf("beside the source there is %v, %v", entries, err)
		}
	})
}

// grow makes files of a recipe: for each a kind, a number that chooses its
// directory and its mode, and a name that ends with a NUL byte. What cannot be
// made is left out.
func grow(t *testing.T, root string, recipe []byte) {
	t.Helper()
	dirs, last := []string{root}, root
	for len(recipe) > 2 {
		kind, number := recipe[0], recipe[1]
		name, rest, _ := strings.Cut(string(recipe[2:]), "\x00")
		recipe = []byte(rest)
		dir := dirs[int(number)%len(dirs)]
		path := dir + "/" + filepath.Base(name)
		mode := os.FileMode(number)&0o177 | 0o600
		var err error
		switch kind {
		case 'd':
			if err = os.Mkdir(path, mode|0o100); err == nil {
				dirs = append(dirs, path)
			}
		case 'm':
			err = exclusively(path, module+name, mode)
		case 'f':
			err = exclusively(path, name, mode)
		case 'l':
			err = os.Link(last, path)
		case 's':
			path = dir + "/link"
			err = os.Symlink(name, path)
		case 'p':
			err = unix.Mkfifo(path, uint32(mode))
		case 'x':
			err = sysx.LSetxattr(last, name, recipe[:min(len(recipe), 300)], 0)
			path = last
		}
		if err == nil {
			last = path
		}
	}
	old := time.Unix(1234567890, 1)
	must(t, os.Chtimes(root, old, old))
}

func exclusively(path, content string, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(content)
	return err
}

// checkShared: of two trees with the same paths, no file is in both but modules.
func checkShared(t *testing.T, dst, src string) {
	t.Helper()
	for rel := range describe(t, dst) {
		fi := lstat(t, filepath.Join(dst, rel))
		if !os.SameFile(fi, lstat(t, filepath.Join(src, rel))) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(src, rel))
		if err != nil || !strings.HasPrefix(string(content), "\x00asm") || fi.Mode() != moduleMode {
			t.Errorf("%q is shared: %v, %v", rel, fi.Mode(), err)
		}
	}
}
