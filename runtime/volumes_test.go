// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/pkg/testutil"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/runtime/jail"
)

// opened holds volumes open for the rest of the test.
func opened(t *testing.T, mounts ...specs.Mount) *volumes {
	t.Helper()
	v, err := openVolumes(mounts, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.close)
	return v
}

func covered(t *testing.T, v *volumes) []jail.Mount {
	t.Helper()
	mounts, err := v.covered()
	if err != nil {
		t.Fatal(err)
	}
	return mounts
}

// covers says whether something empty is mounted on a target.
func covers(mounts []jail.Mount, target string) bool {
	return slices.ContainsFunc(mounts, func(m jail.Mount) bool { return m.Target == target && m.Source == "" })
}

// Through procfs, a guest could read the daemon's memory.
func TestProcIsKeptFromGuests(t *testing.T) {
	for _, source := range []string{"/proc", "/proc/self/fd", "/proc/sys"} {
		_, err := openVolumes([]specs.Mount{bind(source, "/data", "bind")}, 0)
		if !errdefs.IsPermissionDenied(err) || !strings.Contains(err.Error(), `mount on "/data": source "`+source+`" is procfs`) {
			t.Errorf("%s: got %v", source, err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/", link); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"/", link} {
		if got := covered(t, opened(t, bind(source, "/host", "rbind"))); !covers(got[1:], "/host/proc") {
			t.Errorf("the host's /proc is not covered below %s: %+v", source, got)
		}
	}
	if got := covered(t, opened(t, bind("/", "/host", "bind"))); len(got) != 1 {
		t.Errorf("without the mounts below: %+v", got)
	}
}

// What a source leads to is decided once: who may write the directory that it is in could
// put the host's root there while the guest's module is compiled.
func TestSourceIsWhatItWasWhenItWasLookedAt(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"a/volume/file": "volume", "a/single": "single", "other/volume/file": "other", "other/single": "other"} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	v := opened(t, bind(dir+"/a/volume", "/volume", "rbind"), bind(dir+"/a/single", "/single", "rbind"))
	if err := errors.Join(os.Rename(dir+"/a", dir+"/moved"), os.Symlink("other", dir+"/a")); err != nil {
		t.Fatal(err)
	}
	js := &jail.Spec{Rootfs: t.TempDir(), Mounts: covered(t, v)}
	for path, want := range map[string]string{"/volume/file": "volume", "/single": "single"} {
		f, err := openInGuest(js, path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if b, err := io.ReadAll(f); err != nil || string(b) != want {
			t.Errorf("%s is %q, %v", path, b, err)
		}
	}
}

// What is procfs is covered where it is now, not where it was when the source was opened.
func TestProcThatIsMountedLater(t *testing.T) {
	testutil.RequiresRoot(t)
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/a/volume/sub/proc", 0o755); err != nil {
		t.Fatal(err)
	}
	v := opened(t, bind(dir+"/a/volume", "/volume", "rbind"))
	if got := covered(t, v); len(got) != 1 {
		t.Fatalf("got %+v", got)
	}
	proc := dir + "/moved/volume/sub/proc"
	if err := errors.Join(os.Rename(dir+"/a", dir+"/moved"), unix.Mount("proc", proc, "proc", 0, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(proc, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if got := covered(t, v); !covers(got, "/volume/sub/proc") {
		t.Errorf("got %+v", got)
	}
}

func TestSourcesThatCannotBeOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		source string
		is     func(error) bool
		want   string
	}{
		{"/does/not/exist", errdefs.IsNotFound, `mount on "/data": source "/does/not/exist": no such file or directory`},
		{file + "/below", errdefs.IsInvalidArgument, `file/below": not a directory`},
		{"/nul\x00byte", errdefs.IsInvalidArgument, `source "/nul\x00byte": invalid argument`},
		{"/" + strings.Repeat("x", 300), errdefs.IsInvalidArgument, "file name too long"},
	} {
		// One that could be opened is closed again.
		if _, err := openVolumes([]specs.Mount{bind(file, "/first"), bind(tc.source, "/data")}, 0); err == nil || !tc.is(err) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}
