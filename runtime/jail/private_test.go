// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// sharedMount is a directory on which a file system is mounted that shows its mounts to
// all clones of it, as systemd makes every mount of a host.
func sharedMount(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	mountTmpfs(t, dir)
	if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mountTmpfs(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// What is mounted on a host later would reach its guests without NODEV, NOSUID and
// read-only, and might be procfs. What guests have mounted would stay on the host.
func TestMountsDoNotPropagate(t *testing.T) {
	s := spec(t, "spin")
	host := sharedMount(t)
	root := filepath.Join(host, "root")
	if err := os.CopyFS(root, os.DirFS(s.Rootfs)); err != nil {
		t.Fatal(err)
	}
	s.Rootfs = root
	volume, file := filepath.Join(host, "volume"), filepath.Join(host, "file")
	mountTmpfs(t, filepath.Join(volume, "below"))
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Mounts = []Mount{
		{Source: volume, Target: "/recursive", Recursive: true},
		{Source: volume, Target: "/single"},
		{Source: file, Target: "/recursive/below/file"},
		{Target: "/single/tmpfs"},
	}
	s.Masked = []string{"/recursive/later"}
	for _, dir := range []string{"/later", "/below/later"} {
		if err := os.MkdirAll(volume+dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mounts := func(pid string) string {
		t.Helper()
		b, err := os.ReadFile("/proc/" + pid + "/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	before := mounts("self")
	g := create(t, s)
	if after := mounts("self"); after != before {
		t.Errorf("before the guest, the host's mounts were\n%s\nand are\n%s", before, after)
	}
	guests := readProc(t, g, "mountinfo")
	for line := range strings.Lines(guests) {
		if strings.Contains(line, "shared:") || strings.Contains(line, "master:") {
			t.Errorf("the guest's mount propagates: %s", line)
		}
	}
	for _, dir := range []string{volume + "/later", volume + "/below/later", filepath.Join(root, "later")} {
		mountTmpfs(t, dir)
	}
	if after := readProc(t, g, "mountinfo"); after != guests {
		t.Errorf("the guest's mounts were\n%s\nand are\n%s", guests, after)
	}
}

// The runtime refuses procfs and says more (TestProcIsKeptFromGuests there). This is for
// a path that is changed in between.
func TestProcIsNotMounted(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/proc", link); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"/proc", "/proc/self", "/proc/self/mem", link} {
		s := spec(t, "spin")
		s.Mounts = []Mount{{Source: source, Target: "/mounted"}}
		if _, err := New(t.Context(), s); !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), "mount procfs") {
			t.Errorf("%s: got %v", source, err)
		}
	}
}

// A source that is open is what it was, whatever is done to its path; errors have that path.
func TestSourceThatIsHeldOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "volume")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	held := func() Mount {
		t.Helper()
		m := Mount{Source: path, Target: "/volume", Recursive: true}
		f, err := m.Open()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return m
	}
	s := spec(t, "spin")
	s.Mounts = []Mount{held()}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", path); err != nil {
		t.Fatal(err)
	}
	g := create(t, s)
	if mounts := readProc(t, g, "mountinfo"); strings.Count(mounts, "\n") != 2 || !strings.Contains(mounts, "/volume.old /volume ") {
		t.Errorf("the guest sees mounts:\n%s", mounts)
	}
	path = "/proc/self"
	s.Mounts = []Mount{held()}
	if _, err := New(t.Context(), s); err == nil || !strings.Contains(err.Error(), `mount procfs "/proc/self"`) {
		t.Errorf("got %v", err)
	}
}
