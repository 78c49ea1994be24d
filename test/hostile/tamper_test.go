// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// tampering changes the file of a compiled module; other is the content of another one's.
var tampering = map[string]func(path string, other []byte) error{
	"first byte":  flip(func(int) int { return 0 }),
	"head":        flip(func(int) int { return 20 }),
	"middle":      flip(func(size int) int { return size / 2 }),
	"last byte":   flip(func(size int) int { return size - 1 }),
	"truncated":   func(path string, _ []byte) error { return os.Truncate(path, 1000) },
	"empty":       func(path string, _ []byte) error { return os.Truncate(path, 0) },
	"huge":        func(path string, _ []byte) error { return os.Truncate(path, 1<<40) },
	"longer":      appendByte,
	"zeros":       func(path string, other []byte) error { return os.WriteFile(path, make([]byte, len(other)), 0o600) },
	"other's":     func(path string, other []byte) error { return os.WriteFile(path, other, 0o600) },
	"unpermitted": func(path string, _ []byte) error { return os.Chmod(path, 0) },
	"gone":        instead(func(string) error { return nil }),
	"program":     instead(func(path string) error { return os.Symlink("/proc/self/exe", path) }),
	"endless":     instead(func(path string) error { return os.Symlink("/dev/zero", path) }),
	"loop":        instead(func(path string) error { return os.Symlink(path, path) }),
	"directory":   instead(func(path string) error { return os.Mkdir(path, 0o700) }),
	"FIFO":        instead(func(path string) error { return unix.Mkfifo(path, 0o600) }),
	"device":      instead(func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) }),
}

func flip(at func(size int) int) func(string, []byte) error {
	return func(path string, _ []byte) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b[at(len(b))] ^= 1
		return os.WriteFile(path, b, 0o600)
	}
}

func instead(put func(path string) error) func(string, []byte) error {
	return func(path string, _ []byte) error { return errors.Join(os.Remove(path), put(path)) }
}

func appendByte(path string, _ []byte) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, 0), 0o600)
}

// TestTamperedCode changes the compiled code of a module on the disk between two runs
// of it. Both have to be the same: the daemon compiles it again.
func TestTamperedCode(t *testing.T) {
	// Nothing stays loaded, so that every start reads the file.
	d := daemon.Start(t, daemon.WithTOML("[plugins.'io.containerd.wasm.v1.engine']\nidle_time = \"0s\""))
	s := newSuite(t, d)
	run := func(g *guest) {
		t.Helper()
		if err := s.run(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	target, other := guestNamed(t, "exit-large"), guestNamed(t, "exit-negative")
	before := artefacts(t, d)
	run(target)
	path := newArtefact(t, d, before)
	before = artefacts(t, d)
	run(other)
	code := read(t, newArtefact(t, d, before))
	good := read(t, path)
	if bytes.Equal(good, code) {
		t.Fatal("two modules have the same code")
	}
	for name, tamper := range tampering {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() {
				if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, good, 0o600)); err != nil {
					t.Error(err)
				}
			})
			if err := tamper(path, code); err != nil {
				t.Fatal(err)
			}
			if err := s.run(t.Context(), target); err != nil {
				t.Fatal(err)
			}
			s.checkDaemon(t)
			// What was wrong is made good.
			if err := s.run(t.Context(), target); err != nil {
				t.Errorf("the next time: %v", err)
			}
			if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
				t.Errorf("the file was not made again: %v, %v", info, err)
			}
		})
	}
}

// guestNamed returns a guest of guests/, of whose image no daemon knows yet.
func guestNamed(t *testing.T, name string) *guest {
	t.Helper()
	guests, err := all()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(guests, func(g *guest) bool { return g.name == name })
	if i < 0 {
		t.Fatalf("there is no guest %q", name)
	}
	return &guest{name: name, header: guests[i].header, source: guests[i].source}
}

// artefacts are the files of compiled modules.
func artefacts(t *testing.T, d *daemon.Daemon) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(d.Root, "io.containerd.wasm.v1.engine", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// newArtefact is the one that was not there before.
func newArtefact(t *testing.T, d *daemon.Daemon, before []string) string {
	t.Helper()
	after := slices.DeleteFunc(artefacts(t, d), func(path string) bool { return slices.Contains(before, path) })
	if len(after) != 1 {
		t.Fatalf("new files of compiled code: %q", after)
	}
	return after[0]
}
