// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// procFile is a file of the guest's thread in /proc.
func procFile(g *Guest, name string) string {
	return fmt.Sprintf("/proc/%d/task/%d/%s", os.Getpid(), g.TID(), name)
}

func readProc(t *testing.T, g *Guest, name string) string {
	t.Helper()
	b, err := os.ReadFile(procFile(g, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// status is /proc/PID/task/TID/status, by field.
func status(t *testing.T, g *Guest) map[string]string {
	t.Helper()
	return statusOf(t, fmt.Sprintf("/proc/self/task/%d", g.TID()))
}

// statusOf is empty for a thread that is gone.
func statusOf(t *testing.T, task string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(task + "/status")
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	return fields
}

// tasks are the process's threads, as directories of /proc.
func tasks(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCredentials(t *testing.T) {
	s := spec(t, "spin")
	s.UID, s.GID, s.Groups, s.Umask = 1000, 2000, []uint32{3000, 4000}, 0o027
	s.Caps = 1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_DAC_OVERRIDE
	got := status(t, create(t, s))
	for name, want := range map[string]string{
		"Uid":        "4294967293 1000 4294967293 1000",
		"Gid":        "2000 2000 2000 2000",
		"Groups":     "3000 4000",
		"Umask":      "0027",
		"CapEff":     "0000000000000402",
		"CapPrm":     "0000000000000402",
		"CapInh":     "0000000000000000",
		"CapAmb":     "0000000000000000",
		"NoNewPrivs": "1",
		"Seccomp":    "2",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	daemon := statusOf(t, "/proc/thread-self")
	if daemon["Seccomp"] != "0" || daemon["NoNewPrivs"] != "0" || !strings.HasPrefix(daemon["Uid"], "0 0") {
		t.Errorf("the process itself has become %v", daemon)
	}
}

func TestRootAndFiles(t *testing.T) {
	s := spec(t, "spin")
	g := create(t, s)
	// The root is a detached mount, whose path the kernel cannot tell.
	if mine, err := os.Stat(procFile(g, "root")); err != nil || !os.SameFile(mine, mustStat(t, s.Rootfs)) {
		t.Errorf("the root is another directory, %v", err)
	}
	entries, err := os.ReadDir(procFile(g, "fd"))
	if err != nil {
		t.Fatal(err)
	}
	var fds []string
	for _, e := range entries {
		fds = append(fds, e.Name())
	}
	// 0 to 2, and the preopened root.
	if strings.Join(fds, " ") != "0 1 2 3" {
		t.Errorf("the guest has fds %v", fds)
	}
}

// A directory that is its user's alone is the guest's, and not another user's.
func TestPrivateDirectory(t *testing.T) {
	for uid, want := range map[uint32]uint32{1000: 0, 0: 0, 1001: 1} {
		s := spec(t, "search")
		s.UID, s.GID, s.Caps = uid, 2000, 0
		if uid == 0 {
			s.Caps = 1 << unix.CAP_DAC_OVERRIDE
		}
		dir := filepath.Join(s.Rootfs, "private")
		if err := errors.Join(
			os.Chmod(s.Rootfs, 0o755),
			os.Mkdir(dir, 0o700),
			os.WriteFile(filepath.Join(dir, "file"), nil, 0o600),
			os.Symlink("file", filepath.Join(dir, "link")),
			os.Chown(dir, 1000, 2000),
			os.Chown(filepath.Join(dir, "file"), 1000, 2000),
		); err != nil {
			t.Fatal(err)
		}
		if r := runGuest(t, s); r.Ending != Exited || r.Code != want {
			t.Errorf("user %d: ended with %+v, want code %d", uid, r, want)
		}
	}
}

func mustStat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// mountOf returns the options of the mount on a target, as the guest has it.
func mountOf(t *testing.T, g *Guest, target string) string {
	t.Helper()
	for line := range strings.Lines(readProc(t, g, "mountinfo")) {
		if f := strings.Fields(line); f[4] == target {
			return f[5]
		}
	}
	t.Fatalf("nothing is mounted on %s:\n%s", target, readProc(t, g, "mountinfo"))
	return ""
}

func TestMounts(t *testing.T) {
	s := spec(t, "spin")
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The same path in the guest's root and outside.
	elsewhere := t.TempDir()
	if err := os.MkdirAll(s.Rootfs+elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(s.Rootfs, "link")); err != nil {
		t.Fatal(err)
	}
	s.Mounts = []Mount{
		{Source: dir, Target: "/a/b/dir"},
		{Source: dir, Target: "/ro", Attr: unix.MOUNT_ATTR_RDONLY},
		{Source: file, Target: "/etc/file", Attr: unix.MOUNT_ATTR_RDONLY},
		{Source: dir, Target: "/a/b/dir/below"},
		{Target: "/scratch", Attr: unix.MOUNT_ATTR_NOEXEC, Options: "size=64k,mode=1777"},
		{Source: dir, Target: "/link/inside"},
	}
	g := create(t, s)
	for target, want := range map[string]string{
		"/":                   "rw,nosuid,nodev",
		"/a/b/dir":            "rw,nosuid,nodev",
		"/a/b/dir/below":      "rw,nosuid,nodev",
		"/ro":                 "ro,nosuid,nodev",
		"/etc/file":           "ro,nosuid,nodev",
		"/scratch":            "rw,nosuid,nodev,noexec",
		elsewhere + "/inside": "rw,nosuid,nodev",
	} {
		if got := mountOf(t, g, target); !strings.HasPrefix(got, want) {
			t.Errorf("%s is mounted %s, want %s", target, got, want)
		}
	}
	if n := strings.Count(readProc(t, g, "mountinfo"), "\n"); n != 7 {
		t.Errorf("the guest sees %d mounts:\n%s", n, readProc(t, g, "mountinfo"))
	}
	if entries, err := os.ReadDir(elsewhere); err != nil || len(entries) != 0 {
		t.Errorf("a symlink of the image led to the host's %s: %v, %v", elsewhere, entries, err)
	}
	host, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(host), s.Rootfs) || strings.Contains(string(host), dir) {
		t.Errorf("the host has a mount for the guest, %v", err)
	}
}

func TestReadonlyRootWithMounts(t *testing.T) {
	s := spec(t, "spin")
	s.RootfsReadonly = true
	s.Mounts = []Mount{{Source: t.TempDir(), Target: "/data"}}
	g := create(t, s)
	if got := mountOf(t, g, "/"); !strings.HasPrefix(got, "ro,nosuid,nodev") {
		t.Errorf("the root is mounted %s", got)
	}
	if got := mountOf(t, g, "/data"); !strings.HasPrefix(got, "rw,nosuid,nodev") {
		t.Errorf("the volume is mounted %s", got)
	}
}

func TestNothingOfAGuestIsLeft(t *testing.T) {
	// Go's threads come and go, and have no filter.
	threads := func() (n int) {
		for _, task := range tasks(t) {
			// How many wait for a guest changes.
			if s := statusOf(t, task); s["Seccomp"] == "2" && s["Name"] != "wasm-spare" {
				n++
			}
		}
		return n
	}
	fds := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	s := spec(t, "hello")
	s.Mounts = []Mount{{Source: t.TempDir(), Target: "/data"}}
	runGuest(t, s)
	threadsBefore, fdsBefore := threads(), fds()
	for range 100 {
		runGuest(t, s)
	}
	// A thread that was joined is in /proc until the kernel is done with it.
	deadline := time.Now().Add(10 * time.Second)
	for threads() > threadsBefore && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if got := threads(); got > threadsBefore {
		t.Errorf("%d threads with a filter have become %d", threadsBefore, got)
	}
	if got := fds(); got > fdsBefore {
		t.Errorf("%d fds have become %d", fdsBefore, got)
	}
	guestsMu.Lock()
	defer guestsMu.Unlock()
	if len(guests) != 0 {
		t.Errorf("%d guests are still known", len(guests))
	}
}

// A bind mount has the access times of its source, or its own.
func TestAccessTimes(t *testing.T) {
	const all = unix.MOUNT_ATTR__ATIME
	source := t.TempDir()
	mountTmpfs(t, source)
	s := spec(t, "spin")
	for _, tc := range []struct {
		name       string
		set, clear uint64
		// below sources that are mounted relatime and noatime, and of a tmpfs
		relatime, noatime, tmpfs string
	}{
		{"nothing", 0, 0, ",relatime", ",noatime", ",relatime"},
		{"noatime", unix.MOUNT_ATTR_NOATIME, all, ",noatime", ",noatime", ",noatime"},
		{"relatime", unix.MOUNT_ATTR_RELATIME, all, ",relatime", ",relatime", ",relatime"},
		{"strictatime", unix.MOUNT_ATTR_STRICTATIME, all, "", "", ""},
		{"nodiratime", unix.MOUNT_ATTR_NODIRATIME, 0, ",nodiratime,relatime", ",noatime,nodiratime", ",nodiratime,relatime"},
		{"both", unix.MOUNT_ATTR_NOATIME | unix.MOUNT_ATTR_NODIRATIME, all, ",noatime,nodiratime", ",noatime,nodiratime", ",noatime,nodiratime"},
	} {
		for flags, want := range map[uintptr]string{unix.MS_RELATIME: tc.relatime, unix.MS_NOATIME: tc.noatime} {
			if err := unix.Mount("", source, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""); err != nil {
				t.Fatal(err)
			}
			s.Mounts = []Mount{
				{Source: source, Target: "/bind", Attr: tc.set, AttrClear: tc.clear},
				{Target: "/tmpfs", Attr: tc.set, AttrClear: tc.clear},
			}
			g := create(t, s)
			for target, want := range map[string]string{"/bind": want, "/tmpfs": tc.tmpfs} {
				if got := mountOf(t, g, target); got != "rw,nosuid,nodev"+want {
					t.Errorf("%s: %s is mounted %s, want %s", tc.name, target, got, want)
				}
			}
		}
	}
}
