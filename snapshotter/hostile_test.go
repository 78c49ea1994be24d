// SPDX-License-Identifier: Apache-2.0

package snapshotter

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/pkg/testutil"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// smallDisk mounts a tmpfs of so many bytes until the test ends.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	testutil.RequiresRoot(t)
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size))
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAFullDiskLeavesNothingBehindAndNamesTheFile(t *testing.T) {
	for _, size := range []int{smallFile / 2, smallFile * 2} {
		disk := smallDisk(t, "1m")
		s := open(t, disk)
		image(t, s, "image", func(dir string) {
			must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
			write(t, filepath.Join(dir, "sub", "large"), strings.Repeat("x", size), 0o644)
		})
		filler := filepath.Join(disk, "filler")
		err := os.WriteFile(filler, bytes.Repeat([]byte("x"), 1<<20), 0o600)
		checkClass(t, err, unix.ENOSPC)
		must(t, os.Truncate(filler, lstat(t, filler).Size()-int64(os.Getpagesize())*4))

		_, err = s.Prepare(t.Context(), "active", "image")
		checkClass(t, err, unix.ENOSPC)
		checkClass(t, err, errdefs.ErrResourceExhausted)
		if err != nil && !strings.Contains(err.Error(), `"sub/large"`) {
			t.Errorf("error %q does not name the file", err)
		}
		checkConsistent(t, s)
		must(t, os.Remove(filler))
		prepare(t, s, "active", "image")
	}
}

func TestADeepTreeCanBeCountedAndRemovedButNotCommitted(t *testing.T) {
	s := open(t, t.TempDir())
	const depth = 25_000 // more levels than the process may have descriptors
	dir := prepare(t, s, "deep", "")
	t.Cleanup(func() { must(t, removeTree(dir)) }) // os.RemoveAll could not
	fd, err := openRoot(dir)
	must(t, err)
	for range depth {
		must(t, unix.Mkdirat(fd, "d", 0o755))
		next, err := openDir(fd, "d")
		must(t, err)
		must(t, unix.Close(fd))
		fd = next
	}
	must(t, unix.Close(fd))

	usage, err := s.Usage(t.Context(), "deep")
	if err != nil || usage.Inodes != depth+1 {
		t.Errorf("got %d inodes, %v, want %d", usage.Inodes, err, depth+1)
	}
	checkClass(t, s.Commit(t.Context(), "image", "deep"), errdefs.ErrInvalidArgument)
	must(t, Privatize(t.Context(), dir))
	remove(t, s, "deep")
	checkConsistent(t, s)
}

func TestTheDeepestTreeOfALayerIsCloned(t *testing.T) {
	s := open(t, t.TempDir())
	deepest := strings.Repeat("d/", maxPath/2) + "f"
	committed := image(t, s, "image", func(dir string) {
		t.Chdir(dir)
		must(t, os.MkdirAll(filepath.Dir(deepest), 0o755))
		write(t, deepest, "content", 0o644)
	})
	t.Chdir(prepare(t, s, "active", "image"))
	if got, err := os.ReadFile(deepest); err != nil || string(got) != "content" {
		t.Errorf("got %q, %v", got, err)
	}
	t.Chdir(committed)
	remove(t, s, "active")
	checkConsistent(t, s)
}

func TestNothingIsDoneToWhatIsMountedInATree(t *testing.T) {
	testutil.RequiresRoot(t)
	s := open(t, t.TempDir())
	host := t.TempDir() // on the same file system as the snapshots
	write(t, filepath.Join(host, "m"), module, 0o600)
	active := prepare(t, s, "active", "")
	target := filepath.Join(active, "mnt")
	must(t, os.Mkdir(target, 0o755))
	must(t, unix.Mount(host, target, "", unix.MS_BIND, ""))
	mounted := []string{target}
	t.Cleanup(func() {
		for _, m := range mounted {
			_ = unix.Unmount(m, unix.MNT_DETACH)
		}
	})

	checkClass(t, s.Commit(t.Context(), "image", "active"), errdefs.ErrFailedPrecondition)
	must(t, s.Remove(t.Context(), "active"))
	checkClass(t, s.Cleanup(t.Context()), errdefs.ErrFailedPrecondition)
	if m := lstat(t, filepath.Join(host, "m")).Mode(); m != 0o600 {
		t.Errorf("the mounted file got mode %v", m)
	}
	must(t, unix.Unmount(filepath.Join(s.path("rm-1"), "mnt"), 0))
	mounted = nil
	must(t, s.Cleanup(t.Context()))
	checkConsistent(t, s)
}
