// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

// rootWithLinks is the root of a spec, with symlinks that lead to what is not there.
func rootWithLinks(t *testing.T, s *Spec, links map[string]string) {
	t.Helper()
	for name, to := range links {
		path := filepath.Join(s.Rootfs, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
	}
}

// Mount points are made where a symlink leads, inside the root.
func TestMountPointsBehindLinks(t *testing.T) {
	s := spec(t, "spin")
	outside := filepath.Join(t.TempDir(), "outside")
	rootWithLinks(t, s, map[string]string{
		"var/run":         "/run",
		"etc/resolv.conf": "../run/resolve/stub.conf",
		"up":              "../../../.." + outside,
		"first":           "second",
		"second":          "./third/../third",
	})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Mounts = []Mount{
		{Source: t.TempDir(), Target: "/var/run/secrets/token"},
		{Source: file, Target: "/etc/resolv.conf"},
		{Source: t.TempDir(), Target: "/up"},
		{Source: file, Target: "/first/below/file"},
		{Target: "/first"},
	}
	g := create(t, s)
	for _, target := range []string{"/run/secrets/token", "/run/resolve/stub.conf", outside, "/third/below/file", "/third"} {
		mountOf(t, g, target)
	}
	if _, err := os.Stat(outside); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a symlink of the image led to the host's %s: %v", outside, err)
	}
}

func TestMountPointsThatCannotBeMade(t *testing.T) {
	long := strings.Repeat("x/", 2000)
	for name, tc := range map[string]struct {
		link, target, want string
	}{
		"a loop":             {"loop", "/loop", "Too many levels of symbolic links"},
		"a loop on the way":  {"loop", "/loop/dir", "Too many levels of symbolic links"},
		"a loop that grows":  {"loop/x", "/loop", "Too many levels of symbolic links"},
		"longer than a path": {long, "/loop/" + strings.Repeat("y", 200), "File name too long"},
		"below a file":       {"hello.wasm/dir", "/loop", "Not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(t, "spin")
			rootWithLinks(t, s, map[string]string{"loop": tc.link})
			if err := os.WriteFile(filepath.Join(s.Rootfs, "hello.wasm"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			s.Mounts = []Mount{{Source: t.TempDir(), Target: tc.target}}
			_, err := New(t.Context(), s)
			if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "make mount point") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

func TestMountOnWhatIsOfAnotherKind(t *testing.T) {
	s := spec(t, "spin")
	file := filepath.Join(s.Rootfs, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, m := range map[string]Mount{
		`mount a directory on the file "/file": Not a directory`: {Source: t.TempDir(), Target: "/file"},
		`mount a directory on the file "/file"`:                  {Target: "/file"},
		`mount a file on the directory "/": Is a directory`:      {Source: file, Target: "/"},
	} {
		s.Mounts = []Mount{m}
		if _, err := New(t.Context(), s); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
