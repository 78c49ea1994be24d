// SPDX-License-Identifier: Apache-2.0

package jail

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// secret is a root with /secret/file, which the guests of this file look for.
func secret(t *testing.T, module string) *Spec {
	t.Helper()
	s := spec(t, module)
	dir := filepath.Join(s.Rootfs, "secret")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMaskedPaths(t *testing.T) {
	const noent = 44
	volume := t.TempDir()
	if err := os.WriteFile(filepath.Join(volume, "file"), []byte("of a volume"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		set    func(*Spec)
		code   uint32
		stdout string
	}{
		{"nothing", func(*Spec) {}, 0, "secret"},
		{"what is not there", func(s *Spec) { s.Masked = []string{"/proc/kcore", "/secret/file/x"} }, 0, "secret"},
		{"a file", func(s *Spec) { s.Masked = []string{"/proc/kcore", "/secret/file"} }, 0, ""},
		{"a directory", func(s *Spec) { s.Masked = []string{"/secret"} }, noent, ""},
		{"through a symlink", func(s *Spec) {
			if err := os.Symlink("/secret", filepath.Join(s.Rootfs, "link")); err != nil {
				t.Fatal(err)
			}
			s.Masked = []string{"/link"}
		}, noent, ""},
		{"out of an empty directory", func(s *Spec) {
			if err := os.Mkdir(filepath.Join(s.Rootfs, "proc"), 0o755); err != nil {
				t.Fatal(err)
			}
			s.Masked = []string{"/proc/kcore", "/proc/keys", "/proc/../secret/file"}
		}, 0, ""},
		{"beside what is not there", func(s *Spec) { s.Masked = []string{"/secret/absent", "/secret/file"} }, 0, ""},
		{"a volume", func(s *Spec) { s.Mounts = []Mount{{Source: volume, Target: "/secret"}} }, 0, "of a volume"},
		{"in a volume", func(s *Spec) {
			s.Mounts = []Mount{{Source: volume, Target: "/secret"}}
			s.Masked = []string{"/secret/file"}
		}, 0, ""},
		{"with a readonly root", func(s *Spec) { s.Masked, s.RootfsReadonly = []string{"/secret"}, true }, noent, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := secret(t, "cat")
			tc.set(s)
			out := stdout(t, s)
			if got := runGuest(t, s); got.Ending != Exited || got.Code != tc.code || out() != tc.stdout {
				t.Errorf("ended with %+v, stdout %q", got, out())
			}
		})
	}
}

func TestReadonlyPaths(t *testing.T) {
	const roofs, exist = 69, 0
	for _, tc := range []struct {
		name     string
		readonly []string
		mounts   []Mount
		code     uint32
	}{
		{"nothing", nil, nil, exist},
		{"what is not there", []string{"/proc/sys"}, nil, exist},
		{"the directory", []string{"/secret"}, nil, roofs},
		{"a volume", []string{"/secret"}, []Mount{{Target: "/secret", Options: "mode=0777"}}, roofs},
		{"the parent of a volume", []string{"/secret"}, []Mount{{Target: "/secret/deeper"}}, roofs},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := secret(t, "create")
			s.Readonly, s.Mounts = tc.readonly, tc.mounts
			if got := runGuest(t, s); got.Ending != Exited || got.Code != tc.code {
				t.Errorf("ended with %+v", got)
			}
		})
	}
}

func TestTmpfsOptionsTooLong(t *testing.T) {
	s := spec(t, "hello")
	options := "mode=0777"
	for len(options) < 256 {
		options += ",size=1m"
	}
	s.Mounts = []Mount{{Target: "/tmp", Options: options, Attr: unix.MOUNT_ATTR_RDONLY}}
	if _, err := New(t.Context(), s); err == nil {
		t.Fatal("options that are cut off were accepted")
	}
}
