// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/testutil"
	"github.com/containerd/continuity/sysx"
	"golang.org/x/sys/unix"
)

const module = ModuleMagic + "\x01\x00\x00\x00"

func TestCloneSharesModulesAndNothingElse(t *testing.T) {
	for _, tc := range []struct {
		desc    string
		content string
		mode    os.FileMode
		key     string // by default "active"
		labels  map[string]string
		shared  bool
		cloned  os.FileMode // mode in the clone
	}{
		{desc: "module", content: module, mode: 0o644, shared: true, cloned: 0o444},
		{desc: "module that is executable and setuid", content: module, mode: 0o755 | os.ModeSetuid, shared: true, cloned: 0o444},
		{desc: "module that nobody may read", content: module, mode: 0, shared: true, cloned: 0o444},
		{desc: "module of only the magic", content: ModuleMagic, mode: 0o644, shared: true, cloned: 0o444},
		{desc: "file that is shorter than the magic", content: "\x00as", mode: 0o644, cloned: 0o644},
		{desc: "empty file", mode: 0o640, cloned: 0o640},
		{desc: "text", content: "text\n", mode: 0o600, cloned: 0o600},
		{desc: "read-only text", content: "text\n", mode: 0o444, cloned: 0o444},
		{desc: "setuid and setgid program", content: "#!/bin/sh\n", mode: 0o755 | os.ModeSetuid | os.ModeSetgid, cloned: 0o755 | os.ModeSetuid | os.ModeSetgid},
		{desc: "large file", content: strings.Repeat("0123456789abcdef", 1<<16), mode: 0o644, cloned: 0o644},
		{desc: "module below a layer to unpack", content: module, mode: 0o644, cloned: 0o444,
			labels: map[string]string{snapshots.LabelSnapshotRef: "sha256:abc"}},
		{desc: "module below a layer that the client library unpacks", content: module, mode: 0o644, cloned: 0o444,
			key: "k8s.io/7/" + fmt.Sprintf(snapshots.UnpackKeyFormat, "1234-abc_", "sha256:abc")},
		{desc: "module below one that is unpacked, by the name only", content: module, mode: 0o644, shared: true, cloned: 0o444,
			key: "extract-1/7/container"},
	} {
		t.Run(tc.desc, func(t *testing.T) {
			s := open(t, t.TempDir())
			committed := image(t, s, "image", func(dir string) { write(t, filepath.Join(dir, "f"), tc.content, tc.mode) })
			active := prepare(t, s, cmp.Or(tc.key, "active"), "image", snapshots.WithLabels(tc.labels))
			before, after := lstat(t, filepath.Join(committed, "f")), lstat(t, filepath.Join(active, "f"))
			if shared := os.SameFile(before, after); shared != tc.shared {
				t.Errorf("shared: %v, want %v", shared, tc.shared)
			}
			if after.Mode() != tc.cloned {
				t.Errorf("mode %v, want %v", after.Mode(), tc.cloned)
			}
			if got, err := os.ReadFile(filepath.Join(active, "f")); err != nil || string(got) != tc.content {
				t.Errorf("content differs (%v)", err)
			}
		})
	}
}

func TestCloneEqualsItsParent(t *testing.T) {
	testutil.RequiresRoot(t)
	s := open(t, t.TempDir())
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.Mkdir(outside, 0o755))
	write(t, filepath.Join(outside, "secret"), module, 0o600)

	committed := image(t, s, "image", func(dir string) { fillWithEverything(t, dir, outside) })
	active := prepare(t, s, "active", "image")
	want, got := describe(t, committed), describe(t, active)
	if !maps.Equal(want, got) {
		for name := range want {
			if want[name] != got[name] {
				t.Errorf("%q: got  %s\nwant %s", name, got[name], want[name])
			}
		}
		t.Errorf("%d files, want %d", len(got), len(want))
	}
	if !os.SameFile(lstat(t, active+"/hard1"), lstat(t, active+"/sub/hard2")) {
		t.Error("hard links within the tree became separate files")
	}
	if os.SameFile(lstat(t, active+"/hard1"), lstat(t, committed+"/hard1")) {
		t.Error("a file that is no module is shared with the parent")
	}
	if m := lstat(t, filepath.Join(outside, "secret")).Mode(); m != 0o600 {
		t.Errorf("a file behind a symlink got mode %v", m)
	}
}

func TestCloneKeepsHoles(t *testing.T) {
	s := open(t, t.TempDir())
	const size = 1 << 30
	image(t, s, "image", func(dir string) {
		f, err := os.Create(filepath.Join(dir, "sparse"))
		must(t, err)
		defer f.Close()
		_, err = f.WriteAt([]byte("middle"), size/2)
		must(t, err)
		must(t, f.Truncate(size))
		must(t, os.Truncate(f.Name(), size))
		write(t, filepath.Join(dir, "hole"), "", 0o600)
		must(t, os.Truncate(filepath.Join(dir, "hole"), size))
	})
	active := prepare(t, s, "active", "image")
	for _, name := range []string{"sparse", "hole"} {
		var st unix.Stat_t
		must(t, unix.Stat(filepath.Join(active, name), &st))
		if st.Size != size || st.Blocks*blockUnit > 1<<20 {
			t.Errorf("%s: size %d in %d bytes", name, st.Size, st.Blocks*blockUnit)
		}
	}
	f, err := os.Open(filepath.Join(active, "sparse"))
	must(t, err)
	defer f.Close()
	got := make([]byte, 6)
	if _, err := f.ReadAt(got, size/2); err != nil || string(got) != "middle" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestCloneCopiesAModuleThatHasTooManyNames(t *testing.T) {
	s := open(t, t.TempDir())
	committed := image(t, s, "image", func(dir string) { write(t, filepath.Join(dir, "m"), module, 0o644) })
	links := t.TempDir()
	for i := 0; ; i++ {
		if err := os.Link(filepath.Join(committed, "m"), filepath.Join(links, fmt.Sprint(i))); err != nil {
			break
		}
		if i == 70_000 {
			t.Skip("the file system has no such limit")
		}
	}
	active := prepare(t, s, "active", "image")
	if os.SameFile(lstat(t, filepath.Join(committed, "m")), lstat(t, filepath.Join(active, "m"))) {
		t.Error("the module is shared")
	}
}

// fillWithEverything makes a file of each kind, and names that mean harm.
func fillWithEverything(t *testing.T, dir, outside string) {
	old := time.Unix(1234567890, 123456789)
	sub := filepath.Join(dir, "sub")
	must(t, os.Mkdir(sub, 0o755))
	write(t, filepath.Join(dir, "module.wasm"), module, 0o755)
	write(t, filepath.Join(dir, "hard1"), "two names", 0o640)
	must(t, os.Link(filepath.Join(dir, "hard1"), filepath.Join(sub, "hard2")))
	write(t, filepath.Join(dir, "owned"), "x", 0o755)
	must(t, os.Chown(filepath.Join(dir, "owned"), 1234, 4321))
	must(t, os.Chmod(filepath.Join(dir, "owned"), 0o755|os.ModeSetuid))
	write(t, filepath.Join(dir, "\xff\xfe not UTF-8 \n"), "x", 0o644)
	write(t, filepath.Join(sub, strings.Repeat("n", 255)), "x", 0o644)

	must(t, os.Symlink("../../../../../../etc/passwd", filepath.Join(dir, "up")))
	must(t, os.Symlink(outside, filepath.Join(dir, "out")))
	must(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "secret.wasm")))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	must(t, os.Lchown(filepath.Join(dir, "out"), 7, 8))
	must(t, unix.Mknod(filepath.Join(dir, "fifo"), unix.S_IFIFO|0o622, 0))
	must(t, unix.Mknod(filepath.Join(dir, "socket"), unix.S_IFSOCK|0o755, 0))
	must(t, unix.Mknod(filepath.Join(dir, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	must(t, unix.Mknod(filepath.Join(dir, "disk"), unix.S_IFBLK|0o600, int(unix.Mkdev(250, 77))))

	must(t, sysx.LSetxattr(filepath.Join(dir, "hard1"), "user.note", []byte("\x00binary"), 0))
	must(t, sysx.LSetxattr(filepath.Join(dir, "hard1"), "user.big", make([]byte, 1000), 0))
	must(t, sysx.LSetxattr(filepath.Join(dir, "out"), "trusted.note", []byte("on a symlink"), 0))
	must(t, sysx.LSetxattr(filepath.Join(dir, "null"), "trusted.note", []byte("on a device"), 0))
	must(t, sysx.LSetxattr(sub, "user.note", []byte("on a directory"), 0))
	// cap_net_bind_service=ep, version 2
	must(t, sysx.LSetxattr(filepath.Join(dir, "owned"), "security.capability",
		[]byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0))

	must(t, os.Chmod(dir, 0o751))
	must(t, os.Chown(sub, 5, 6))
	must(t, os.Chmod(sub, 0o500|os.ModeSticky|os.ModeSetgid))
	for _, name := range []string{"hard1", "fifo", "sub", "."} {
		must(t, os.Chtimes(filepath.Join(dir, name), old, old))
	}
}

// describe has all that a clone must preserve, by path.
func describe(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	must(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		must(t, err)
		var st unix.Stat_t
		must(t, unix.Lstat(path, &st))
		d := fmt.Sprintf("mode %o owner %d:%d rdev %x mtime %v", st.Mode, st.Uid, st.Gid, st.Rdev, st.Mtim)
		if fileType(&st) != unix.S_IFDIR {
			d += fmt.Sprintf(" size %d", st.Size)
		}
		switch fileType(&st) {
		case unix.S_IFREG:
			content, err := os.ReadFile(path)
			must(t, err)
			d += fmt.Sprintf(" content %q", content)
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			must(t, err)
			d += " to " + target
		}
		attrs, err := sysx.LListxattr(path)
		must(t, err)
		for _, attr := range attrs {
			value, err := sysx.LGetxattr(path, attr)
			must(t, err)
			d += fmt.Sprintf(" %s=%q", attr, value)
		}
		rel, err := filepath.Rel(root, path)
		must(t, err)
		files[rel] = d
		return nil
	}))
	return files
}

func lstat(t testing.TB, path string) os.FileInfo {
	t.Helper()
	fi, err := os.Lstat(path)
	must(t, err)
	return fi
}
