// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/containerd-wasm/containerd-wasm/test/daemon"
)

// tampering changes the file of a compiled module; other is the content of another one's.
var tampering = map[string]func(path string, other []byte) error{
	"first byte": flip(func(int) int { return 0 }),
	"head":       flip(func(int) int { return 20 }),
	"middle":     flip(func(size int) int { return size / 2 }),
	"last byte":  flip(func(size int) int { return size - 1 }),
	"truncated":  func(path string, _ []byte) error { return os.Truncate(path, 1000) },
	"empty":      func(path string, _ []byte) error { return os.Truncate(path, 0) },
	"huge":       func(path string, _ []byte) error { return os.Truncate(path, 1<<40) },
	"longer":     appendByte,
	"zeros":      func(path string, other []byte) error { return os.WriteFile(path, make([]byte, len(other)), 0o600) },
	"other's":    func(path string, other []byte) error { return os.WriteFile(path, other, 0o600) },
	"gone":       instead(func(string) error { return nil }),
	"program":    instead(func(path string) error { return os.Symlink("/proc/self/exe", path) }),
	"endless":    instead(func(path string) error { return os.Symlink("/dev/zero", path) }),
	"loop":       instead(func(path string) error { return os.Symlink(path, path) }),
	"directory":  instead(func(path string) error { return os.Mkdir(path, 0o700) }),
	"device":     instead(func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) }),
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

// TestTamperedCode changes the compiled code of a module in the content store between
// two runs of it. Both have to be the same: the daemon compiles it again.
func TestTamperedCode(t *testing.T) {
	// Nothing stays loaded, so that every start reads the file.
	d := daemon.Start(t, daemon.WithTOML("[plugins.'io.containerd.wasm.v1.engine']\nidle_time = \"0s\"\noptimize = \"off\""))
	s := newSuite(t, d)
	target, other := guestNamed(t, "exit-large"), guestNamed(t, "exit-negative")
	for _, g := range []*guest{target, other} {
		if err := s.run(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	code := read(t, artefact(t, d, other))
	for name, tamper := range tampering {
		t.Run(name, func(t *testing.T) {
			path := artefact(t, d, target)
			if bytes.Equal(read(t, path), code) {
				t.Fatal("two modules have the same code")
			}
			if err := tamper(path, code); err != nil {
				t.Fatal(err)
			}
			if err := s.run(t.Context(), target); err != nil {
				t.Fatal(err)
			}
			s.checkDaemon(t)
			// What was wrong is made good.
			after := artefact(t, d, target)
			if info, err := os.Lstat(after); err != nil || !info.Mode().IsRegular() || after == path {
				t.Errorf("the code was not made again: %v, %v", info, err)
			}
			if err := s.run(t.Context(), target); err != nil {
				t.Errorf("the next time: %v", err)
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

// artefact is the file of a guest's compiled code, of which there is one.
func artefact(t *testing.T, d *daemon.Daemon, g *guest) (path string) {
	t.Helper()
	module, err := g.module(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx := namespaces.WithNamespace(t.Context(), d.Name)
	daemon.Eventually(t, "the code of "+g.name+" to be in the content store", func() error {
		var found []string
		err := d.Client().ContentStore().Walk(ctx, func(info content.Info) error {
			found = append(found, filepath.Join(d.Root, "io.containerd.content.v1.content/blobs/sha256", info.Digest.Encoded()))
			return nil
		}, fmt.Sprintf("labels.%q==%q", "containerd.io/wasm.module", digest.FromBytes(module)))
		if err == nil && len(found) != 1 {
			err = fmt.Errorf("there is %q", found)
		}
		if err == nil {
			path = found[0]
		}
		return err
	})
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
